"""Files become articles here: finding, decoding, front matter, main text, metadata, furniture.

One reader per file format stands behind `read_article`. The format libraries (trafilatura, PyYAML, charset-normalizer)
are imported inside the readers, so that a question, which reads no file, never pays for them.
"""

from rag.articles.files import SUFFIXES, ArticleFile, find_files
from rag.articles.furniture import find_furniture
from rag.articles.reading import read_article

__all__ = ["SUFFIXES", "ArticleFile", "find_files", "find_furniture", "read_article"]
