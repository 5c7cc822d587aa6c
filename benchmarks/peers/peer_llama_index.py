"""llama-index: FAISS and BM25, fused by reciprocal rank."""

import faiss
from llama_index.core import MockEmbedding, Settings, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.retrievers.bm25 import BM25Retriever
from llama_index.vector_stores.faiss import FaissVectorStore
from protocol import main, text_of

DIM, CANDIDATES = 384, 100
Settings.llm = MockLLM()
Settings.embed_model = MockEmbedding(embed_dim=DIM)


def build(model, rows, folder, vectors):
    """Index the rows and save them."""
    given = [None] * len(rows) if vectors is None else vectors.tolist()
    nodes = [
        TextNode(id_=row["id"], text=text_of(row), embedding=vector) for row, vector in zip(rows, given, strict=True)
    ]
    storage = StorageContext.from_defaults(vector_store=FaissVectorStore(faiss_index=faiss.IndexFlatIP(DIM)))
    VectorStoreIndex(nodes, storage_context=storage, embed_model=HuggingFaceEmbedding(model, device="cpu"))
    storage.persist(str(folder))
    BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=min(CANDIDATES, len(nodes))).persist(str(folder / "bm25"))


def open_index(model, folder):
    """Return the function that ranks."""
    store = FaissVectorStore.from_persist_dir(str(folder))
    storage = StorageContext.from_defaults(vector_store=store, persist_dir=str(folder))
    index = load_index_from_storage(storage, embed_model=HuggingFaceEmbedding(model, device="cpu"))
    retrievers = [
        index.as_retriever(similarity_top_k=CANDIDATES),
        BM25Retriever.from_persist_dir(str(folder / "bm25")),
    ]

    def rank(question, k):
        fused = QueryFusionRetriever(
            retrievers, num_queries=1, mode="reciprocal_rerank", similarity_top_k=k, use_async=False
        )
        return [hit.node.node_id for hit in fused.retrieve(question)]

    return rank


if __name__ == "__main__":
    main(build, open_index)
