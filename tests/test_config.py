from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rag.config import Config, Leaf, Value, default_file, leaves, load_config, value_text
from rag.errors import ConfigError

ROOT = Path(__file__).parents[1]


def load(cwd, *, file=None, overrides=None, environment=None, flags=None):
    return load_config(file=file, overrides=overrides or {}, environment=environment or {}, cwd=cwd, flags=flags or {})


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def complaint(cwd, text, **places):
    write(cwd, text)
    with pytest.raises(ConfigError) as caught:
        load(cwd, **places)
    return caught.value


# The places, and which of them wins


def test_without_any_file_every_setting_has_its_default(tmp_path):
    config = load(tmp_path)
    assert config == Config()
    assert {setting.origin for setting in config.settings()} == {"default"}


def test_each_place_beats_the_next_and_names_itself(tmp_path):
    user = write(tmp_path / "home" / "rag", "retrieval: {k: 2, candidates: 20, rrf_k: 200, b: 0.2}").parent.parent
    project = tmp_path / "project"
    write(project, "retrieval: {k: 3, candidates: 30, rrf_k: 300}")
    environment = {"XDG_CONFIG_HOME": str(user), "RAG_RETRIEVAL_K": "4", "RAG_RETRIEVAL_CANDIDATES": "40"}

    config = load(project, environment=environment, overrides={"retrieval.k": "5"})

    found = {name: (config.value(name), config.origin(name)) for name in leaves() if config.origin(name) != "default"}
    assert found == {
        "retrieval.k": (5, "--set"),
        "retrieval.candidates": (40, "RAG_RETRIEVAL_CANDIDATES"),
        "retrieval.rrf_k": (300, "config.yaml"),
        "retrieval.b": (0.2, str(user / "rag" / "config.yaml")),
    }


@given(
    layers=st.lists(st.sets(st.sampled_from(["user", "project", "environment", "override"])), min_size=3, max_size=3)
)
def test_whatever_places_set_a_setting_the_strongest_wins(layers, tmp_path_factory):
    keys = ["threads", "retrieval.k", "passages.overlap_sentences"]
    ranks = {"user": 1, "project": 2, "environment": 3, "override": 4}
    base = tmp_path_factory.mktemp("places")

    def values(place):
        return {key: str(ranks[place]) for key, places in zip(keys, layers, strict=True) if place in places}

    def text(place):
        nested = {}
        for key, value in values(place).items():
            head, _, name = key.rpartition(".")
            (nested.setdefault(head, {}) if head else nested)[name] = int(value)
        return yaml.safe_dump(nested)

    write(base / "home" / "rag", text("user"))
    write(base / "project", text("project"))
    environment = {"RAG_" + key.replace(".", "_").upper(): value for key, value in values("environment").items()}

    config = load(
        base / "project",
        environment=environment | {"XDG_CONFIG_HOME": str(base / "home")},
        overrides=values("override"),
    )

    for key, places in zip(keys, layers, strict=True):
        strongest = max((ranks[place] for place in places), default=None)
        assert config.value(key) == (leaves()[key].default if strongest is None else strongest)


def test_the_project_file_is_found_in_a_folder_above(tmp_path):
    write(tmp_path, "threads: 3")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    config = load(below)
    assert (config.threads, config.origin("threads")) == (3, "../../config.yaml")


def test_the_nearest_project_file_counts(tmp_path):
    write(tmp_path, "threads: 3")
    write(tmp_path / "a", "threads: 4")
    assert load(tmp_path / "a").threads == 4


def test_a_named_file_replaces_the_project_file(tmp_path):
    write(tmp_path, "threads: 3")
    other = tmp_path / "other.yaml"
    other.write_text("index: elsewhere")
    config = load(tmp_path, file=other)
    assert (config.threads, config.index, config.origin("index")) == (0, "elsewhere", str(other))


def test_a_named_file_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*gone\.yaml"):
        load(tmp_path, file=tmp_path / "gone.yaml")


def test_the_user_file_is_found_in_the_home_folder(tmp_path):
    write(tmp_path / ".config" / "rag", "threads: 2")
    assert load(tmp_path, environment={"HOME": str(tmp_path)}).threads == 2


def test_a_relative_xdg_folder_does_not_count(tmp_path):
    write(tmp_path / "here" / "rag", "threads: 2")
    assert load(tmp_path, environment={"XDG_CONFIG_HOME": "here"}).threads == 0


def test_a_flag_is_named_as_the_origin_and_in_errors(tmp_path):
    flags = {"retrieval.k": "-k"}
    assert load(tmp_path, overrides={"retrieval.k": "3"}, flags=flags).origin("retrieval.k") == "-k"
    with pytest.raises(ConfigError, match=r"^-k: expected a whole number from 1 to 1,000, got '0'$"):
        load(tmp_path, overrides={"retrieval.k": "0"}, flags=flags)


# Paths


def test_paths_start_at_the_folder_of_the_file_they_stand_in(tmp_path):
    write(tmp_path, "index: built\narticles: [news, /abs]")
    (tmp_path / "below").mkdir()
    config = load(tmp_path / "below")
    assert config.index_folder() == tmp_path / "built"
    assert config.article_paths() == [tmp_path / "news", Path("/abs")]


def test_default_paths_start_at_the_project_files_folder(tmp_path):
    write(tmp_path, "threads: 1")
    (tmp_path / "below").mkdir()
    assert load(tmp_path / "below").index_folder() == tmp_path / "index"


def test_default_paths_start_at_the_working_directory_without_a_file(tmp_path):
    assert load(tmp_path).article_paths() == [tmp_path / "seeds"]


def test_paths_from_flags_and_variables_start_at_the_working_directory(tmp_path):
    write(tmp_path, "threads: 1")
    below = tmp_path / "below"
    below.mkdir()
    config = load(below, overrides={"index": "x"}, environment={"RAG_ARTICLES": "a,b"})
    assert config.index_folder() == below / "x"
    assert config.article_paths() == [below / "a", below / "b"]


# The environment


def test_a_variable_set_to_nothing_does_not_count(tmp_path):
    assert load(tmp_path, environment={"RAG_INDEX": ""}).origin("index") == "default"


def test_names_are_separated_as_in_path(tmp_path, monkeypatch):
    monkeypatch.setattr("os.pathsep", ":")
    assert load(tmp_path, environment={"RAG_ARTICLES": "a:b"}).articles == ("a", "b")


def test_a_misspelt_variable_of_a_section_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="RAG_RETRIEVAL_DENSE_WIGHT") as caught:
        load(tmp_path, environment={"RAG_RETRIEVAL_DENSE_WIGHT": "1"})
    assert caught.value.hint == "did you mean RAG_RETRIEVAL_DENSE_WEIGHT?"


def test_variables_of_other_parts_are_left_alone(tmp_path):
    assert load(tmp_path, environment={"RAG_CACHE": "x", "RAG_CONFIG": "y", "RAGE": "z"}) == Config()


@pytest.mark.parametrize("text", ["[a b, c]", '["a b", "c"]', "a b,c"])
def test_names_may_be_written_as_in_the_file(tmp_path, text):
    config = load_config(file=None, overrides={"articles": text}, environment={}, cwd=tmp_path)
    assert config.articles == ("a b", "c")


def test_an_error_names_the_variable(tmp_path):
    with pytest.raises(ConfigError, match=r"^RAG_THREADS: expected a whole number from 0 to 1,024, got 'many'$"):
        load(tmp_path, environment={"RAG_THREADS": "many"})


# Values


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "1_0", "", " 1", "١", "0x1", "true"])
def test_a_number_is_a_plain_finite_number(tmp_path, text):
    with pytest.raises(ConfigError, match="expected a number"):
        load(tmp_path, overrides={"retrieval.k1": text})


@pytest.mark.parametrize("text", ["1.5", "0x1", "1e3", "", "true", "null", "9" * 5000])
def test_a_whole_number_is_plain_digits(tmp_path, text):
    with pytest.raises(ConfigError, match="expected a whole number"):
        load(tmp_path, overrides={"retrieval.k": text})


@pytest.mark.parametrize(
    ("key", "text"), [("retrieval.dense_weight", "1.01"), ("retrieval.b", "-0.1"), ("threads", "-1")]
)
def test_the_range_includes_its_ends_and_nothing_more(tmp_path, key, text):
    with pytest.raises(ConfigError, match="from 0 to"):
        load(tmp_path, overrides={key: text})
    assert load(tmp_path, overrides={key: "0"}).value(key) == 0


def test_a_wrong_choice_names_the_choices(tmp_path):
    with pytest.raises(ConfigError, match="expected minmax or rrf, got 'rff'") as caught:
        load(tmp_path, overrides={"retrieval.fusion": "rff"})
    assert caught.value.hint == "did you mean rrf?"


def test_null_is_a_value_where_it_is_allowed_only(tmp_path):
    assert load(tmp_path, overrides={"encoder.max_tokens": "null"}).encoder.max_tokens is None
    with pytest.raises(ConfigError):
        load(tmp_path, overrides={"threads": "null"})


def test_an_unknown_key_of_set_is_an_error_with_the_nearest_name(tmp_path):
    with pytest.raises(ConfigError, match=r"--set: there is no setting retrieval\.kk") as caught:
        load(tmp_path, overrides={"retrieval.kk": "1"})
    assert caught.value.hint == "did you mean retrieval.k?"


def test_a_key_without_its_section_is_recognised(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, overrides={"candidates": "1"})
    assert caught.value.hint == "did you mean retrieval.candidates?"


def test_a_section_is_not_a_setting(tmp_path):
    with pytest.raises(ConfigError, match="retrieval is a section") as caught:
        load(tmp_path, overrides={"retrieval": "1"})
    assert "retrieval.k" in caught.value.hint


def values_of(leaf: Leaf) -> st.SearchStrategy[Value]:
    low, high = leaf.low, leaf.high
    kinds = {
        bool: st.booleans(),
        int: st.integers(*(None if end is None else int(end) for end in (low, high))),
        float: st.floats(low, high, allow_nan=False, allow_infinity=False),
        str: st.sampled_from(leaf.choices) if leaf.choices else st.text(min_size=1),
        tuple: st.lists(st.text(min_size=1), min_size=1).map(tuple),
    }
    return kinds[leaf.kind] | st.none() if leaf.optional else kinds[leaf.kind]


@given(data=st.data())
def test_a_printed_value_is_read_back_the_same(data):
    key = data.draw(st.sampled_from(list(leaves())))
    value = data.draw(values_of(leaves()[key]))
    assert leaves()[key].parse(value_text(key, value), where="here") == value


@pytest.mark.parametrize("value", ["null", '"quoted"', '"', "a"])
def test_texts_that_look_like_syntax_are_printed_in_quotes(value):
    leaf = leaves()["encoder.query_prompt"]
    assert leaf.parse(leaf.text(value), where="here") == value


# Files


def test_the_file_that_ships_holds_every_default():
    assert (ROOT / "config.yaml").read_text(encoding="utf-8") == default_file()


def test_the_file_that_ships_is_complete_and_sets_what_is_the_default_anyway(tmp_path):
    write(tmp_path, default_file())
    config = load(tmp_path)
    assert config == Config()
    assert {setting.origin for setting in config.settings()} == {"config.yaml"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "retrieval:\n  # k: 8\n", "---\n"])
def test_a_file_that_sets_nothing_is_fine(tmp_path, text):
    write(tmp_path, text)
    assert load(tmp_path) == Config()


@pytest.mark.parametrize("name", ["no", "null", "1.10", "2023-11-17", "0x10", "on"])
def test_an_unquoted_word_is_text_where_text_is_expected(tmp_path, name):
    write(tmp_path, f"index: {name}\narticles: [{name}]\n")
    config = load(tmp_path)
    assert (config.index, config.articles) == (name, (name,))


def test_an_unquoted_number_needs_no_dot_before_its_exponent(tmp_path):
    write(tmp_path, "retrieval: {k1: 1e-3}")
    assert load(tmp_path).retrieval.k1 == 0.001


def test_a_quoted_null_is_text(tmp_path):
    write(tmp_path, 'encoder: {query_prompt: "null", passage_prompt: null}')
    assert load(tmp_path).encoder.query_prompt == "null"
    assert load(tmp_path).encoder.passage_prompt is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("threads: 1\nthreads: 2\n", "config.yaml:2: threads is set twice, first on line 1"),
        ("retrieval:\n  k: 1\n  k: 2\n", "config.yaml:3: retrieval.k is set twice, first on line 2"),
        ("retrieval: &a {k: 1}\n", "config.yaml:1: expected a plain value, got an anchor or alias"),
        ("index: *a\n", "config.yaml:1: expected a plain value, got an anchor or alias"),
        ("index: !!python/name:os.system x\n", "config.yaml:1: expected a plain value, got the tag"),
        ("- seeds\n", "config.yaml:1: expected settings as `key: value` lines, got a list"),
        ("just words\n", "config.yaml:1: expected settings as `key: value` lines, got 'just words'"),
        ("threads: 1\nretrieval: 3\n", "config.yaml:2: expected retrieval as `key: value` lines, got '3'"),
        ("threads: [1]\n", "config.yaml:1: threads: expected a whole number from 0 to 1,024, got 'a list'"),
        ('threads: "1"\n', "config.yaml:1: threads: expected a whole number from 0 to 1,024, got '1'"),
        ("retrieval:\n  k: 0\n", "config.yaml:2: retrieval.k: expected a whole number from 1 to 1,000, got '0'"),
        ("retrieval:\n  b: .nan\n", "config.yaml:2: retrieval.b: expected a number from 0 to 1, got '.nan'"),
        ("articles: []\n", "config.yaml:1: articles: expected a list of names, got ''"),
        ("articles: [[a]]\n", "config.yaml:1: articles: expected a list of names, got 'a list'"),
        ("index:\n", "config.yaml:1: index: expected some text, got ''"),
        ("threads: 1\n---\nthreads: 2\n", "config.yaml:2: not YAML"),
        ("threads: [1\n", "config.yaml:2: not YAML"),
        ("[" * 5000, "config.yaml:1: expected a setting, got something nested deeper"),
        ("[a]: 1\n", "config.yaml:1: expected a setting's name, got a list"),
        ("index: \x07\n", "config.yaml: not YAML"),
    ],
)
def test_an_error_names_the_line_and_what_was_expected(tmp_path, text, message):
    assert complaint(tmp_path, text).message.startswith(message)


def test_a_file_that_is_not_utf8_is_an_error(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"index: \xff\n")
    with pytest.raises(ConfigError, match=r"config\.yaml: not YAML"):
        load(tmp_path)


def test_a_misspelt_key_gets_the_nearest_name(tmp_path):
    assert complaint(tmp_path, "retrieval:\n  candidate: 3\n").hint == "did you mean candidates?"


def test_a_key_in_the_wrong_place_gets_its_right_one(tmp_path):
    assert complaint(tmp_path, "dense_weight: 1\n").hint == "did you mean retrieval.dense_weight?"


def test_another_programs_file_gets_the_flag_that_names_ours(tmp_path):
    assert "--config FILE" in complaint(tmp_path, "zzzzzz: 1\n").hint


def test_a_list_that_is_written_as_a_word_gets_the_brackets(tmp_path):
    assert complaint(tmp_path, "articles: news\n").hint == "write it as a list: [news]"


# What is known of the settings


def test_every_setting_says_what_it_is_about():
    assert all(leaf.about and not leaf.about.endswith(".") for leaf in leaves().values())


def test_every_default_is_a_value_that_would_be_accepted():
    for key, leaf in leaves().items():
        assert leaf.parse(value_text(key, leaf.default), where=key) == leaf.default


def test_an_unknown_key_has_no_origin(tmp_path):
    with pytest.raises(ConfigError, match="there is no setting retrieval"):
        load(tmp_path).origin("retrieval.z")


def test_settings_print_as_set_takes_them(tmp_path):
    texts = {setting.key: setting.text for setting in load(tmp_path).settings()}
    assert texts["articles"] == "seeds"
    assert texts["encoder.max_tokens"] == "null"
    assert texts["retrieval.dense_weight"] == "0.5"


def test_the_endpoints_key_is_no_setting_and_no_mistake(tmp_path):
    environment = {"RAG_ENDPOINT_KEY": "sk-secret", "RAG_ENDPOINT_MODEL": "m"}
    config = load_config(file=None, overrides={}, environment=environment, cwd=tmp_path)
    assert config.endpoint.model == "m"
    assert "sk-secret" not in repr(config) + str(config.settings())
    with pytest.raises(ConfigError, match="no setting for the variable RAG_ENDPOINT_KEYS"):
        load_config(file=None, overrides={}, environment={"RAG_ENDPOINT_KEYS": "x"}, cwd=tmp_path)
