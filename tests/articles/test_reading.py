import subprocess
import sys

import pytest

from rag.articles import ArticleFile, read_article
from rag.errors import ArticleError

BODY = "".join(
    f"<p>Paragraph {number} tells at some length how the old bridge was built, and who paid for it in the end.</p>"
    for number in range(8)
)
PAGE = f"""<!DOCTYPE html><html lang="en-GB"><head>
<title>The old bridge - The Courier</title>
<meta property="og:title" content="The old bridge"><meta property="og:site_name" content="The Courier">
<meta name="author" content="Ada Marsh"><meta property="article:published_time" content="2023-11-17T08:00:00Z">
<link rel="canonical" href="https://courier.example.org/bridge"></head>
<body><nav><a href="/">Home</a><a href="/x">News</a></nav>
<article><h1>The old bridge</h1>{BODY}
<table><tr><th>Span</th><th>Metres</th></tr><tr><td>North</td><td>112</td></tr></table></article>
<section id="comments"><p>First comment of a reader.</p></section><footer>Imprint</footer></body></html>"""


def read(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_article(ArticleFile(id=name, path=f"seeds/{name}", file=file))


def test_front_matter_outranks_the_text_and_origins_say_so(tmp_path):
    article = read(
        tmp_path,
        "x.md",
        "---\ntitle: A\npublished: 17 Nov 2023\nmood: good\n---\n\n# B\n\nThe text of the day is this.\n",
    )
    assert (article.title, article.published, article.language) == ("A", "2023-11-17", "en")
    assert article.origins == {"title": "front matter", "published": "front matter", "language": "text"}
    assert article.metadata == {"mood": "good"}


def test_lines_are_those_of_the_file(tmp_path):
    content = "---\ntitle: A\n---\r\n\nFirst.\nSecond."
    article = read(tmp_path, "x.txt", content)
    assert article.line_of(article.text.index("Second")) == content.split("\n").index("Second.") + 1


def test_the_text_is_the_files_own_but_for_normal_forms(tmp_path):
    article = read(tmp_path, "x.txt", "\ufeff\n\nCafe\u0301 one.\r\n\r\nAdvertisement\r\nTwo.\r\n")
    assert article.text == "Café one.\n\nAdvertisement\nTwo."
    assert [article.text[span.start : span.end] for span in article.furniture] == ["Advertisement"]
    assert (article.id, article.path, article.first_line) == ("x.txt", "seeds/x.txt", 3)


def test_an_article_that_names_no_title_is_called_as_its_file(tmp_path):
    article = read(tmp_path, "old-bridge.txt", "It is open.")
    assert (article.title, article.origins["title"]) == ("old bridge", "file name")


def test_a_page_gives_its_main_text_and_metadata(tmp_path):
    article = read(tmp_path, "x.html", PAGE)
    assert all(f"Paragraph {number} tells" in article.text for number in range(8))
    assert "112" in article.text
    assert not any(word in article.text for word in ("Imprint", "Home", "comment"))
    assert (article.title, article.source, article.author) == ("The old bridge", "The Courier", "Ada Marsh")
    assert (article.published, article.language) == ("2023-11-17", "en-GB")
    assert article.url == "https://courier.example.org/bridge"
    assert set(article.origins.values()) == {"html"}


def test_a_page_is_read_in_the_encoding_that_it_declares(tmp_path):
    page = PAGE.replace("<head>", '<head><meta charset="windows-1252">').replace("old bridge", "alte Brücke")
    assert "alte Brücke" in read(tmp_path, "x.htm", page.encode("cp1252")).text


def test_a_page_without_a_main_part_gives_all_its_text(tmp_path):
    assert "Short." in read(tmp_path, "x.html", "<html><body><p>Short.</p></body></html>").text


@pytest.mark.parametrize("page", ["<article><h1>陳外相が来日</h1>{}</article>", "{}"])
def test_the_readings_beside_characters_are_left_out_and_blocks_stay_apart(tmp_path, page):
    body = (
        "<p>中国の<ruby>陳<rp>(</rp><rt>チン</rt><rp>)</rp></ruby>外相は<ruby>東京<rt>とうきょう</ruby>に来た。</p>"
        "<p>首相が迎えた。</p>"
    )
    lines = read(tmp_path, "x.html", f"<html><body>{page.format(body)}</body></html>").text.split("\n")
    assert "中国の陳外相は東京に来た。" in lines
    assert "首相が迎えた。" in lines


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 20_000 + "deep" + "</div>" * 20_000,
        "<html><p>" + "<b><i>" * 5_000 + "unclosed",
        "<table>" * 300 + "<tr><td>x",
        "<<<>>>&#0;&#xD800;&bogus;",
        "not a page at all",
        "<?xml version='1.0' encoding='utf-8'?><html><body><p>text</p></body></html>",
        "<html></html>",
        "<!--",
    ],
)
def test_a_broken_page_is_text_or_an_error(tmp_path, page):
    try:
        outcome = read(tmp_path, "x.html", page).text
    except ArticleError as error:
        outcome = error.message
    assert outcome.strip()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.txt", b"", "no text"),
        ("x.md", b"---\ntitle: A\n---\n \n", "no text"),
        ("x.txt", b"\x89PNG\r\n\x1a\n\x00", "binary"),
        ("x.md", b"---\ntitle: [\n---\nText.", "line 3"),
        ("x.rtf", b"{}", "format"),
        ("x.pdf", b"%PDF-", "broken PDF"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_reason(tmp_path, name, content, reason):
    with pytest.raises(ArticleError, match=reason) as caught:
        read(tmp_path, name, content)
    assert f"seeds/{name}" in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(ArticleError, match=r"seeds/x\.txt"):
        read_article(ArticleFile(id="x.txt", path="seeds/x.txt", file=tmp_path / "x.txt"))


def test_importing_the_package_loads_no_format_library():
    libraries = ["trafilatura", "lxml", "yaml", "charset_normalizer", "pypdfium2"]
    code = f"import sys, rag.articles, rag.passages; print([name for name in {libraries} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
