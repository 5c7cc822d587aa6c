import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.articles.decode import decode
from rag.errors import ArticleError

CHINESE = "会议昨天在北京举行，双方就贸易和投资问题交换了意见，并同意明年继续对话。" * 8
JAPANESE = "会議は昨日東京で開かれ、両国の代表は貿易と投資について意見を交わした。来年も続ける予定だ。" * 8

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), min_size=1)


@given(TEXTS, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
@settings(deadline=None)
def test_unicode_is_read_without_loss(text, encoding):
    if not text.startswith("\ufeff"):
        assert decode(text.encode(encoding)) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("text", "encoding"), [(CHINESE, "gb18030"), (JAPANESE, "shift_jis"), (JAPANESE, "iso2022_jp")]
)
def test_older_encodings_are_recognised(text, encoding):
    assert decode(text.encode(encoding)) == text


def test_a_declared_encoding_is_believed_before_a_guess():
    assert decode("Žluťoučký kůň".encode("cp1250"), declared="windows-1250") == "Žluťoučký kůň"


@pytest.mark.parametrize("declared", ["utf-16", "unicode_escape", "rot13", "no-such-encoding", None])
def test_a_declaration_that_reads_anything_is_not_believed(declared):
    assert decode("grün \\u0041".encode(), declared=declared) == "grün \\u0041"


def test_line_ends_and_composed_characters_are_normalised():
    assert decode("a\r\nb\rc e\u0301\n".encode()) == "a\nb\nc é\n"


@pytest.mark.parametrize("content", [b"\x00\x01\x02", b"a\x00b", b"%PDF-1.7 abc", b"PK\x03\x04abc", b"\x01\x02abc" * 9])
def test_binary_content_is_refused(content):
    with pytest.raises(ArticleError, match="binary"):
        decode(content)


def test_a_broken_byte_order_mark_promise_is_refused():
    with pytest.raises(ArticleError, match="utf-8-sig"):
        decode(b"\xef\xbb\xbfabc\xff")
