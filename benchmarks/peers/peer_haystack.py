"""Haystack: its in-memory store with vectors and BM25, joined by reciprocal rank."""

from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from protocol import main, text_of

CANDIDATES = 100


def build(model, rows, folder, vectors):
    """Index the rows and save them."""
    documents = [Document(id=row["id"], content=text_of(row)) for row in rows]
    if vectors is None:
        documents = encoded(model, documents)
    else:
        for document, vector in zip(documents, vectors.tolist(), strict=True):
            document.embedding = vector
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    store.write_documents(documents)
    folder.mkdir(parents=True, exist_ok=True)
    store.save_to_disk(str(folder / "store.json"))


def encoded(model, documents):
    """Return the documents with their vectors."""
    embedder = SentenceTransformersDocumentEmbedder(model=model, progress_bar=False, local_files_only=True)
    if hasattr(embedder, "warm_up"):
        embedder.warm_up()
    return embedder.run(documents=documents)["documents"]


def open_index(model, folder):
    """Return the function that ranks."""
    store = InMemoryDocumentStore.load_from_disk(str(folder / "store.json"))
    pipeline = Pipeline()
    pipeline.add_component(
        "encoder", SentenceTransformersTextEmbedder(model=model, progress_bar=False, local_files_only=True)
    )
    pipeline.add_component("dense", InMemoryEmbeddingRetriever(document_store=store, top_k=CANDIDATES))
    pipeline.add_component("words", InMemoryBM25Retriever(document_store=store, top_k=CANDIDATES))
    pipeline.add_component("joined", DocumentJoiner(join_mode="reciprocal_rank_fusion"))
    pipeline.connect("encoder.embedding", "dense.query_embedding")
    pipeline.connect("dense", "joined")
    pipeline.connect("words", "joined")
    if hasattr(pipeline, "warm_up"):
        pipeline.warm_up()

    def rank(question, k):
        found = pipeline.run({"encoder": {"text": question}, "words": {"query": question}, "joined": {"top_k": k}})
        return [document.id for document in found["joined"]["documents"]]

    return rank


if __name__ == "__main__":
    main(build, open_index)
