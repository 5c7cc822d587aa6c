import json
import shutil

import pytest

from rag.errors import ArticleError, IndexBroken, IndexMissing, RagError
from rag.index import build_index, open_index, plan_build
from rag.index.build import BuildSettings
from rag.index.generations import current_folder, writing
from rag.index.manifest import broken_files

SETTINGS = BuildSettings(max_tokens=40, overlap_sentences=1, k1=0.9, b=0.4)


@pytest.fixture
def articles(tmp_path):
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "ban.md").write_text(
        "# Ban\n\nChina banned seafood in August. Japan protested. Hokkaido suffered most.\n"
    )
    (folder / "talks.md").write_text("# Talks\n\nThe ministers met in Beijing. They spoke about trade.\n")
    return folder


@pytest.fixture
def index(tmp_path):
    return tmp_path / "index"


def build(roots, index, encoder, **options):
    options = {"add": False, "rebuild": False, "settings": SETTINGS, "progress": lambda *_: None} | options
    return build_index([roots] if not isinstance(roots, list) else roots, index=index, encoder=encoder, **options)


def test_an_index_mirrors_the_articles(articles, index, word_encoder):
    report = build(articles, index, word_encoder)
    opened = open_index(index)
    assert report.added == ("ban.md", "talks.md")
    assert opened.store.article_ids() == ["ban.md", "talks.md"]
    assert opened.vectors.size == opened.manifest.passages == report.passages


def test_row_i_is_the_same_passage_in_all_three_stores(articles, index, word_encoder):
    build(articles, index, word_encoder)
    opened = open_index(index)
    for row, word in enumerate(["seafood", "Beijing"]):
        assert opened.lexical.scores([word.casefold()] if word != "Beijing" else ["beij"]).argmax() == row
        assert word in opened.store.passage_text(opened.store.passages([row])[0])
        nearest, _ = opened.vectors.search(word_encoder.encode_queries([word])[0], k=1)
        assert nearest.tolist() == [row]


def test_a_second_build_changes_nothing_and_encodes_nothing(articles, index, word_encoder):
    first = build(articles, index, word_encoder)
    generation = current_folder(index)
    word_encoder.encoded.clear()
    again = build(articles, index, word_encoder)
    assert current_folder(index) == generation
    assert word_encoder.encoded == []
    assert (again.unchanged, again.content, again.passages) == (("ban.md", "talks.md"), first.content, first.passages)


def test_only_what_changed_is_encoded_again(articles, index, word_encoder):
    build(articles, index, word_encoder)
    (articles / "talks.md").write_text("# Talks\n\nThe ministers met in Tokyo.\n")
    word_encoder.encoded.clear()
    report = build(articles, index, word_encoder)
    assert (report.changed, report.unchanged) == (("talks.md",), ("ban.md",))
    assert all("Tokyo" in text for text in word_encoder.encoded)
    assert report.encoded == len(word_encoder.encoded) == 1


def test_an_updated_index_holds_what_a_new_one_would(articles, index, word_encoder, tmp_path):
    build(articles, index, word_encoder)
    (articles / "talks.md").write_text("# Talks\n\nThe ministers met in Tokyo.\n")
    (articles / "new.txt").write_text("A new article.\n\nIt says little.")
    (articles / "ban.md").unlink()
    updated = build(articles, index, word_encoder)
    fresh = build(articles, tmp_path / "fresh", word_encoder)
    one, other = open_index(index), open_index(tmp_path / "fresh")
    rows = range(one.manifest.passages)
    assert updated.content == fresh.content
    assert (updated.added, updated.changed, updated.removed) == (("new.txt",), ("talks.md",), ("ban.md",))
    assert one.store.passages(rows) == other.store.passages(rows)
    assert (one.vectors.rows(list(rows)) == other.vectors.rows(list(rows))).all()
    assert one.lexical.scores(["minist"]).tolist() == other.lexical.scores(["minist"]).tolist()


def test_add_keeps_what_is_indexed_besides(articles, index, word_encoder, tmp_path):
    build(articles, index, word_encoder)
    (tmp_path / "more.txt").write_text("One more.\n\nIt came later.")
    report = build(tmp_path / "more.txt", index, word_encoder, add=True)
    assert report.added == ("more.txt",)
    assert open_index(index).store.article_ids() == ["ban.md", "more.txt", "talks.md"]


def test_without_add_what_is_not_under_the_paths_leaves(articles, index, word_encoder):
    build(articles, index, word_encoder)
    report = build(articles / "ban.md", index, word_encoder)
    assert report.removed == ("talks.md",)


def test_a_dry_run_writes_nothing(articles, index, word_encoder):
    build(articles, index, word_encoder)
    before = sorted(path for path in index.rglob("*") if path.name != ".lock")
    (articles / "talks.md").unlink()
    report = plan_build([articles], index=index, add=False, progress=lambda *_: None)
    assert report.removed == ("talks.md",)
    assert sorted(path for path in index.rglob("*") if path.name != ".lock") == before


def test_a_dry_run_needs_no_index(articles, index):
    report = plan_build([articles], index=index, add=False, progress=lambda *_: None)
    assert report.added == ("ban.md", "talks.md")
    assert not index.exists()


def test_a_file_that_fails_is_named_and_the_rest_is_indexed(articles, index, word_encoder):
    (articles / "binary.txt").write_bytes(b"\0\1\2")
    report = build(articles, index, word_encoder)
    assert report.articles == 2
    assert "binary.txt" in report.failed[0].path
    assert open_index(index).manifest.failed[0]["path"] == report.failed[0].path


def test_no_article_at_all_is_an_error(tmp_path, index, word_encoder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArticleError, match="no articles"):
        build(tmp_path / "empty", index, word_encoder)


def test_other_settings_ask_for_a_rebuild_and_name_what_differs(articles, index, word_encoder):
    build(articles, index, word_encoder)
    other = BuildSettings(max_tokens=30, overlap_sentences=1, k1=0.9, b=0.4)
    with pytest.raises(IndexBroken, match=r"passages\.max_tokens") as error:
        build(articles, index, word_encoder, settings=other)
    assert "--rebuild" in error.value.hint
    build(articles, index, word_encoder, settings=other, rebuild=True)
    assert open_index(index).manifest.passage_settings["max_tokens"] == 30


def test_a_build_that_fails_leaves_the_last_index(articles, index, word_encoder):
    build(articles, index, word_encoder)
    before = current_folder(index)
    (articles / "talks.md").write_text("# Talks\n\nNew words.\n")

    class Failing(type(word_encoder)):
        def encode_passages(self, _texts, **_):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(articles, index, Failing())
    assert current_folder(index) == before
    assert [path.name for path in (index / "generations").iterdir()] == [before.name]


def test_what_a_dead_build_left_is_cleared(articles, index, word_encoder):
    build(articles, index, word_encoder)
    (index / "generations" / "000099").mkdir()
    (articles / "talks.md").unlink()
    build(articles, index, word_encoder)
    assert not any(
        path.name == "000099" and not (path / "manifest.json").exists() for path in (index / "generations").iterdir()
    )


def test_a_reader_keeps_its_generation_while_the_next_is_built(articles, index, word_encoder):
    build(articles, index, word_encoder)
    reader = open_index(index)
    (articles / "talks.md").unlink()
    build(articles, index, word_encoder)
    assert reader.store.article_ids() == ["ban.md", "talks.md"]
    assert open_index(index).store.article_ids() == ["ban.md"]


def test_only_the_last_two_generations_are_kept(articles, index, word_encoder):
    for number in range(4):
        (articles / "talks.md").write_text(f"# Talks\n\nRound {number} of the talks.\n")
        build(articles, index, word_encoder)
    assert len(list((index / "generations").iterdir())) == 2


def test_two_writers_do_not_meet(articles, index, word_encoder):
    with writing(index), pytest.raises(RagError, match="another rag index"):
        build(articles, index, word_encoder)


def test_a_missing_index_names_the_command_that_builds_it(index):
    with pytest.raises(IndexMissing) as error:
        open_index(index)
    assert error.value.hint == "build one with: rag index"


def test_checksums_tell_a_changed_file(articles, index, word_encoder):
    build(articles, index, word_encoder)
    opened = open_index(index)
    assert broken_files(opened.folder, opened.manifest) == []
    file = opened.folder / "vectors.faiss"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert broken_files(opened.folder, opened.manifest) == ["vectors.faiss"]


@pytest.mark.parametrize("harm", ["truncate", "remove", "manifest", "format", "current"])
def test_a_broken_index_is_told_and_not_read(articles, index, word_encoder, harm):
    build(articles, index, word_encoder)
    folder = current_folder(index)
    if harm == "truncate":
        (folder / "vectors.faiss").write_bytes(b"")
    elif harm == "remove":
        shutil.rmtree(folder / "lexical")
    elif harm == "manifest":
        (folder / "manifest.json").write_text("{")
    elif harm == "format":
        manifest = json.loads((folder / "manifest.json").read_text()) | {"format": 99}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    else:
        (index / "CURRENT").write_text("../../elsewhere")
    with pytest.raises(IndexBroken) as error:
        open_index(index)
    assert "--rebuild" in error.value.hint
