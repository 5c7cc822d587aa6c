"""A long search for files that break their readers: run by `make fuzz`, with options of libFuzzer.

Every input is a suffix's number and a file's content. It has to end as articles that can be cut into passages, or as an
ArticleError; anything else is written to a file and ends the search. The parsers run in this process here, without the
sandbox, so that the fuzzer sees which of their code an input reaches; what they raise counts only where a document's
own reader does not expect it.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["rag.articles", "rag.passages", "rag.sentences"]):
    from rag.articles import SUFFIXES, ArticleFile, find_files, read_articles, reading
    from rag.articles.docx import read_docx
    from rag.articles.epub import read_epub
    from rag.articles.feed import read_feed
    from rag.articles.html import read_html
    from rag.articles.pdf import read_pdf
    from rag.errors import ArticleError
    from rag.passages import split_passages

from documents import SEEDS, Words

READERS = {".docx": read_docx, ".epub": read_epub, ".htm": read_html, ".html": read_html, ".pdf": read_pdf}
SECONDS_FOR_ONE = 20


class Unguarded:
    """Reads documents in this process."""

    def read(self, content, *, suffix):
        return READERS[suffix](content)

    def read_feed(self, content, *, suffix):  # noqa: ARG002 - as the sandbox is asked
        return read_feed(content)


def fuzz_one(content):
    """Read one input: its first byte chooses the suffix."""
    if not content:
        return
    suffix = SUFFIXES[content[0] % len(SUFFIXES)]
    file = FOLDER / f"x{suffix}"
    file.write_bytes(content[1:])
    if suffix.startswith(".xml"):
        find_files([FOLDER])  # looks into it
    try:
        articles, _ = read_articles(ArticleFile(id=file.name, path=file.name, file=file))
        for article in articles:
            article.text.encode()
            split_passages(article, tokenizer=Words(), max_tokens=200, overlap_sentences=1)
    except ArticleError:
        pass


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        FOLDER = Path(folder)
        corpus = FOLDER / "corpus"
        corpus.mkdir()
        for number, suffix in enumerate(SUFFIXES):
            if suffix in SEEDS:
                (corpus / f"{number}").write_bytes(bytes([number]) + SEEDS[suffix])
        reading.SANDBOX = Unguarded()
        atheris.Setup([sys.argv[0], f"-timeout={SECONDS_FOR_ONE}", *sys.argv[1:], str(corpus)], fuzz_one)
        atheris.Fuzz()
