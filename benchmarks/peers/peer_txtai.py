"""txtai: its own hybrid of BM25 and vectors, with the texts beside them in SQLite."""

import numpy as np
from protocol import main, text_of
from txtai import Embeddings
from txtai.vectors import HFVectors


def build(model, rows, folder, vectors):
    """Index the rows and save them."""
    if vectors is not None:
        by_text = {text_of(row): vector for row, vector in zip(rows, vectors, strict=True)}
        HFVectors.encode = lambda _self, texts, category=None: np.stack([by_text[text] for text in texts])  # noqa: ARG005
    embeddings = Embeddings(path=model, hybrid=True, content=True)
    embeddings.index((row["id"], text_of(row), None) for row in rows)
    embeddings.save(str(folder))


def open_index(model, folder):
    """Return the function that ranks."""
    embeddings = Embeddings(path=model, hybrid=True, content=True)
    embeddings.load(str(folder))

    def rank(question, k):
        # A query is SQL where it begins like one; as a parameter a question never is.
        return [
            hit["id"]
            for hit in embeddings.search(
                f"select id, text, score from txtai where similar(:question) limit {k}",  # noqa: S608  # a number
                parameters={"question": question},
            )
        ]

    return rank


if __name__ == "__main__":
    main(build, open_index)
