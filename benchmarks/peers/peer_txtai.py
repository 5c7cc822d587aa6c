"""txtai: its own hybrid of BM25 and vectors, with the texts beside them in SQLite."""

from protocol import main, text_of
from txtai import Embeddings


def build(model, rows, folder):
    """Index the rows and save them."""
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
