"""Plain sentence-transformers and FAISS, as their first pages show them: vectors alone, no words."""

import json

import faiss
from protocol import main, text_of
from sentence_transformers import SentenceTransformer


def build(model, rows, folder, vectors):
    """Index the rows and save them."""
    if vectors is None:
        encoder = SentenceTransformer(model, device="cpu", local_files_only=True)
        vectors = encoder.encode([text_of(row) for row in rows], normalize_embeddings=True)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    folder.mkdir(parents=True, exist_ok=True)
    faiss.write_index(index, str(folder / "vectors.faiss"))
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")


def open_index(model, folder):
    """Return the function that ranks."""
    encoder = SentenceTransformer(model, device="cpu", local_files_only=True)
    index = faiss.read_index(str(folder / "vectors.faiss"))
    ids = [row["id"] for row in json.loads((folder / "rows.json").read_text(encoding="utf-8"))]

    def rank(question, k):
        _, rows = index.search(encoder.encode([question], normalize_embeddings=True), k)
        return [ids[row] for row in rows[0]]

    return rank


if __name__ == "__main__":
    main(build, open_index)
