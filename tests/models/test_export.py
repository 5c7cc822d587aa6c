import json
import shutil
import sys

import numpy as np
import pytest

from rag.errors import ModelBroken
from rag.models import export
from rag.models.encoder import Encoder, load_encoder
from rag.models.export import (
    ExportedEncoder,
    _publish,
    _refuse_connections,
    ensure_export,
    read_export,
    write_export,
)
from rag.models.sources import ModelFolder

TEXTS = ["bridge", "the river?", "steel 1234.", "中文", " ", "😀 cafe\u0301", "bridge river steel " * 30]


def original(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def test_mean_pooling_gives_the_originals_vectors(mean_model, encoder):
    expected = original(mean_model).encode(TEXTS, normalize_embeddings=True)
    assert np.sum(encoder.encode_queries(TEXTS) * expected, axis=1) == pytest.approx(1, abs=1e-5)
    assert encoder.encode_queries(TEXTS) == pytest.approx(expected, abs=1e-5)


def test_dense_layers_and_prompts_give_the_originals_vectors(dense_model, dense_encoder):
    model = original(dense_model)
    queries = model.encode_query(TEXTS, normalize_embeddings=True)
    passages = model.encode_document(TEXTS, normalize_embeddings=True)
    assert dense_encoder.encode_queries(TEXTS) == pytest.approx(queries, abs=1e-5)
    assert dense_encoder.encode_passages(TEXTS) == pytest.approx(passages, abs=1e-5)
    assert not np.allclose(queries, passages, atol=1e-2)


def test_the_description_says_what_the_model_said(dense_encoder):
    exported = dense_encoder.exported
    assert (exported.dim, exported.max_tokens, exported.pooling, exported.normalised) == (16, 24, "cls", False)
    assert (exported.query_prompt, exported.passage_prompt) == ("query: ", "passage: ")
    assert exported.similarity == "cosine"
    assert set(exported.versions) == {"sentence-transformers", "transformers", "torch"}


def test_a_model_is_prepared_once_and_leaves_nothing_beside_it(mean_model, encoder, cache):
    told = []
    again = load_encoder(str(mean_model), cache=cache, notify=told.append)
    assert told == []
    assert again.fingerprint == encoder.fingerprint
    assert [path.name for path in (cache / "encoders").iterdir() if path.name.startswith(".")] == []


def test_a_damaged_export_is_made_again(encoder, tmp_path, monkeypatch):
    whole = encoder.exported.folder
    model = ModelFolder(name="tiny", folder=tmp_path / "model", revision="")
    monkeypatch.setattr(
        export, "_export_apart", lambda _, *, target, **__: shutil.copytree(whole, target, dirs_exist_ok=True)
    )
    made = ensure_export(model, weights="0" * 64, cache=tmp_path)
    made.model.write_bytes(b"cut short")
    assert read_export(made.folder) is None
    told = []
    mended = ensure_export(model, weights="0" * 64, cache=tmp_path, notify=told.append)
    assert told == ["preparing tiny (once) …"]
    assert mended.model.read_bytes() == encoder.exported.model.read_bytes()
    assert [path.name for path in (tmp_path / "encoders").iterdir()] == [mended.folder.name]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": {}}', '{"files": {"model.onnx": 1}}'])
def test_a_damaged_description_is_no_export(tmp_path, content):
    (tmp_path / "encoder.json").write_text(content)
    assert read_export(tmp_path) is None


def test_the_first_of_two_exports_is_kept(encoder, tmp_path):
    first, second, target = tmp_path / "first", tmp_path / "second", tmp_path / "target"
    for folder in (first, second):
        shutil.copytree(encoder.exported.folder, folder)
    (first / "mark").touch()
    _publish(first, target, read=read_export)
    _publish(second, target, read=read_export)
    assert (target / "mark").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_an_export_that_fails_says_why(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\necho 'Traceback:' >&2\nprintf 'ValueError: \\033[31mno such layer\\n\\n' >&2\nexit 1\n"
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    model = ModelFolder(name="tiny", folder=tmp_path, revision="")
    with pytest.raises(ModelBroken, match=r"cannot be exported: ValueError: \[31mno such layer$") as caught:
        ensure_export(model, weights="0" * 64, cache=tmp_path / "cache")
    assert "encoder.model" in caught.value.hint
    assert list((tmp_path / "cache" / "encoders").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(mean_model, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(ModelBroken, match="cannot be prepared") as caught:
        load_encoder(str(mean_model), cache=tmp_path / "cache")
    assert "RAG_CACHE" in caught.value.hint


def test_pooling_that_leaves_the_prompt_out_is_refused(mean_model, tmp_path):
    folder = shutil.copytree(mean_model, tmp_path / "model")
    settings = json.loads((folder / "1_Pooling" / "config.json").read_text())
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({**settings, "include_prompt": False}))
    (tmp_path / "target").mkdir()
    with pytest.raises(ModelBroken, match="prompt out of the pooling"):
        write_export(folder, tmp_path / "target")


def test_an_export_opens_no_connection():
    with pytest.raises(ModelBroken, match="offline"):
        _refuse_connections("socket.getaddrinfo", ())
    _refuse_connections("open", ())


def test_dynamo_exports_what_tracing_cannot(mean_model, tmp_path, monkeypatch, encoder):
    import torch

    real_export = torch.onnx.export

    def without_tracing(*arguments, dynamo, **options):
        if not dynamo:
            raise RuntimeError("unordered_map::at")
        return real_export(*arguments, dynamo=dynamo, **options)

    monkeypatch.setattr(torch.onnx, "export", without_tracing)
    write_export(mean_model, tmp_path)
    exported = read_export(tmp_path)
    assert isinstance(exported, ExportedEncoder)
    vectors = Encoder(exported, name="dynamo", revision="").encode_queries(TEXTS)
    assert vectors == pytest.approx(encoder.encode_queries(TEXTS), abs=1e-5)
