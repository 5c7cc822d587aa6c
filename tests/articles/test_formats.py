import gzip

import pytest
from documents import docx, epub, paragraph, pdf

from rag.articles import ArticleFile, read_articles
from rag.articles.decode import decode
from rag.articles.docx import read_docx
from rag.articles.epub import read_epub
from rag.articles.pdf import read_pdf
from rag.errors import ArticleError


def read(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    return read_articles(ArticleFile(id=name, path=name, file=file))


def test_the_pages_of_a_pdf_begin_where_the_metadata_says(tmp_path):
    ((article,), _) = read(
        tmp_path, "x.pdf", pdf("First page\nends.", "Second page goes", "on here.", info="/Title (A b)")
    )
    starts = [int(start) for start in article.metadata["pages"].split(",")]
    assert [article.text[start:].split()[0] for start in starts] == ["First", "Second", "on"]
    assert article.text == "First page\nends.\n\nSecond page goes\non here."
    assert (article.title, article.origins["title"]) == ("A b", "pdf")


def test_the_properties_of_a_pdf_that_a_program_wrote_are_no_title_and_no_date_of_publication():
    found = read_pdf(
        pdf("Text.", info="/Title (Microsoft Word - x.docx) /Author (A. B.) /CreationDate (D:20231117120000)")
    )
    assert found.fields == {"title": None, "author": "A. B."}
    assert found.others == {"pages": "0", "created": "2023-11-17"}


def test_a_word_document_gives_all_that_is_seen_on_paper_in_order():
    row = f"<w:tr><w:tc>{paragraph('a')}</w:tc><w:tc>{paragraph('b')}</w:tc></w:tr>"
    body = (
        f"{paragraph('One.')}<w:sdt><w:sdtContent>{paragraph('Two.')}</w:sdtContent></w:sdt><w:tbl>{row}</w:tbl>"
        "<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:hyperlink><w:r><w:t>Three</w:t></w:r></w:hyperlink>"
        "<w:r><w:br/><w:t>lines.</w:t></w:r></w:p>"
    )
    core = (
        "<dc:title>A b</dc:title><dc:creator>C. D.</dc:creator><dcterms:created>2023-11-17T08:00:00Z</dcterms:created>"
    )
    found = read_docx(docx(body, core=core))
    assert found.text == "One.\n\nTwo.\n\na | b\n\nThree\nlines."
    assert (found.fields["title"], found.fields["author"]) == ("A b", "C. D.")
    assert found.others == {"created": "2023-11-17"}


def test_the_notes_of_a_word_document_follow_its_text():
    body = f'<n xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">{paragraph("Note.")}</n>'
    assert read_docx(docx(paragraph("One."), others={"word/footnotes.xml": body})).text == "One.\n\nNote."


def test_a_book_is_its_chapters_in_reading_order_with_its_own_metadata():
    core = "<dc:title>Book</dc:title><dc:creator>A</dc:creator><dc:creator>B</dc:creator><dc:date>2020-01-02</dc:date>"
    found = read_epub(
        epub("<h1>One</h1><p>a&nbsp;<i>b</i><br/>c</p>", "<p>橋<ruby>本<rt>もと</rt></ruby></p>", core=core)
    )
    assert found.text == "One\n\na b\nc\n\n橋本"
    assert (found.fields["title"], found.fields["author"], found.fields["published"]) == ("Book", "A, B", "2020-01-02")


def test_a_csv_row_is_an_article_and_its_other_columns_are_metadata(tmp_path):
    content = b'ID;Title;text;mood\n7;A;"One;\ntwo.";good\n;B;Three.;\n;;;\nx;y;z;1;2\n'
    (one, two), errors = read(tmp_path, "x.csv", content)
    assert (one.id, one.title, one.text, one.metadata, one.first_line) == ("7", "A", "One;\ntwo.", {"mood": "good"}, 2)
    assert (two.id, two.text) == ("x.csv:4", "Three.")
    assert [error.message for error in errors] == ["cannot read x.csv:6: it has 5 columns, the head 4"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("old-bridge.txt.gz", b"It is open."),
        ("old-bridge.html.gz", b"<html><body><p>It is open.</p></body></html>"),
        ("old-bridge.jsonl.gz", b'{"text": "It is open.", "title": "old bridge"}'),
        ("old-bridge.csv.gz", b"title,text\nold bridge,It is open.\n"),
    ],
)
def test_packed_text_reads_as_what_is_in_it(tmp_path, name, content):
    ((article,), _) = read(tmp_path, name, gzip.compress(content))
    assert (article.title, article.text) == ("old bridge", "It is open.")


CHINESE = "会议昨天在北京举行，双方就贸易和投资问题交换了意见。"
TAIWANESE = "會議昨天在臺北舉行，雙方就貿易和投資問題交換了意見。"
JAPANESE = "会議は昨日東京で開かれ、両国の代表は意見を交わした。"
KOREAN = "회의는 어제 서울에서 열렸으며 양측은 의견을 교환했다."
FRENCH = "Le café « déjà vu » était fermé à l’été ; l’élève a été reçu."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "gb18030"),
        (TAIWANESE, "big5"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        (KOREAN, "cp949"),
        (FRENCH, "cp1252"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy, které všichni znali.", "cp1250"),
        ("The bridge was opened.", "utf-16-le"),
        ("The bridge was opened.", "utf-16-be"),
    ],
)
def test_one_sentence_is_enough_to_know_its_encoding(text, encoding):
    assert decode(text.encode(encoding)) == text


def test_utf8_that_a_byte_spoils_is_an_error_and_not_nonsense():
    spoilt = CHINESE.encode()[:-1]
    with pytest.raises(ArticleError, match=f"byte {len(spoilt) - 2} is not UTF-8"):
        decode(spoilt)
