"""The models: text in, vectors out, and nothing known here of articles, indexes or answers.

The seam is small. A consumer states the methods that it calls in a `Protocol` of its own and is handed what
`encoder.load_encoder` returns; a test hands it a fake of ten lines. What every implementation keeps to:

- Vectors are `(n, dim) float32` with unit rows, so that a dot product is the cosine and higher is better.
- Rows come in the order of the texts, and the same text gives the same vector, alone or in company.
- Token spans are code points into the text as it was given.

| module | holds | imports |
|---|---|---|
| `sources` | where a model lies: a folder, a package, the hub's cache; the hash of its weights | – |
| `runtime` | ONNX Runtime sessions, and the cache folder | onnxruntime |
| `export` | a sentence-transformers model as an ONNX graph, once per model | torch, in a process of its own |
| `encoder` | the bi-encoder that the question path and the index build use | tokenizers |
| `reader` | the cross-encoder that points at the words of a passage that answer | tokenizers |

Importing this package imports none of them, and no question ever imports torch.
"""
