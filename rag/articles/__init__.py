"""Files become articles here: finding, decoding, front matter, main text, metadata, furniture.

One reader per file format stands behind `read_articles`. Text, Markdown and rows are read here and now; what takes a
parser (HTML, feeds, PDF, Word, EPUB) is read in a process of its own, with bounds on time and memory. The format
libraries (trafilatura, lxml, pypdfium2, PyYAML, charset-normalizer) are imported inside the readers, so that a
question, which reads no file, never pays for them.
"""

from rag.articles.contents import MOST_MEGABYTES
from rag.articles.files import FEED_SUFFIXES, SUFFIXES, ArticleFile, find_files, other_formats, suffix_of
from rag.articles.furniture import find_furniture
from rag.articles.reading import read_article, read_articles

__all__ = [
    "FEED_SUFFIXES",
    "MOST_MEGABYTES",
    "SUFFIXES",
    "ArticleFile",
    "find_files",
    "find_furniture",
    "other_formats",
    "read_article",
    "read_articles",
    "suffix_of",
]
