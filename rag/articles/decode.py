"""Bytes become text, without losing a character."""

from __future__ import annotations

import codecs
import re
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
# What charset-normalizer may guess: it knows a hundred encodings, and finds short texts in the unlikeliest of them.
_GUESSES = (
    *("gb18030", "big5hkscs", "cp932", "euc_jp", "cp949", "koi8_r", "mac_roman"),
    *(f"cp125{number}" for number in range(9)),
)
_EAST_ASIAN = _GUESSES[:5]
# The letters and marks of western Europe; not those that other code pages have where Windows-1252 has its rare ones.
_WESTERN = re.compile(
    "[\x00-\x7f\xa0¡§«»ª°·º¿©®£€™‘’‚“”„–—…•‰†ÀÁÂÃÄÅÆÇÈÉÊËÍÎÏÑÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëíîïñóôõöøùúûüÿŒœ]*"
)
_ACCENTED = re.compile("[À-ÿŒœ]")
_LETTER = re.compile("[^\\W\\d_]")
_MOST_ACCENTED = 0.5
_COMMON = {
    "gb18030": "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
    "，。、",
    "big5hkscs": "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡"
    "，。、",
    "cp932": "のにはをたがでてとしれさあいるかもこなっりうくらん、。ーンスト",
    "euc_jp": "のにはをたがでてとしれさあいるかもこなっりうくらん、。ーンスト",
    "cp949": "이다는의에을고가를은한서로하지도기사어리아인대나들부정자시해스",
}
_SAMPLE_BYTES = 65_536
_LEAST_COMMON = 0.12
_CLEARLY_MORE = 1.5
# So many more characters of UTF-8 than bytes that are none make a broken file of it, and no other encoding.
_MOSTLY = 4
_LEAST_ZEROS = 0.1
_MOST_STRAY_ZEROS = 0.1
_CONTROLS = frozenset(map(chr, range(32))) - frozenset("\t\n\v\f\r\x1b")
_MOST_CONTROLS = 0.01
_MOST_CHAOS = 0.2  # charset-normalizer's own default for a guess that is worth having


def decode(content: bytes, *, declared: str | None = None, nfc: bool = True) -> str:
    r"""Return the text of a file: NFC, lines ended by `\n`.

    UTF-8 and byte-order marks are believed first, then the encoding that the file declares for itself, then a guess:
    the encoding in which the text is western European, or made of common Chinese, Japanese or Korean characters, else
    charset-normalizer's. Markup is read without `nfc`, which would join a mark such as U+0338 with the bracket before.

    Raises:
        ArticleError: the content is binary, no encoding reads all of it, or a few bytes spoil its UTF-8.
    """
    text = _decode(content, declared=declared)
    controls = sum(text.count(control) for control in _CONTROLS)
    if "\0" in text or controls > _MOST_CONTROLS * len(text):
        raise ArticleError("the content is binary, not text")
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", lines) if nfc else lines


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
        return _decode_wide(content)
    # ISO-2022-JP is all ASCII bytes, so UTF-8 would read its escape sequences as text.
    escaped = ["iso2022_jp"] if b"\x1b$" in content else []
    for encoding in [*escaped, "utf-8", *_as_browsers_read(declared)]:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    _refuse_broken_utf8(content)
    return _guess(content)


def _as_browsers_read(declared: str | None) -> list[str]:
    """Return the encoding to try for a label, which is often a smaller relative's (https://encoding.spec.whatwg.org)."""
    try:
        name = codecs.lookup(declared or "").name
    except LookupError:
        return []
    return [_READ_AS[name]] if name in _READ_AS else []


def _decode_wide(content: bytes) -> str:
    """Return the text of UTF-16 without its mark, where every other byte of Latin text is zero."""
    even, odd = content[::2].count(0), content[1::2].count(0)
    if max(even, odd) < _LEAST_ZEROS * len(content) or min(even, odd) > _MOST_STRAY_ZEROS * max(even, odd):
        raise ArticleError("the content is binary, not text")
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ArticleError("the content is binary, not text") from error


def _refuse_broken_utf8(content: bytes) -> None:
    """Raise ArticleError for UTF-8 that a few bytes spoil: any other encoding would make nonsense of all the rest."""
    text = content.decode(errors="surrogateescape")
    spoilt = sum("\udc80" <= character <= "\udcff" for character in text)
    if sum(character > "\x7f" for character in text) - spoilt > _MOSTLY * spoilt:
        first = next(number for number, character in enumerate(text) if "\udc80" <= character <= "\udcff")
        raise ArticleError(f"byte {len(text[:first].encode())} is not UTF-8, which the rest of the file is")


def _guess(content: bytes) -> str:
    encoding = _western(content) or _east_asian(content[:_SAMPLE_BYTES]) or _statistical(content)
    try:
        if encoding is not None:
            return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ArticleError(f"byte {error.start} is not {encoding}, which the rest of the file seems to be") from error
    raise ArticleError("the content is in no known text encoding")


def _western(content: bytes) -> str | None:
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        return None
    if "õ" in text and "ã" not in text:  # the Hungarian ő of Windows-1250; Portuguese has both
        return None
    accented, letters = len(_ACCENTED.findall(text)), len(_LETTER.findall(text))
    return "cp1252" if _WESTERN.fullmatch(text) and accented <= _MOST_ACCENTED * letters else None


def _east_asian(sample: bytes) -> str | None:
    """Return the encoding in which clearly the most characters are among the language's commonest, if one is."""
    shares = {}
    for encoding in _EAST_ASIAN:
        # A sample may end within a character.
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            text = [character for character in decoder.decode(sample) if character > "\x7f"]
        except UnicodeDecodeError:
            continue
        common = _COMMON[encoding]
        shares[encoding] = sum(character in common for character in text) / max(1, len(text))
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    if not ranked or ranked[0][1] < _LEAST_COMMON:
        return None
    clear = len(ranked) == 1 or ranked[0][1] >= _CLEARLY_MORE * ranked[1][1]
    return ranked[0][0] if clear else None


def _statistical(content: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(content, threshold=_MOST_CHAOS, cp_isolation=list(_GUESSES)).best()
    return None if best is None else best.encoding
