import contextlib
import gzip
import os
from html import escape

import pytest
from documents import SENTENCES, atom, rss
from hypothesis import example, given
from hypothesis import strategies as st

from rag.articles import ArticleFile, find_files, read_articles
from rag.articles.extract import Item
from rag.articles.feed import read_feed
from rag.articles.feed_kind import is_feed
from rag.articles.furniture import find_furniture
from rag.errors import ArticleEmpty, ArticleError

RDF = (
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"'
    b' xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="https://g.example/"><title>The Gazette</title>'
    b"<dc:language>ja</dc:language></channel>"
    b'<item rdf:about="https://g.example/1"><title>A</title><link>https://g.example/1</link>'
    b"<dc:creator>B. C.</dc:creator>"
    b"<dc:date>2023-11-17T08:00:00+09:00</dc:date><description>Short.</description></item></rdf:RDF>"
)


def read(tmp_path, content, name="news.rss"):
    file = tmp_path / name
    file.write_bytes(content)
    return read_articles(ArticleFile(id=name, path=name, file=file))


def texts(content):
    return [item.text if isinstance(item, Item) else item.reason for item in read_feed(content)]


def test_an_item_of_rss_is_an_article_with_the_feeds_own_metadata(tmp_path):
    item = (
        "<title>The mill &amp;amp; the river</title><link>https://g.example/1</link>"
        "<guid isPermaLink='false'>g-1</guid><pubDate>Fri, 17 Nov 2023 23:30:00 -0500</pubDate>"
        "<author>a@g.example (A. B.)</author><category>Town</category>"
        "<description>Short.</description>"
        "<content:encoded><![CDATA[<p>It is <b>closed</b>.</p><ul><li>40 workers</li></ul>]]></content:encoded>"
    )
    ((article,), errors) = read(tmp_path, rss(item, channel="<title>The Gazette</title><language>en-gb</language>"))
    assert errors == []
    assert (article.id, article.path, article.title) == ("g-1", "news.rss", "The mill & the river")
    assert article.text == "It is closed.\n\n40 workers"
    assert (article.source, article.author, article.published) == ("The Gazette", "A. B.", "2023-11-17")
    assert (article.language, article.url) == ("en-gb", "https://g.example/1")
    assert article.metadata == {"categories": "Town"}
    assert set(article.origins.values()) == {"feed"}


def test_an_item_is_cited_by_the_line_that_it_begins_on(tmp_path):
    items = [f"\n<title>{name}</title>\n<description>It is {name}.</description>\n" for name in ("open", "closed")]
    content = rss(*items)
    articles, _ = read(tmp_path, content)
    lines = content.decode().split("\n")
    assert ["<item>" in lines[article.first_line - 1] for article in articles] == [True, True]
    assert articles[0].first_line < articles[1].first_line


def test_an_entry_of_atom_is_an_article_in_any_of_its_kinds_of_text(tmp_path):
    xhtml = (
        '<id>tag:1</id><title type="html">A &lt;i&gt;b&lt;/i&gt;</title><link rel="edit" href="https://g.example/edit"/>'
        '<link href="https://g.example/1"/><author><name>C</name></author><author><name>D</name></author>'
        '<updated>2023-11-17T08:00:00Z</updated><content type="xhtml"><x:div xmlns:x="http://www.w3.org/1999/xhtml">'
        "<x:p>One &lt; two.</x:p><x:p>Three.</x:p></x:div></content>"
    )
    plain = '<id>tag:2</id><content type="image/png">iVBORw0</content><summary type="text">1 &lt;b> 2</summary>'
    aggregated = "<id>tag:3</id><summary>x</summary><source><title>The Herald</title></source>"
    feed = "<title>The Gazette</title><author><name>E</name></author>"
    (one, two, three), _ = read(tmp_path, atom(xhtml, plain, aggregated, feed=feed), "news.atom")
    assert (one.title, one.text, one.url) == ("A b", "One < two.\n\nThree.", "https://g.example/1")
    assert (one.author, one.published, one.language, one.source) == ("C, D", "2023-11-17", "en", "The Gazette")
    assert (two.text, two.author) == ("1 <b> 2", "E")
    assert three.source == "The Herald"


def test_an_item_of_rss_1_is_an_article(tmp_path):
    ((article,), _) = read(tmp_path, RDF, "news.xml")
    assert (article.id, article.title, article.text) == ("https://g.example/1", "A", "Short.")
    assert (article.author, article.published, article.language) == ("B. C.", "2023-11-17", "ja")


def test_an_id_is_the_items_own_or_its_link_or_the_files_name_and_its_number(tmp_path):
    link = "<link>https://g.example/</link><description>x</description>"
    articles, _ = read(tmp_path, rss("<guid>g</guid>" + link, link, link, f"<guid>{'g' * 501}</guid><title>x</title>"))
    assert [article.id for article in articles] == ["g", "https://g.example/", "news.rss:3", "news.rss:4"]


def test_what_cannot_be_read_of_a_feed_is_named_by_item_and_spoils_no_other(tmp_path):
    articles, errors = read(
        tmp_path,
        rss("<guid>1</guid><title>A</title>", "<guid>1</guid><title>B</title>", "<guid>3</guid>", "<title>C</title>"),
    )
    assert [article.text for article in articles] == ["A", "C"]
    assert [(type(error), error.message) for error in errors] == [
        (ArticleError, "cannot read news.rss, item 2: it has the id 1, and so has item 1"),
        (ArticleEmpty, "cannot read news.rss, item 3: it holds no text"),
    ]


def test_a_feed_that_breaks_off_gives_what_stands_before_and_says_where(tmp_path):
    content = rss("<title>A</title>", "<title>B</title>", "<title>C</tilt>", "<title>D</title>")
    articles, (error,) = read(tmp_path, content)
    assert [article.text for article in articles] == ["A", "B"]
    assert "item 3: not XML" in error.message
    assert "line 4" in error.message


def test_a_feed_without_items_is_empty_and_another_file_is_no_feed(tmp_path):
    with pytest.raises(ArticleEmpty, match="no items"):
        read(tmp_path, rss())
    with pytest.raises(ArticleError, match="no feed: its first element is <html>"):
        read(tmp_path, b"<html><body><item>x</item></body></html>")


def test_slips_that_mean_one_thing_are_mended():
    content = b"\n \n" + rss(
        "<description>AT&T &nbsp;caf&eacute; \x0b &#11; &unknown; &amp;lt; \x08</description>",
        "<title><![CDATA[A&nbsp;B & C]]></title>",
    )
    assert texts(content) == ["AT&T \xa0café \ufffd \ufffd &unknown; < \ufffd", "A\xa0B & C".replace("\xa0", " ")]


@pytest.mark.parametrize("name", ["a:b:c", "a::b", "a\ufffd"])
def test_a_name_that_lxml_would_not_give_is_an_error_at_the_root_and_means_nothing_elsewhere(name):
    with pytest.raises(ArticleError, match="no feed"):
        read_feed(f"<{name}/>".encode())
    assert texts(rss(f"<description><{name}>One</{name}> two</description>")) == ["One two"]


def test_a_prefix_that_nobody_declared_is_no_break_and_a_second_root_is_one():
    item = "<description>Short.</description><content:encoded>Long.</content:encoded><media:x>y</media:x>"
    content = rss(item, "<title>B</title>").replace(b"xmlns:content", b"xmlns:c")
    assert texts(content) == ["Long.", "B"]
    whole, broken = texts(rss("<title>A</title>") + rss("<title>B</title>"))
    assert (whole, "not XML" in broken) == ("A", True)


def test_an_item_nested_in_another_or_in_a_foreign_element_is_none():
    content = rss("<title>A</title><item><title>B</title></item>").replace(
        b"</channel>", b'<x:item xmlns:x="urn:x"><title>C</title></x:item></channel>'
    )
    assert texts(content) == ["A"]


@pytest.mark.parametrize(
    ("written", "published"),
    [
        ("Fri, 17 Nov 2023 08:00:00 GMT", "2023-11-17"),
        ("17 Nov 23 08:00 EST", "2023-11-17"),
        ("Fri Nov 17 08:00:00 2023", "2023-11-17"),
        ("Fri, 17-Nov-2023 08:00:00 GMT", "2023-11-17"),
        ("2023-11-17T08:00:00.123+09:00", "2023-11-17"),
        ("2023年11月17日", "2023-11-17"),
        ("2023-11", "2023-11"),
        ("4/5/2023", None),
        ("Fri, 32 Nov 2023 08:00:00 GMT", None),
        ("yesterday", None),
    ],
)
def test_a_date_in_any_form_is_read_and_one_that_is_none_is_kept_as_it_is_written(tmp_path, written, published):
    item = f"<pubDate>{written}</pubDate><description>Posted on 3 May 2001\n\n{SENTENCES}</description>"
    ((article,), _) = read(tmp_path, rss(item))
    assert article.published == published
    assert article.metadata.get("published") == (None if published else written)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030", "shift_jis"])
def test_a_feed_in_another_encoding_loses_no_character(encoding):
    text = "会議は昨日東京で開かれ、両国の代表は意見を交わした。"
    content = rss(f"<description>{text}</description>").decode().replace('"utf-8"', f'"{encoding}"').encode(encoding)
    assert is_feed(content)
    assert texts(content) == [text]


def test_furniture_of_an_item_is_marked_where_it_stands(tmp_path):
    ((article,), _) = read(
        tmp_path,
        rss("<description>&lt;p>One.&lt;/p>&lt;p>Leave a Reply&lt;/p>&lt;p>Two.&lt;/p></description>"),
    )
    assert [article.text[span.start : span.end] for span in article.furniture] == ["Leave a Reply"]


@pytest.mark.parametrize("content", [rss("<title>A</title>"), atom("<title>A</title>"), RDF])
@pytest.mark.parametrize(
    "before", ["", "\ufeff", "\n", "<!-- <html> -->\n<?style a?>", "<!DOCTYPE rss PUBLIC 'a' 'b'>"]
)
def test_an_xml_file_with_a_feed_in_it_is_an_article_file(tmp_path, content, before):
    (tmp_path / "a.xml").write_bytes(before.encode() + (content.partition(b"?>")[2] or content))
    (tmp_path / "b.xml.gz").write_bytes(gzip.compress(content))
    assert [file.id for file in find_files([tmp_path])] == ["a.xml", "b.xml.gz"]
    assert [file.id for file in find_files([tmp_path / "a.xml"])] == ["a.xml"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"rss",
        b"<html><rss/></html>",
        b"<feed/>",
        b'<feed xmlns="urn:x"/>',
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>',
        b"<!-- <rss/> --><urlset/>",
        b"<" * 100_000,
        b" " * 70_000 + b"<rss/>",
    ],
)
def test_another_xml_file_is_no_article_file(tmp_path, content):
    (tmp_path / "a.xml").write_bytes(content)
    (tmp_path / "b.xml.gz").write_bytes(content)
    assert find_files([tmp_path]) == []
    with pytest.raises(ArticleError, match="not in a format"):
        find_files([tmp_path / "a.xml"])


def test_an_xml_file_is_not_opened_through_a_link_out_of_the_folder(tmp_path):
    (tmp_path / "out.xml").write_bytes(rss("<title>A</title>"))
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "link.xml").symlink_to(tmp_path / "out.xml")
    found = find_files([folder])
    assert [(file.id, file.refused) for file in found] == [("link.xml", "it is a link out of the folder")]
    with pytest.raises(ArticleError, match="it is a link out of the folder"):
        read_articles(found[0])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_that_is_called_xml_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.xml")
    assert find_files([tmp_path]) == []


PARAGRAPHS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20),
    min_size=1,
    max_size=4,
)
WRAPPED = {
    "escaped": lambda page: f"<description>{escape(page)}</description>",
    "full": lambda page: f"<description>no</description><content:encoded>{escape(page)}</content:encoded>",
    "cdata": lambda page: f"<description><![CDATA[{page}]]></description>",
}


@given(st.lists(st.tuples(PARAGRAPHS, st.sampled_from(list(WRAPPED))), min_size=1, max_size=4))
@example([(["\u0338a", "]]&gt;"], "cdata")])
def test_every_paragraph_of_every_item_comes_back_as_it_was_written(items):
    pages = [("".join(f"<p>{escape(text)}</p>" for text in paragraphs), how) for paragraphs, how in items]
    found = read_feed(rss(*(WRAPPED[how](page) for page, how in pages)))
    expected = ["\n\n".join(paragraphs) for paragraphs, _ in items]
    assert [item.text for item in found] == [normal(text) for text in expected]
    for item in found:
        assert all(0 <= span.start < span.end <= len(item.text) for span in find_furniture(item.text))


def normal(text):
    from unicodedata import normalize

    return normalize("NFC", text)


@given(st.data())
def test_a_feed_that_is_cut_anywhere_gives_a_prefix_of_its_items_and_says_so(data):
    content = rss(*(f"<guid>{number}</guid><description>{SENTENCES}</description>" for number in range(4)))
    whole = read_feed(content)
    cut = data.draw(st.integers(0, len(content) - 1))
    found = []
    with contextlib.suppress(ArticleError):
        found = read_feed(content[:cut])
    if found:
        assert "not XML" in found[-1].reason
        assert found[:-1] == whole[: len(found) - 1]
