"""Small documents in every format that takes a parser, made here, for the tests and for the fuzzer's first corpus."""

import gzip
import io
import re
import zipfile

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
    '<rootfile full-path="book/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def pdf(*pages, info="", objects=(), resources="", filters=""):
    """Return a PDF with a line of each page's text below the other; `objects` are further ones, from number 5 on."""
    contents = [_content(page) if isinstance(page, str) else page for page in pages]
    first = 5 + len(objects)
    numbers = [first + 2 * number for number in range(len(contents))]
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>"
        % (b" ".join(b"%d 0 R" % number for number in numbers), len(contents)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< %s >>" % info.encode("latin-1"),
        *objects,
    ]
    for number, content in zip(numbers, contents, strict=True):
        bodies += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
            b" /Resources << /Font << /F 3 0 R >> %s >> >>" % (number + 1, resources.encode()),
            stream(content, filters.encode()),
        ]
    return pdf_of(*bodies)


def stream(content, entries=b""):
    """Return a PDF object that holds a stream."""
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(content), content)


def _content(text):
    lines = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in text.split("\n")]
    shown = b" T* ".join(b"(%s) Tj" % line.encode("cp1252") for line in lines)
    return b"BT /F 12 Tf 50 780 Td 14 TL %s ET" % shown


def pdf_of(*bodies):
    """Return a PDF with these objects, numbered from 1 on."""
    written, places = b"%PDF-1.7\n", []
    for number, body in enumerate(bodies, start=1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    rows = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(bodies) + 1
    return (
        b"%sxref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R /Info 4 0 R >>\nstartxref\n%d\n%%%%EOF"
        % (
            written,
            size,
            rows,
            size,
            len(written),
        )
    )


def archive(members):
    """Return a zip file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in members.items():
            written.writestr(name, content)
    return packed.getvalue()


def docx(body, *, core="", others=None, document=None):
    """Return a Word document; `body` is WordprocessingML with the prefix w."""
    return archive(
        {
            "word/document.xml": document or f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
            "docProps/core.xml": f'<core xmlns:dc="http://purl.org/dc/elements/1.1/" '
            f'xmlns:dcterms="http://purl.org/dc/terms/">{core}</core>',
            **(others or {}),
        }
    )


def paragraph(text):
    """Return a Word paragraph."""
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def epub(*chapters, core="", others=None):
    """Return a book whose chapters are the bodies of web pages."""
    names = [f"chapter {number}.xhtml" for number in range(len(chapters))]
    items = "".join(
        f'<item id="c{number}" href="{name.replace(" ", "%20")}" media-type="application/xhtml+xml"/>'
        for number, name in enumerate(names)
    )
    spine = "".join(f'<itemref idref="c{number}"/>' for number in range(len(names)))
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<metadata>{core}</metadata><manifest>{items}"
        '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/></manifest>'
        f'<spine><itemref idref="nav"/>{spine}</spine></package>'
    )
    pages = {
        f"book/{name}": f'<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml">'
        f"<head><title>t</title></head><body>{chapter}</body></html>"
        for name, chapter in zip(names, chapters, strict=True)
    }
    return archive({"META-INF/container.xml": CONTAINER, "book/content.opf": package, **pages, **(others or {})})


class Words:
    """Counts words for tokens."""

    def token_spans(self, texts):
        """Return the slices of each text's words."""
        return [[match.span() for match in re.finditer(r"\w+|[^\w\s]", text)] for text in texts]


CONTENT = "http://purl.org/rss/1.0/modules/content/"
DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"


def rss(*items, channel="<title>The Gazette</title>", before=""):
    """Return a feed whose items are the inner XML of each."""
    listed = "\n".join(f"<item>{item}</item>" for item in items)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>{before}<rss version="2.0" xmlns:content="{CONTENT}" '
        f'xmlns:dc="{DUBLIN_CORE}"><channel>{channel}\n{listed}\n</channel></rss>'
    ).encode()


def atom(*entries, feed="<title>The Gazette</title>"):
    """Return a feed whose entries are the inner XML of each."""
    listed = "\n".join(f"<entry>{entry}</entry>" for entry in entries)
    return f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en">{feed}\n{listed}\n</feed>'.encode()


SENTENCES = "The old bridge was opened in 1905. It was paid for by the town."
SEEDS = {
    ".txt": f"---\ntitle: The bridge\n---\n{SENTENCES}\n".encode(),
    ".md": f"# The bridge\n\n- {SENTENCES}\n\n> “quoted” [1]\n".encode(),
    ".html": f'<html lang="en"><head><title>A</title></head><body><p>{SENTENCES}</p><table><tr><td>1'.encode(),
    ".jsonl": b'{"id": "a", "title": "A", "text": "One. Two."}\n{"text": ["x", {"y": null}]}\n',
    ".csv": b'id,title,text\n1,"A ""b""","One,\ntwo."\n',
    ".pdf": pdf("Page one.", "Page two.", info="/Title (T) /CreationDate (D:20231117)"),
    ".docx": docx(paragraph("One.") + f"<w:tbl><w:tr><w:tc>{paragraph('x')}</w:tc></w:tr></w:tbl>"),
    ".epub": epub("<h1>A</h1><p>One.</p>", core="<dc:title>Book</dc:title>"),
    ".rss": rss(
        f"<title>A</title><guid>1</guid><pubDate>17 Nov 23 08:00 GMT</pubDate><description>{SENTENCES}</description>",
        f"<link>b</link><content:encoded><![CDATA[<p>{SENTENCES}&nbsp;</p>]]></content:encoded>",
    ),
    ".atom": atom(f'<id>1</id><link href="b"/><content type="xhtml"><div><p>{SENTENCES}</p></div></content>'),
    ".xml": b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">'
    b'<channel/><item rdf:about="c"><title>T</title><description>a &lt;b&gt;</description></item></rdf:RDF>',
    ".txt.gz": gzip.compress(SENTENCES.encode(), mtime=0),
}
