"""rag itself, asked in the same way: the engine behind `rag search`. It is built and asked cold by its own commands."""

import os
from pathlib import Path

from protocol import K, main

from rag.config import load_config
from rag.index.generations import open_store
from rag.pipeline import Engine

LONG_ARTICLES_PASSAGES = 30  # for ten articles: each counts once, and a long one may have several among the best


def build(_model, _rows, _folder, _vectors):
    """Not done here: `rag index` is what a user types."""
    raise NotImplementedError("rag index ARTICLES --index FOLDER")


def open_index(_model, folder):
    """Return the function that ranks articles, by their best passages."""
    manifest, store = open_store(folder)
    store.close()
    passages = K if manifest.passages == manifest.articles else LONG_ARTICLES_PASSAGES
    settings = {"index": str(folder), "retrieval.k": str(passages)}
    engine = Engine(load_config(file=Path(os.devnull), overrides=settings, environment={}, cwd=folder))

    def rank(question, k):
        hits = engine.search(question).ranking.hits
        return list(dict.fromkeys(hit.passage.article for hit in hits))[:k]

    return rank


if __name__ == "__main__":
    main(build, open_index)
