"""rag itself, asked in the same way: the engine behind `rag search`. It is built and asked cold by its own commands."""

import os
from pathlib import Path

from protocol import K, main

from rag.config import load_config
from rag.engine import Engine

MORE = 30  # passages for ten articles, where an article may have several among the best
ONE_EACH = 1.1  # passages to an article: so few that ten passages nearly always are of ten articles


def build(_model, _rows, _folder, _vectors):
    """Not done here: `rag index` is what a user types."""
    raise NotImplementedError("rag index ARTICLES --index FOLDER")


def open_index(_model, folder):
    """Return the function that ranks articles, by their best passages."""

    def engine(passages):
        settings = {"index": str(folder), "retrieval.k": str(passages)}
        return Engine(load_config(file=Path(os.devnull), overrides=settings, environment={}, cwd=folder))

    few, more = engine(K), engine(MORE)
    manifest = few.index.manifest
    more.index, more.encoder = few.index, few.encoder
    first = few if manifest.passages < ONE_EACH * manifest.articles else more

    def ranked(engine, question, k):
        hits = engine.search(question).ranking.hits
        return list(dict.fromkeys(hit.passage.article for hit in hits))[:k]

    def rank(question, k):
        ids = ranked(first, question, k)
        return ids if len(ids) == k or first is more else ranked(more, question, k)

    return rank


if __name__ == "__main__":
    main(build, open_index)
