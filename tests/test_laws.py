"""The laws of the answer record, over generated articles: each is broken by a change of the code that keeps it."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag import formats
from rag.building import index_articles
from rag.config import Answering, Config, Reader
from rag.engine import Engine
from rag.formats import Style
from rag.pipeline import show, verify
from rag.records import Answer, Answerer, Article, Citation, Claim, Passage, Span

WORDS = [
    "China",
    "Japan",
    "banned",
    "seafood",
    "trade",
    "fell",
    "8.4%",
    "minister",
    "met",
    "Beijing",
    "in",
    "2023",
    "and",
]
SENTENCE = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=2, max_size=12).map(lambda words: " ".join(words) + "."),
    st.sampled_from(
        [
            "中国禁止进口水产品。",
            "“We agree.” Wang said.",
            "It cost $3.89 billion 🐟 (down 15.5%).",
            "Advertisement",
            "協力する。",
        ]
    ),
)
PARAGRAPH = st.lists(SENTENCE, min_size=1, max_size=6).map(" ".join)
TEXT = st.lists(PARAGRAPH, min_size=1, max_size=5).map("\n\n".join)
ARTICLES = st.dictionaries(st.sampled_from(["a.md", "b.txt", "c/d.md", "中.md"]), TEXT, min_size=1)
QUESTIONS = st.sampled_from(
    [
        "Why did China ban seafood?",
        "How far did trade fall in 2023?",
        "What do the articles say of Beijing?",
        "水产品",
        "Who met?",
        "What did China and Japan say about seafood?",
        "How did Beijing and the minister react to the ban?",
    ]
)
JSON = Style(format="json", width=80, color=False, terminal=False)


@pytest.fixture
def asked(tmp_path_factory, word_encoder):
    def ask(articles, question, **answer_settings):
        folder = tmp_path_factory.mktemp("laws")
        for name, text in articles.items():
            (folder / "articles" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "articles" / name).write_text(f"# On {name}\n\n{text}\n", encoding="utf-8")
        config = Config(folder=folder, articles=("articles",), reader=READER, **answer_settings)
        index_articles(config, [], encoder=word_encoder)
        with Engine(config, encoder=word_encoder) as engine:
            return config, engine.ask(question)

    return ask


def record_of(asked):
    return json.loads(formats.answer(asked, style=JSON))


# Comparing needs no model; the laws are kept below whatever judges.
READER = Reader(model="none")
laws = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@laws
@given(ARTICLES, QUESTIONS)
def test_every_law_of_the_record(asked, articles, question):
    config, result = asked(articles, question)
    record = record_of(result)

    markers = [int(marker) for marker in re.findall(r" \[(\d+)\](?: |\n|$)", record["answer"])]
    assert sorted(set(markers)) == [citation["marker"] for citation in record["citations"]]
    assert all(claim["citations"] for claim in record["claims"])
    assert record["answered"] == bool(record["claims"])
    assert (record["reason"] is None) == record["answered"]
    assert record["passages"] == sorted(record["passages"], key=lambda passage: passage["rank"])
    assert record["passages"] == sorted(record["passages"], key=lambda passage: -passage["score"])

    for citation in record["citations"]:
        shown = show(config, citation["article"])
        text = shown.article.text
        assert text[citation["start"] : citation["end"]] == citation["quote"]
        assert "Advertisement" not in citation["quote"].split("\n")
        on_disk = (config.folder / citation["path"]).read_text(encoding="utf-8").split("\n")
        assert citation["quote"].split("\n")[0] in on_disk[citation["line"] - 1]
        assert citation["passage"] in {passage["id"] for passage in record["passages"]}

    unmarked = re.sub(r" \[\d+\](?= |\n|$)", "", record["answer"])
    spaced = {re.sub(r"\s+", " ", citation["quote"]) for citation in record["citations"]}
    for quote in sorted(spaced, key=len, reverse=True):
        unmarked = unmarked.replace(quote, "")
    assert unmarked.strip() == ""

    (config.folder / "answer.json").write_text(json.dumps(record), encoding="utf-8")
    assert verify(config, config.folder / "answer.json").failures == ()


@laws
@given(ARTICLES, QUESTIONS)
def test_the_same_question_gives_the_same_bytes_but_for_the_timings(asked, word_encoder, articles, question):
    config, result = asked(articles, question)
    index_articles(config, [], rebuild=True, encoder=word_encoder)
    with Engine(config, encoder=word_encoder) as engine:
        first, again = record_of(result), record_of(engine.ask(question))
    assert first.pop("timings_ms").keys() == again.pop("timings_ms").keys()
    assert json.dumps(first) == json.dumps(again)


def test_a_declined_question_still_shows_the_nearest_passages(asked):
    articles = {"a.md": "China banned seafood. Japan protested."}
    _, result = asked(articles, "Why did China ban seafood?", answer=Answering(min_confidence=1.0))
    record = record_of(result)
    assert (record["answered"], record["answer"], record["claims"], record["citations"]) == (False, "", [], [])
    assert record["reason"]
    assert record["passages"][0]["id"] == "a.md#0"


ARTICLE = Article(id="a", path="a", text="One. Two. Advertisement", title="A", furniture=(Span(10, 23),))
PASSAGE = Passage("a", 0, 0, 23, (Span(0, 4), Span(5, 9)))


def answer_of(*, claims=(), citations=(), reason=None):
    return Answer("?", "", claims, citations, (), 0.5, reason, Answerer("quotes", "m", "r"), "index")


def test_a_quote_is_taken_from_the_text():
    assert Citation.of(ARTICLE, PASSAGE, Span(5, 9), marker=1).quote == "Two."


@pytest.mark.parametrize("span", [Span(5, 5), Span(20, 24), Span(9, 12), Span(22, 23)])
def test_what_is_empty_outside_or_furniture_cannot_be_cited(span):
    with pytest.raises(ValueError, match="slice"):
        Citation.of(ARTICLE, PASSAGE, span, marker=1)


def test_a_claim_needs_a_citation():
    with pytest.raises(ValueError, match="citation"):
        Claim("One.", (), 1.0)


def test_markers_and_citations_belong_together():
    one = Citation.of(ARTICLE, PASSAGE, Span(0, 4), marker=1)
    two = Citation.of(ARTICLE, PASSAGE, Span(5, 9), marker=2)
    with pytest.raises(ValueError, match="belongs to a claim"):
        answer_of(claims=(Claim("One.", (1,), 1.0),), citations=(one, two))
    with pytest.raises(ValueError, match="belongs to a claim"):
        answer_of(claims=(Claim("One.", (1, 2), 1.0),), citations=(one,))
    with pytest.raises(ValueError, match="numbered"):
        answer_of(claims=(Claim("Two.", (2,), 1.0),), citations=(two,))


def test_an_answer_without_claims_says_why_and_only_such_a_one():
    one = Citation.of(ARTICLE, PASSAGE, Span(0, 4), marker=1)
    with pytest.raises(ValueError, match="says why"):
        answer_of()
    with pytest.raises(ValueError, match="says why"):
        answer_of(claims=(Claim("One.", (1,), 1.0),), citations=(one,), reason="no")
