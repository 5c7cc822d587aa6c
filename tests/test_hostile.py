"""Files made to break their reader: each is one failure with its reason, and everything beside it is indexed."""

import gzip
import os
import re
import socket
import zlib
from pathlib import Path

import pytest
from documents import WORD, archive, atom, docx, epub, paragraph, pdf, pdf_of, rss, stream

from rag.articles import reading
from rag.articles.sandbox import Limits, Sandbox
from rag.errors import ArticleError
from rag.index.build import BuildSettings, build_index
from rag.index.generations import open_index
from rag.render import escape

SETTINGS = BuildSettings(max_tokens=62, overlap_sentences=1, k1=1.2, b=0.75)
GOOD = "The old bridge was opened in 1905 and paid for by the town."
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {later} "{f"&{earlier};" * 10}">' for earlier, later in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "good.md").write_text(GOOD, encoding="utf-8")
    return folder


@pytest.fixture
def failures(folder, word_encoder):
    """Return a function that builds the index, and gives the failures' reasons by the path below the folder."""

    def build():
        report = build_index(
            [folder],
            index=folder.parent / "index",
            encoder=word_encoder,
            settings=SETTINGS,
            add=False,
            rebuild=False,
            progress=lambda *_: None,
        )
        assert "good.md" in report.added + report.unchanged
        return {os.path.relpath(failure.path, folder): failure.reason for failure in report.failed + report.empty}

    return build


@pytest.fixture
def hurried(monkeypatch):
    """Make the sandbox one that waits for three seconds only."""
    sandbox = Sandbox(Limits(seconds=3, memory_megabytes=1024))
    monkeypatch.setattr(reading, "SANDBOX", sandbox)
    yield
    sandbox.close()


def xml_bomb(root):
    return f"{LAUGHS}]>{root}"


def body(text):
    return f'<w:document xmlns:w="{WORD}"><w:body>{paragraph(text)}</w:body></w:document>'


CASES = {
    "binary.txt": (b"\x7fELF\x02\x01\x01\x00\x00\x00" * 50, "binary"),
    "picture.md": (b"\x89PNG\r\n\x1a\n", "binary"),
    "alias.md": (b"---\na: &a [x]\nb: *a\n---\nText.", "anchor, alias or tag"),
    "tag.md": (b"---\na: !!python/object/apply:os.system [id]\n---\nText.", "anchor, alias or tag"),
    "deep.md": (b"---\na: " + b"[" * 5000 + b"\n---\nText.", "deep"),
    "deep.html": (b"<p>A text. " + b"<div>" * 100_000 + b"deep" + b"</div>" * 100_000, "nested too deeply"),
    "deep.docx": (docx("<w:sdt>" * 9000 + paragraph("x") + "</w:sdt>" * 9000), "depth"),
    "deep.epub": (epub("<div>" * 9000 + "x"), "nested too deeply"),
    "laughs.docx": (docx("", document=xml_bomb(body("&j;"))), "entit"),
    "outside.docx": (
        docx("", document=f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hosts">]>{body("&a;")}'),
        "declares XML entities",
    ),
    "laughs.epub": (epub("x", others={"META-INF/container.xml": xml_bomb("<container>&j;</container>")}), "entit"),
    "laughs.rss": (rss("<description>&j;</description>", before=f"{LAUGHS}]>"), "document type of its own"),
    "laughs.xml": (rss("<description>&j;</description>", before=f"{LAUGHS}]>"), "document type of its own"),
    "outside.atom": (
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hosts">]>' + atom("<summary>&a;</summary>"),
        "document type of its own",
    ),
    "parameter.rss": (
        rss("<title>x</title>", before='<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/hosts"> %a;]>'),
        "document type of its own",
    ),
    "deep.rss": (rss("<title>" + "<a>" * 9000), "depth"),
    "deepish.atom": (atom(f"<summary type='html'>{'&lt;div>' * 100_000}deep</summary>"), "nested too deeply"),
    "broken.rss": (rss("<title>x</titl>"), "not XML"),
    "page.rss": (b"<html><body>x</body></html>", "no feed"),
    "nothing.atom": (atom(), "no items"),
    "silent.rss": (rss("<guid>1</guid>"), "no text"),
    "binary.rss": (b"\x7fELF\x02\x01\x01\x00\x00\x00" * 50, "binary"),
    "cut.rss.gz": (gzip.compress(rss("<title>x</title>"))[:-9], "broken gzip"),
    "nothing.docx": (archive({"a.txt": "x"}), "no Word document"),
    "nothing.epub": (archive({"a.txt": "x"}), "no book"),
    "junk.docx": (b"PK\x03\x04junk", "no zip file"),
    "junk.pdf": (b"%PDF-1.7 junk", "broken PDF"),
    "scanned.pdf": (pdf("", ""), r"no text \(scanned\?\)"),
    "ring.pdf": (
        pdf_of(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 9999 >>"),
        "broken PDF",
    ),
    "junk.txt.gz": (b"\x1f\x8bjunk", "broken gzip"),
    "cut.md.gz": (gzip.compress(b"A text. " * 99)[:-9], "broken gzip"),
    "deep.jsonl": (b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON"),
    "deepish.jsonl": (b'{"text": ' + b"[" * 900 + b"]" * 900 + b"}", "no row"),
    "open.csv": (b'text\n"never closed ' + b"x" * 6_000_000, "not CSV"),
}


def test_each_hostile_file_fails_for_its_own_reason_and_the_rest_is_indexed(folder, failures):
    for name, (content, _) in CASES.items():
        (folder / name).write_bytes(content)
    found = failures()
    assert found.keys() == CASES.keys()
    unexplained = {name: found[name] for name, (_, reason) in CASES.items() if not re.search(reason, found[name])}
    assert unexplained == {}
    assert failures() == found  # when there is an index already


def test_a_feed_that_takes_the_ids_of_others_loses_these_items_and_the_rest_is_indexed(folder, failures):
    items = ["<guid>good.md</guid><title>A</title>", "<guid>b</guid><title>B</title>"]
    (folder / "a.rss").write_bytes(rss(*items))
    (folder / "b.atom").write_bytes(atom("<id>b</id><summary>C</summary>", "<id>c</id><summary>D</summary>"))
    found = failures()
    assert "good.md and " in found["a.rss"]
    assert "have the same id good.md" in found["a.rss"]
    assert "have the same id b" in found["b.atom"]
    assert failures() == found
    assert sorted(open_index(folder.parent / "index").store.article_ids()) == ["b", "c", "good.md"]


def test_an_id_that_an_unchanged_feed_shares_with_a_new_one_stays_with_the_first_by_name(folder, failures):
    (folder / "b.rss").write_bytes(rss("<guid>x</guid><title>B</title>", "<guid>y</guid><title>C</title>"))
    assert failures() == {}
    (folder / "a.rss").write_bytes(rss("<guid>x</guid><title>A</title>"))
    assert "have the same id x" in failures()["b.rss"]
    store = open_index(folder.parent / "index").store
    assert (store.article("x").text, store.article("y").text) == ("A", "C")


def test_the_outside_is_not_read_through_an_entity(folder, failures, tmp_path):
    (tmp_path / "secret.txt").write_text("Secret.", encoding="utf-8")
    outside = f'<!DOCTYPE rss SYSTEM "{(tmp_path / "secret.txt").as_uri()}">'
    (folder / "dtd.rss").write_bytes(rss("<guid>x</guid><description>One &a; two.</description>", before=outside))
    assert failures() == {}
    assert open_index(folder.parent / "index").store.article("x").text == "One &a; two."


def test_a_line_of_two_gigabytes_is_not_read(folder, failures):
    with (folder / "line.txt").open("wb") as file:
        file.truncate(2 * 2**30)
    for name in ("line.jsonl", "line.rss"):
        with (folder / name).open("wb") as file:
            file.truncate(2 * 2**30)
    found = failures()
    assert "larger than 32 MB" in found["line.txt"]
    assert "larger than 256 MB" in found["line.jsonl"]
    assert "larger than 256 MB" in found["line.rss"]


def test_what_unpacks_to_more_than_the_limit_is_not_unpacked(folder, failures):
    (folder / "bomb.txt.gz").write_bytes(gzip.compress(bytes(33 * 2**20), compresslevel=1))
    zeros = bytes(257 * 2**20)
    (folder / "bomb.docx").write_bytes(archive({"word/document.xml": zeros}))
    found = failures()
    assert "unpacks to more than 32 MB" in found["bomb.txt.gz"]
    assert "unpacks to more than 256 MB" in found["bomb.docx"]


def test_an_archive_that_lies_about_its_sizes_is_refused(folder, failures):
    honest = archive({"word/document.xml": body("x" * 5000)})
    size = len(body("x" * 5000)).to_bytes(4, "little")
    (folder / "liar.docx").write_bytes(honest.replace(size, (100).to_bytes(4, "little")))
    assert "cannot be unpacked" in failures()["liar.docx"]


@pytest.mark.usefixtures("hurried")
def test_a_pdf_that_takes_forever_is_ended(folder, failures):
    entries = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X %d 0 R >> >>"
    forms = [stream(b"/X Do " * 10, entries % number) for number in range(6, 18)]
    (folder / "laughs.pdf").write_bytes(
        pdf(b"/X Do", objects=[*forms, stream(b"", entries % 5)], resources="/XObject << /X 5 0 R >>")
    )
    # On a slow machine the memory that the forms take runs out before the time does.
    assert re.search("takes longer than 3 s|memory|crashed", failures()["laughs.pdf"])


@pytest.mark.usefixtures("hurried")
def test_a_pdf_that_eats_memory_is_ended(folder, failures):
    content = zlib.compress(b"BT /F 12 Tf (x) Tj ET\n" * 9_000_000)
    (folder / "bomb.pdf").write_bytes(pdf(content, filters="/Filter /FlateDecode"))
    assert re.search("crashed|memory|longer", failures()["bomb.pdf"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_sockets_and_devices_are_not_waited_for(folder, failures, monkeypatch):
    os.mkfifo(folder / "pipe.md")
    monkeypatch.chdir(folder)  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.txt")
        (folder / "device.txt").symlink_to("/dev/zero")
        found = failures()
    assert "not a regular file" in found["pipe.md"]
    assert "not a regular file" in found["socket.txt"]
    assert "out of the folder" in found["device.txt"]


def test_links_are_followed_neither_around_nor_out_nor_to_nowhere(folder, failures):
    secret = folder.parent / "secret.txt"
    secret.write_text("Secret.", encoding="utf-8")
    (folder / "out.txt").symlink_to(secret)
    (folder / "up").symlink_to(folder.parent)
    (folder / "around").symlink_to(folder)
    (folder / "ring.md").symlink_to(folder / "ring.md")
    (folder / "gone.md").symlink_to(folder / "nowhere.md")
    found = failures()
    assert sorted(found) == ["gone.md", "out.txt", "ring.md", "up"]
    assert "out of the folder" in found["out.txt"]
    assert "leads nowhere" in found["ring.md"]


@pytest.mark.parametrize("name", ["new\nline.txt", "\x1b]0;title\x07.txt", "\u202egpj.txt"])
def test_a_name_with_control_characters_is_reported_escaped(folder, failures, name):
    (folder / name).write_bytes(b"\x00")
    reason = failures()[name]
    assert not re.search("[\x1b\x07\u202e]", escape(reason))


def test_a_name_that_is_not_unicode_is_reported_and_the_rest_indexed(folder, failures):
    try:
        (folder / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"Text.")
    except OSError:
        pytest.skip("the file system takes no such name")
    assert "not valid Unicode" in failures()[r"caf\xe9.txt"]
    assert "not valid Unicode" in failures()[r"caf\xe9.txt"]  # when there is an index already


def test_a_folder_whose_name_is_not_unicode_is_reported_and_the_rest_indexed(folder, word_encoder, monkeypatch):
    odd = folder.parent / os.fsdecode(b"caf\xe9")
    try:
        odd.mkdir()
    except OSError:
        pytest.skip("the file system takes no such name")
    (odd / "text.md").write_text("The mill was closed in 1988.", encoding="utf-8")
    monkeypatch.chdir(odd)  # so that no path that is typed has the name in it
    options = {"add": False, "rebuild": False, "progress": lambda *_: None, "settings": SETTINGS}
    for _ in range(2):
        report = build_index([Path(), folder], index=folder.parent / "index", encoder=word_encoder, **options)
        assert [failure.path for failure in report.failed] == ["text.md"]
        assert "not valid Unicode" in report.failed[0].reason
        assert report.articles == 1


def test_a_worker_that_was_killed_is_started_again():
    sandbox = Sandbox()
    page = b"<html><body><p>Short.</p></body></html>"
    first = sandbox.read(page, suffix=".html")
    sandbox._worker._process.kill()
    assert sandbox.read(page, suffix=".html") == first
    sandbox.close()


def test_too_much_text_is_an_error_and_the_next_document_is_read():
    sandbox = Sandbox(Limits(answer_megabytes=1))
    with pytest.raises(ArticleError, match="more than 1 MB"):
        sandbox.read(docx(paragraph("x" * 2**21)), suffix=".docx")
    assert sandbox.read(docx(paragraph("x")), suffix=".docx").text == "x"
    sandbox.close()


def test_nothing_is_imported_from_the_folder_that_is_read(tmp_path, monkeypatch):
    (tmp_path / "lxml.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    sandbox = Sandbox()
    assert sandbox.read(docx(paragraph("x")), suffix=".docx").text == "x"
    sandbox.close()
