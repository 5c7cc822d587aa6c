import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from rag.errors import ArticleError, DuplicateArticle, IndexBroken, IndexMissing, RagError
from rag.index import gathering, lists, manifest, open_index
from rag.index.build import BuildSettings, build_index, plan_build
from rag.index.generations import current_folder, roll_back, writing
from rag.index.journal import Journal
from rag.index.manifest import broken_files
from tests.conftest import WordEncoder

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


def test_every_step_of_a_build_is_told_to_its_end(articles, index, word_encoder):
    for number in range(12):
        (articles / f"{number}.md").write_text(f"# Report {number}\n\nThe mill number {number} was closed.\n")
    told = {}
    build(articles, index, word_encoder, lists_from=1, progress=lambda stage, *counts: told.update({stage: counts}))
    assert list(told) == [
        *("reading", "encoding", "writing", "comparing"),
        *("sorting", "listing", "vectors", "measuring", "words", "scoring", "sealing"),
    ]
    assert all(done == total for done, total in told.values())


def test_row_i_is_the_same_passage_in_all_three_stores(articles, index, word_encoder):
    build(articles, index, word_encoder)
    opened = open_index(index)
    for row, word in enumerate(["seafood", "Beijing"]):
        assert opened.lexical.scores([word.casefold()] if word != "Beijing" else ["beij"]).argmax() == row
        assert word in opened.store.passages_with_texts([row])[1][0]
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
    assert one.store.passages_with_texts(rows) == other.store.passages_with_texts(rows)
    assert (one.vectors.rows(list(rows)) == other.vectors.rows(list(rows))).all()
    assert one.lexical.scores(["minist"]).tolist() == other.lexical.scores(["minist"]).tolist()


def test_add_keeps_what_is_indexed_besides(articles, index, word_encoder, tmp_path):
    build(articles, index, word_encoder)
    (tmp_path / "more.txt").write_text("One more.\n\nIt came later.")
    report = build(tmp_path / "more.txt", index, word_encoder, add=True)
    assert report.added == ("more.txt",)
    assert open_index(index).store.article_ids() == ["ban.md", "more.txt", "talks.md"]


def test_add_mirrors_the_path_given_and_keeps_what_is_besides(articles, index, word_encoder, tmp_path):
    more = tmp_path / "more"
    more.mkdir()
    for name in ("one.txt", "two.txt"):
        (more / name).write_text(f"A text named {name}.\n\nIt came later.")
    build(articles, index, word_encoder)
    build(more, index, word_encoder, add=True)
    (more / "one.txt").unlink()
    (articles / "ban.md").unlink()  # not looked at, so not missed
    planned = plan_build([more], index=index, add=True, progress=lambda *_: None)
    report = build(more, index, word_encoder, add=True)
    assert planned.removed == report.removed == ("one.txt",)
    assert open_index(index).store.article_ids() == ["ban.md", "talks.md", "two.txt"]


def test_add_keeps_what_the_index_was_built_of_and_what_failed_there(articles, index, word_encoder, tmp_path):
    (articles / "broken.pdf").write_bytes(b"no PDF")
    more = tmp_path / "more.txt"
    more.write_text("One more.\n\nIt came later.")
    build(articles, index, word_encoder)
    build(more, index, word_encoder, add=True)
    manifest = open_index(index).manifest
    assert manifest.roots == (str(articles), str(more))
    assert [line["path"] for line in manifest.failed] == [f"{articles}/broken.pdf"]
    (articles / "broken.pdf").unlink()
    build(articles, index, word_encoder, add=True)
    manifest = open_index(index).manifest
    assert (manifest.roots, manifest.failed) == ((str(articles), str(more)), ())


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
    with pytest.raises(IndexBroken, match=r"passages\.max_tokens"):
        build(articles, index, word_encoder, settings=other)
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


def test_an_index_that_is_not_there_is_missing(index):
    with pytest.raises(IndexMissing, match="no index in"):
        open_index(index)


def test_checksums_tell_a_changed_file(articles, index, word_encoder):
    build(articles, index, word_encoder)
    opened = open_index(index)
    assert broken_files(opened.folder, opened.manifest) == []
    file = opened.folder / "vectors" / "vectors.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert broken_files(opened.folder, opened.manifest) == ["vectors/vectors.npy"]


@pytest.mark.parametrize("harm", ["truncate", "remove", "manifest", "format", "current"])
def test_a_broken_index_is_told_and_not_read(articles, index, word_encoder, harm):
    build(articles, index, word_encoder)
    folder = current_folder(index)
    if harm == "truncate":
        (folder / "vectors" / "vectors.npy").write_bytes(b"")
    elif harm == "remove":
        shutil.rmtree(folder / "lexical")
    elif harm == "manifest":
        (folder / "manifest.json").write_text("{")
    elif harm == "format":
        manifest = json.loads((folder / "manifest.json").read_text()) | {"format": 99}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    else:
        (index / "CURRENT").write_text("../../elsewhere")
    with pytest.raises(IndexBroken):
        open_index(index)


# Copies, empty files, and files that need not be read again


REPORT = (
    "China banned all seafood from Japan in August. The ministry in Tokyo protested the next day. Fishermen in "
    "Hokkaido lost their largest market. Scallops were hit hardest. The government promised them help from funds. "
    "Exporters looked for buyers in Vietnam and in Mexico instead. Talks between the two sides went on in Beijing."
)


def write_copies(folder):
    (folder / "agency.md").write_text(f"---\npublished: 2023-08-25\n---\n# Ban hits fishermen\n\n{REPORT}\n")
    (folder / "echo.md").write_text(f"---\npublished: 2023-08-27\n---\n# Echo\n\nAGENCY, Tokyo: {REPORT}\n")


def test_a_copy_is_told_and_kept_with_the_article_that_it_copies(articles, index, word_encoder):
    write_copies(articles)
    report = build(articles, index, word_encoder)
    again = build(articles, index, word_encoder)
    assert [(copy.article, copy.of) for copy in report.duplicates] == [("echo.md", "agency.md")]
    assert again.duplicates == report.duplicates
    assert open_index(index).store.copies == {"echo.md": "agency.md"}


def test_every_file_ends_as_one_thing(articles, index, word_encoder):
    (articles / "blank.txt").write_text(" \n")
    (articles / "binary.txt").write_bytes(b"\0\1\2")
    for number in range(2):
        report = build(articles, index, word_encoder)
        (articles / "new.md").write_text("# New\n\nIt came later.\n")
        names = [*report.added, *report.changed, *report.unchanged]
        names += [failure.path.rpartition("/")[2] for failure in [*report.empty, *report.failed]]
        there = ["ban.md", "binary.txt", "blank.txt", *(["new.md"] if number else []), "talks.md"]
        assert sorted(names) == there
    assert [failure.path.rpartition("/")[2] for failure in report.empty] == ["blank.txt"]
    assert open_index(index).manifest.empty[0]["path"] == report.empty[0].path


def test_a_failed_file_is_tried_again_each_time(articles, index, word_encoder):
    (articles / "late.txt").write_bytes(b"\0\1\2")
    build(articles, index, word_encoder)
    (articles / "late.txt").write_text("It was mended.")
    report = build(articles, index, word_encoder)
    assert (report.added, report.failed) == (("late.txt",), ())


def settle(folder):
    for file in folder.iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))


def test_files_that_did_not_change_are_not_read_again(articles, index, word_encoder, monkeypatch):
    settle(articles)
    build(articles, index, word_encoder)
    (articles / "talks.md").write_text("# Talks\n\nThe ministers met in Tokyo.\n")
    read = []
    reading = gathering.read_articles
    monkeypatch.setattr(gathering, "read_articles", lambda file: read.append(file.id) or reading(file))
    report = build(articles, index, word_encoder)
    assert (read, report.changed, report.unchanged) == (["talks.md"], ("talks.md",), ("ban.md",))


def test_a_change_that_keeps_size_and_time_a_moment_after_the_build_is_seen(articles, index, word_encoder):
    build(articles, index, word_encoder)
    status = (articles / "talks.md").stat()
    (articles / "talks.md").write_text((articles / "talks.md").read_text().replace("trade", "peace"))
    os.utime(articles / "talks.md", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert build(articles, index, word_encoder).changed == ("talks.md",)


def test_a_moved_folder_encodes_nothing_again(articles, index, word_encoder):
    build(articles, index, word_encoder)
    moved = articles.rename(articles.with_name("moved"))
    (moved / "talks.md").rename(moved / "renamed.md")
    report = build(moved, index, word_encoder)
    assert (report.encoded, report.added, report.removed) == (0, ("renamed.md",), ("talks.md",))


def test_a_changed_title_or_date_encodes_that_articles_passages_alone(articles, index, word_encoder):
    build(articles, index, word_encoder)
    text = (articles / "ban.md").read_text()
    for front in ("title: Seafood", "published: 2023-08-24"):
        (articles / "ban.md").write_text(f"---\n{front}\n---\n{text}")
        word_encoder.encoded.clear()
        report = build(articles, index, word_encoder)
        assert report.encoded == len(word_encoder.encoded) > 0
        assert all("seafood" in text.casefold() for text in word_encoder.encoded)


def test_add_lets_a_row_leave_that_its_file_has_lost(tmp_path, articles, index, word_encoder):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": "one", "text": "One."}\n{"id": "two", "text": "Two."}\n')
    build([articles, rows], index, word_encoder)
    rows.write_text('{"id": "one", "text": "One."}\n')
    report = build(rows, index, word_encoder, add=True)
    assert report.removed == ("two",)
    assert open_index(index).store.article_ids() == ["ban.md", "one", "talks.md"]


# Interruptions


class Interrupted(RuntimeError):
    pass


def test_an_interrupted_build_is_gone_on_with(articles, index, word_encoder):
    class Dying(type(word_encoder)):
        def encode_passages(self, texts, **options):
            if self.encoded:
                raise Interrupted
            return super().encode_passages(texts, **options)

    lines = "\n\n".join(f"Sentence number {number} of a long report on trade and fish." for number in range(500))
    (articles / "long.md").write_text(f"# Long\n\n{lines}\n")
    dying = Dying()
    with pytest.raises(Interrupted):
        build(articles, index, dying)
    report = build(articles, index, word_encoder)
    assert report.resumed == len(dying.encoded) > 0
    assert report.encoded == len(word_encoder.encoded) == report.passages - report.resumed
    assert not (index / "journal").exists()


def test_an_interruption_behind_the_switch_leaves_the_new_index(articles, index, word_encoder, monkeypatch):
    build(articles, index, word_encoder)
    (articles / "talks.md").write_text("# Talks\n\nThe ministers met in Tokyo.\n")
    switch = build_index.__globals__["switch"]

    def switch_and_die(*arguments):
        switch(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setitem(build_index.__globals__, "switch", switch_and_die)
    with pytest.raises(KeyboardInterrupt):
        build(articles, index, word_encoder)
    assert "Tokyo" in open_index(index).store.article("talks.md").text


def test_a_full_disk_is_told_and_leaves_the_last_index(articles, index, word_encoder, monkeypatch):
    first = build(articles, index, word_encoder)
    (articles / "talks.md").write_text("# Talks\n\nThe ministers met in Tokyo.\n")

    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(build_index.__globals__, "StoreWriter", full)
    with pytest.raises(RagError, match="no space left"):
        build(articles, index, word_encoder)
    monkeypatch.undo()
    assert open_index(index).manifest.content == first.content
    report = build(articles, index, word_encoder)
    assert (report.encoded, report.resumed) == (0, 1)


def test_a_folder_that_cannot_be_made_is_told(articles, tmp_path, word_encoder):
    (tmp_path / "file").write_text("")
    with pytest.raises(RagError, match="cannot be written") as error:
        build(articles, tmp_path / "file" / "index", word_encoder)
    assert "--index" in error.value.hint


def test_a_file_that_vanishes_while_it_is_read_fails_alone(articles, index, word_encoder, monkeypatch):
    find = gathering.find_files

    def find_and_lose(roots):
        files = find(roots)
        (articles / "talks.md").unlink()
        return files

    monkeypatch.setattr(gathering, "find_files", find_and_lose)
    report = build(articles, index, word_encoder)
    assert (report.added, len(report.failed)) == (("ban.md",), 1)


def test_the_lock_names_its_owner(articles, index, word_encoder):
    with writing(index), pytest.raises(RagError, match=rf"process {os.getpid()} on .*, since 20"):
        build(articles, index, word_encoder)
    build(articles, index, word_encoder)


# Generations


def rounds(articles, index, encoder, count, **options):
    for number in range(count):
        (articles / "talks.md").write_text(f"# Talks\n\nRound {number} of the talks.\n")
        build(articles, index, encoder, **options)


def test_keep_says_how_many_generations_are_kept(articles, index, word_encoder):
    rounds(articles, index, word_encoder, 4, keep=3)
    assert len(list((index / "generations").iterdir())) == 3
    build(articles, index, word_encoder, keep=1)
    assert [folder.name for folder in (index / "generations").iterdir()] == [current_folder(index).name]


def test_roll_back_makes_the_last_generation_current_again(articles, index, word_encoder):
    rounds(articles, index, word_encoder, 2)
    replaced, folder, _ = roll_back(index)
    assert (replaced, folder.name, current_folder(index)) == ("000002", "000001", folder)
    assert "Round 0" in open_index(index).store.article("talks.md").text
    with pytest.raises(RagError, match="no generation before 000001"):
        roll_back(index)


def test_what_was_rolled_back_from_leaves_with_the_next_build(articles, index, word_encoder):
    rounds(articles, index, word_encoder, 2)
    roll_back(index)
    build(articles, index, word_encoder)
    assert sorted(folder.name for folder in (index / "generations").iterdir()) == ["000001", "000003"]
    assert roll_back(index)[1].name == "000001"


def test_an_index_of_the_first_format_asks_for_a_rebuild(articles, index, word_encoder):
    build(articles, index, word_encoder)
    manifest = json.loads((current_folder(index) / "manifest.json").read_text()) | {"format": 1}
    (current_folder(index) / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IndexBroken, match="index format 1, this version reads 4"):
        build(articles, index, word_encoder)
    build(articles, index, word_encoder, rebuild=True)


def test_another_encoder_is_named_from_and_to(articles, index, word_encoder):
    build(articles, index, word_encoder)
    word_encoder.fingerprint = '{"weights": "abc", "max_tokens": 256}'
    with pytest.raises(IndexBroken, match=r"encoder words-1 → \(none\), encoder\.max_tokens \(none\) → 256"):
        build(articles, index, word_encoder)


# Size


def write_many(articles, count=30):
    for number in range(count):
        sentences = " ".join(
            f"The {number}th report names place {place} and {number * place} tons." for place in range(12)
        )
        (articles / f"report-{number}.md").write_text(f"# Report {number}\n\n{sentences}\n")


def files_of(index, *folders):
    current = current_folder(index)
    return {
        str(file.relative_to(current)): file.read_bytes()
        for folder in folders
        for file in sorted((current / folder).rglob("*"))
    }


def test_little_memory_makes_the_same_index(articles, index, word_encoder, tmp_path):
    write_many(articles)
    one = build(articles, index, word_encoder)
    other = build(articles, tmp_path / "small", word_encoder, memory_bytes=20_000)
    assert one.content == other.content
    assert files_of(index, "vectors", "lexical") == files_of(tmp_path / "small", "vectors", "lexical")
    assert open_index(index).store.outline() == open_index(tmp_path / "small").store.outline()


def test_the_manifest_tells_how_vectors_are_searched_and_what_was_measured(articles, index, word_encoder, monkeypatch):
    write_many(articles)
    measure = lists._measure
    monkeypatch.setattr(lists, "_measure", lambda *arguments: (measure(*arguments)[0], 0.0))
    build(articles, index, word_encoder, lists_from=20)
    opened = open_index(index)
    search = opened.manifest.search
    assert search["kind"] == "lists"
    assert search["recall_at_10"] >= 0.98
    assert search["compared"] < opened.manifest.passages
    _, (text,) = opened.store.passages_with_texts([5])
    vector = word_encoder.encode_queries([text])[0]
    scores = opened.vectors.rows(np.arange(opened.manifest.passages)) @ vector
    found, cosines = opened.vectors.search(vector, k=5)
    assert cosines == pytest.approx(np.sort(scores)[::-1][:5], abs=1e-6)
    assert scores[found] == pytest.approx(cosines, abs=1e-6)


def test_an_index_in_lists_is_updated_to_what_a_new_one_holds(articles, index, word_encoder, tmp_path):
    write_many(articles)
    build(articles, index, word_encoder, lists_from=20)
    (articles / "report-3.md").write_text("# Report 3\n\nNothing was sold.\n")
    (articles / "report-4.md").unlink()
    word_encoder.encoded.clear()
    updated = build(articles, index, word_encoder, lists_from=20)
    fresh = build(articles, tmp_path / "fresh", word_encoder, lists_from=20)
    assert (updated.encoded, updated.content) == (1, fresh.content)
    one, other = open_index(index), open_index(tmp_path / "fresh")
    rows = np.arange(one.manifest.passages)
    assert np.array_equal(one.vectors.rows(rows), other.vectors.rows(rows))
    assert one.store.passages_with_texts(rows.tolist()) == other.store.passages_with_texts(rows.tolist())


def test_opening_reads_no_file_whole(articles, index, word_encoder, monkeypatch):
    write_many(articles)
    build(articles, index, word_encoder)

    def read(file):
        raise AssertionError(f"{file} was read")

    monkeypatch.setattr(manifest, "checksum", read)
    opened = open_index(index)
    for mapped in (opened.vectors._vectors, opened.lexical._values, opened.lexical._rows, opened.lexical._starts):
        assert isinstance(mapped.base, np.memmap)


def test_an_index_of_the_format_before_lists_asks_for_a_rebuild(articles, index, word_encoder):
    build(articles, index, word_encoder)
    (current_folder(index) / "vectors.faiss").write_bytes(b"")
    written = json.loads((current_folder(index) / "manifest.json").read_text()) | {"format": 2}
    (current_folder(index) / "manifest.json").write_text(json.dumps(written))
    with pytest.raises(IndexBroken, match="index format 2, this version reads 4"):
        open_index(index)
    assert build(articles, index, word_encoder, rebuild=True).articles == 2
    assert open_index(index).manifest.format == 4


def test_a_set_of_questions_is_skipped_and_no_empty_file(articles, index, word_encoder):
    (articles / "questions.jsonl").write_text('{"question": "Who protested?"}\n')
    report = build(articles, index, word_encoder)
    assert (report.empty, report.failed) == ((), ())
    assert [failure.path.rpartition("/")[2] for failure in report.skipped] == ["questions.jsonl"]
    assert open_index(index).manifest.skipped[0]["reason"].endswith("a set of questions, not of articles")


def test_what_a_dead_build_staged_is_gone_with_the_next(articles, index, word_encoder):
    index.mkdir()
    (index / "staging.sqlite").write_bytes(b"half of it")
    build(articles, index, word_encoder)
    assert not (index / "staging.sqlite").exists()


class OtherEncoder(WordEncoder):
    fingerprint = "words-2"


def test_the_encoder_of_passages_is_chosen_once_and_kept(articles, index, word_encoder):
    asked, other = [], OtherEncoder()

    def choose(fingerprint, passages):
        asked.append((fingerprint, passages))
        return other

    first = build(articles, index, word_encoder, choose=choose)
    assert (open_index(index).manifest.encoder.fingerprint, asked) == ("words-2", [(None, first.passages)])
    (articles / "new.txt").write_text("A new article.\n\nIt says little.")
    build(articles, index, word_encoder, choose=choose)
    assert asked[1:] == [("words-2", 0)]
    assert word_encoder.encoded == []
    assert len(other.encoded) == open_index(index).manifest.passages


def test_the_manifest_names_what_made_the_last_vectors(articles, index, word_encoder):
    class Elsewhere(WordEncoder):
        backend = "another machine"

    build(articles, index, word_encoder)
    assert open_index(index).manifest.encoder.backend == "counting"
    (articles / "talks.md").unlink()  # nothing is encoded for that
    build(articles, index, Elsewhere())
    assert open_index(index).manifest.encoder.backend == "counting"
    (articles / "new.txt").write_text("A new article.\n\nIt says little.")
    build(articles, index, Elsewhere())
    assert open_index(index).manifest.encoder.backend == "another machine"


def test_an_index_that_is_to_be_in_another_precision_has_to_be_built_again(articles, index, word_encoder):
    build(articles, index, word_encoder)
    before = current_folder(index)
    with pytest.raises(IndexBroken, match="words-1 → words-2"):
        build(articles, index, word_encoder, choose=lambda _fingerprint, _passages: OtherEncoder())
    assert current_folder(index) == before


def test_vectors_of_another_precision_in_the_journal_are_not_taken(articles, index, word_encoder):
    index.mkdir()
    with Journal(index / "journal", fingerprint="words-2", dim=64) as journal:
        build(articles, index.with_name("probe"), word_encoder)
        digests = open_index(index.with_name("probe")).store.stored("ban.md").passage_hashes
        journal.append(digests[:1], word_encoder.encode_queries(["seafood"]))
    report = build(articles, index, word_encoder, choose=lambda _fingerprint, _passages: word_encoder)
    assert (report.resumed, report.encoded) == (0, report.passages)


def test_a_build_that_died_goes_on_under_the_encoder_that_was_chosen(articles, index, word_encoder):
    index.mkdir()
    with Journal(index / "journal", fingerprint="words-2", dim=64) as journal:
        probe = build(articles, index.with_name("probe"), OtherEncoder())
        store = open_index(index.with_name("probe")).store
        digest = next(iter(store.stored("ban.md").passage_hashes))
        journal.append([digest], OtherEncoder().encode_queries(["seafood"]))
    report = build(articles, index, word_encoder, choose=lambda _fingerprint, _passages: OtherEncoder())
    assert (report.resumed, report.encoded) == (1, probe.encoded - 1)


def test_an_index_below_its_articles_is_not_indexed(articles, word_encoder):
    first = build(articles, articles / "index", word_encoder)
    again = build(articles, articles / "index", word_encoder)
    assert again.content == first.content
    assert again.unchanged == ("ban.md", "talks.md")
    (articles / "generations").mkdir()
    (articles / "generations" / "x.md").write_text("# X\n\nA folder may have that name.\n")
    assert build(articles, articles / "index", word_encoder).added == ("generations/x.md",)


def test_what_is_added_may_not_take_the_id_of_what_is_there(tmp_path, articles, index, word_encoder):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "ban.md").write_text("# Another ban\n\nPeru banned plums.\n")
    build(articles, index, word_encoder)
    with pytest.raises(DuplicateArticle, match=r"articles/ban\.md and more/ban\.md:1|would both have the id ban\.md"):
        build(tmp_path / "more", index, word_encoder, add=True)
    assert open_index(index).store.article_ids() == ["ban.md", "talks.md"]
    (articles / "ban.md").unlink()
    assert build(tmp_path / "more", index, word_encoder, add=True).changed == ("ban.md",)


def test_a_stray_file_among_the_generations_is_let_be(articles, index, word_encoder):
    build(articles, index, word_encoder)
    (index / "generations" / ".DS_Store").write_bytes(b"x")
    (articles / "new.md").write_text("# New\n\nA mill was closed.\n")
    assert build(articles, index, word_encoder).added == ("new.md",)
    assert (index / "generations" / ".DS_Store").exists()


def test_what_other_code_read_is_read_anew_once(articles, index, word_encoder, monkeypatch):
    build(articles, index, word_encoder)
    for module in ("gathering", "build"):
        monkeypatch.setattr(f"rag.index.{module}.reading_code", lambda: "other")
    build(articles, index, word_encoder)
    assert open_index(index).manifest.reading == "other"


def test_what_was_wrong_elsewhere_is_kept_whatever_is_added(tmp_path, articles, index, word_encoder, monkeypatch):
    (articles / "broken.md").write_bytes(b"\xff\xfe\x00\xd8")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mill.md").write_text("# Mill\n\nA mill was closed.\n")
    build(articles, index, word_encoder)
    failed = open_index(index).manifest.failed
    monkeypatch.chdir(tmp_path / "notes")
    build(Path(), index, word_encoder, add=True)
    assert open_index(index).manifest.failed == failed != ()


def test_a_later_copy_of_a_feed_may_be_added(tmp_path, index, word_encoder):
    item = "<item><guid>g1</guid><title>Mill</title><description>A mill was closed in May.</description></item>"
    for day in ("1", "2"):
        (tmp_path / day).mkdir()
        feed = f'<rss version="2.0"><channel><title>News</title>{item}</channel></rss>'
        (tmp_path / day / f"{day}.rss").write_text(feed)
    build(tmp_path / "1", index, word_encoder)
    build(tmp_path / "2", index, word_encoder, add=True)
    assert len(open_index(index).store.article_ids()) == 1


def test_what_was_rolled_back_is_cleared_by_the_next_build(articles, index, word_encoder):
    build(articles, index, word_encoder)
    (articles / "new.md").write_text("# New\n\nAn okapi was seen.\n")
    build(articles, index, word_encoder)
    roll_back(index)
    (articles / "new.md").unlink()
    build(articles, index, word_encoder, keep=1)
    assert [folder.name for folder in (index / "generations").iterdir()] == [current_folder(index).name]
    assert open_index(index).store.article_ids() == ["ban.md", "talks.md"]
