"""The layers of the package: a module imports only what stands above it, a library is imported in one place."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Bottom up, as ARCHITECTURE.md draws them; a folder counts as one layer.
ORDER = [
    "errors",
    "records",
    "config",
    "outputs",
    "cells",
    "articles",
    "sentences",
    "passages",
    "models",
    "index",
    "retrieval",
    "answering",
    "conversation",
    "question_sets",
    "evaluation",
    "render",
    "answer_files",
    "verify",
    "doctor",
    "mending",
    "progress",
    "loading",
    "building",
    "engine",
    "pipeline",
    "batch",
    "chat",
    "terminal",
    "scoring",
    "sweeping",
    "formats",
    "cli",
]
# Below mending everything takes plain values; formats shows the settings.
CONFIG_READERS = {"mending", "loading", "building", "engine", "pipeline", "scoring", "sweeping", "formats", "cli"}
# Which modules may import a library; a folder stands for all modules in it.
ONLY_IN = {
    "bm25s": set(),  # the oracle of the tests
    "charset_normalizer": {"articles"},
    "click": set(),  # typer brings its own
    "faiss": {"index"},
    "ir_measures": {"evaluation"},
    "lxml": {"articles"},
    "matplotlib": {"evaluation.charts"},
    "onnx": {"models"},
    "onnxruntime": {"models.runtime"},
    "opencc": {"index.lexical"},
    "peft": set(),  # of training/ alone
    "prompt_toolkit": {"terminal"},
    "pypdfium2": {"articles"},
    "rich": {"progress", "render"},
    "safetensors": {"models"},
    "sentence_transformers": {"models"},
    "sentencex": {"sentences"},
    "tokenizers": {"models"},
    "torch": {"models"},
    "trafilatura": {"articles"},
    "transformers": {"models"},
    "typer": {"cli"},
    "yaml": {"articles", "config", "evaluation.sweep"},
}
OUTSIDE = {"__init__", "__main__"}


def name_of(path):
    return ".".join(path.relative_to(ROOT / "rag").with_suffix("").parts).removesuffix(".__init__")


def layer_of(name):
    return name.partition(".")[0]


def imports_of(source):
    """Return the dotted names that a module imports, wherever in it, and by import_module too."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # `from rag import errors` names a module; `from rag.errors import RagError` names one with something in it.
            names += [f"rag.{alias.name}" for alias in node.names] if node.module == "rag" else [node.module]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            names += [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    return names


def own_layers(source):
    return {name.split(".")[1] for name in imports_of(source) if name.startswith("rag.")} - {"__version__"}


def libraries(source):
    return {name.partition(".")[0] for name in imports_of(source)}


def misplaced(name, source):
    """Return what a module imports that its place forbids."""
    layer = layer_of(name)
    found = [other for other in own_layers(source) if ORDER.index(other) > ORDER.index(layer)]
    if layer not in CONFIG_READERS | {"config"} and "config" in own_layers(source):
        found.append("config")
    for library in libraries(source) & ONLY_IN.keys():
        allowed = any(name == place or name.startswith(f"{place}.") for place in ONLY_IN[library])
        found += [] if allowed else [library]
    return sorted(found)


MODULES = {
    name: path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "rag").rglob("*.py"))
    if (name := name_of(path)) not in OUTSIDE
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_stands_in_a_layer(name):
    assert layer_of(name) in ORDER


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_what_its_place_allows(name):
    assert misplaced(name, MODULES[name]) == []


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("records", "from rag.config import Config", ["config", "config"]),
        ("records", "from rag import errors", []),
        ("retrieval", "from rag.config import Config", ["config"]),
        ("index.store", "import rag.cli", ["cli"]),
        ("pipeline", "from rag.config import load_config", []),
        ("pipeline", "def f():\n    import torch.nn", ["torch"]),
        ("cli", "from importlib import import_module\nimport_module('faiss')", ["faiss"]),
        ("models.encoder", "import onnxruntime", ["onnxruntime"]),
        ("models.runtime", "import onnxruntime", []),
        ("index.vectors", "import faiss", []),
    ],
)
def test_a_misplaced_import_is_seen(name, source, found):
    assert misplaced(name, source) == found


def test_only_the_command_line_and_its_progress_print():
    printing = [
        name
        for name, source in MODULES.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and name not in {"cli", "progress"}
    ]
    assert printing == []
