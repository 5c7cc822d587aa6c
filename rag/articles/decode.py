"""Bytes become text, without losing a character."""

from __future__ import annotations

import codecs
import unicodedata

from rag.errors import ArticleError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # stands before UTF-16: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY_MAGIC = (b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"\x1f\x8b", b"\xff\xd8\xff", b"GIF8", b"\xd0\xcf\x11\xe0")
# Only these labels are believed: Python has codecs besides, such as unicode_escape, that "read" any bytes.
_READ_AS = {
    "ascii": "cp1252",
    "big5": "big5hkscs",
    "euc_jp": "euc_jp",
    "euc_kr": "cp949",
    "gb18030": "gb18030",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso2022_jp": "iso2022_jp",
    "iso8859-1": "cp1252",
    "iso8859-15": "iso8859-15",
    "iso8859-2": "iso8859-2",
    "koi8-r": "koi8-r",
    "shift_jis": "cp932",
    **{f"cp125{number}": f"cp125{number}" for number in range(9)},
}
_CONTROLS = frozenset(map(chr, range(32))) - frozenset("\t\n\v\f\r\x1b")
_MOST_CONTROLS = 0.01
_MOST_CHAOS = 0.2  # charset-normalizer's own default for a guess that is worth having


def decode(content: bytes, *, declared: str | None = None) -> str:
    r"""Return the text of a file: NFC, lines ended by `\n`.

    UTF-8 and byte-order marks are believed first, then the encoding that the file declares for itself, then
    charset-normalizer's guess.

    Raises:
        ArticleError: the content is binary, or no encoding reads all of it.
    """
    text = _decode(content, declared=declared)
    controls = sum(text.count(control) for control in _CONTROLS)
    if "\0" in text or controls > _MOST_CONTROLS * len(text):
        raise ArticleError("the content is binary, not text")
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def _decode(content: bytes, *, declared: str | None) -> str:
    if content.startswith(_BINARY_MAGIC):
        raise ArticleError("the content is binary, not text")
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError as error:
                raise ArticleError(f"byte {error.start} is not {encoding}, which the file claims to be") from error
    if b"\0" in content:
        raise ArticleError("the content is binary, not text")
    # ISO-2022-JP is all ASCII bytes, so UTF-8 would read its escape sequences as text.
    escaped = ["iso2022_jp"] if b"\x1b$" in content else []
    for encoding in [*escaped, "utf-8", *_as_browsers_read(declared)]:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return _guess(content)


def _as_browsers_read(declared: str | None) -> list[str]:
    """Return the encoding to try for a label, which is often a smaller relative's (https://encoding.spec.whatwg.org)."""
    try:
        name = codecs.lookup(declared or "").name
    except LookupError:
        return []
    return [_READ_AS[name]] if name in _READ_AS else []


def _guess(content: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(content, threshold=_MOST_CHAOS).best()
    if best is None:
        raise ArticleError("the content is in no known text encoding")
    return content.decode(best.encoding)
