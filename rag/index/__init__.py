"""The index: a folder of sealed generations, each holding articles, passages, vectors and words.

build.py        articles → passages → vectors and words → a new generation
gathering.py    files to articles and passages, with what came of each file
staging.py      what a build has found so far, on disk
journal.py      the vectors of a build that has not ended, for the next one to go on with
copies.py       which articles are copies of others
coverage.py     whether every character of an article is in a passage
generations.py  the folder: the current generation, the atomic switch, the writer's lock
manifest.py     what a generation says of itself, and the checksums that seal it
store.py        articles and passages, in SQLite
vectors.py      inner product on unit rows: all of them, or those of the nearest lists
lists.py        writing the vectors, and choosing how they are searched
lexical.py      words, and their scores in every passage
postings.py     writing these scores in bounded memory
arrays.py       arrays on disk
"""

from rag.index.generations import Index, open_index
from rag.index.manifest import Manifest
from rag.index.store import ArticleFilter

# What builds an index stays in rag.index.build: it imports the readers and splitters that no question needs.
__all__ = ["ArticleFilter", "Index", "Manifest", "open_index"]
