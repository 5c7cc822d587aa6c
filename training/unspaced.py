"""Fit how sentences of Chinese and Japanese are chosen, and when a question in these is declined.

    python -m training.unspaced --data ../shared/data --out rag/answering/matching.json

The questions are those of DRCD, CMRC 2018 and JSQuAD, asked through the whole pipeline. Half of the articles, by a hash
of their titles, are fitted to. The other half, and XQuAD in Chinese, give the figures and nothing else. Of a paragraph
one question is asked as it is, and one after every sentence with its answer was taken out: a near miss. Far questions
belong to articles that are not indexed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.answering.judging import Logistic
from rag.answering.matching import CALIBRATION, DecisionFeatures, MatchingJudge, SentenceFeatures
from rag.building import index_articles
from rag.config import Answering, Config
from rag.engine import Engine
from rag.progress import Reporting
from rag.records import Span
from rag.sentences import split_sentences
from training.answerer import (
    WEIGHT_OF_A_SET,
    Asked,
    Decided,
    Found,
    Gold,
    Labelled,
    configured,
    described_model,
    find,
    fit_sentences,
    fit_signed,
    is_right,
    judge_all,
    report,
    scale,
)
from training.examples import pick_share

FITTED = {"drcd": "zh/DRCD_dev.json", "cmrc": "zh/cmrc2018_dev.json", "jsquad": "ja/jsquad_valid.json"}
MEASURED = {**FITTED, "xquad_zh": "xquad/xquad.zh.json"}
SEED = 20261126
INDEXED = 0.75  # of the articles; the rest gives the far questions
LINE_FEED = re.compile(r"\s")
HEADLINE = "[SEP]"  # JSQuAD writes "title [SEP] text"
SIGNS = {"coverage": 1, "covered": 1, "whole": 1, "missing": -1, "margin": 1, "reason": 1}


@dataclass(frozen=True, slots=True)
class Posed:
    """A question of a data set, its answers, and the sentences of the paragraph that they stand in."""

    question: str
    answers: tuple[str, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph with the questions that it answers."""

    text: str
    posed: tuple[Posed, ...]


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked of a set's articles: what they answer, what they nearly do, and what is about other articles."""

    inside: tuple[Asked, ...]
    near: tuple[Asked, ...]
    far: tuple[Asked, ...]

    def sample(self, each: int, rng: random.Random) -> Questions:
        """Return at most `each` of every kind."""
        return Questions(
            *(tuple(rng.sample(kind, min(each, len(kind)))) for kind in (self.inside, self.near, self.far))
        )

    def all(self) -> tuple[Asked, ...]:
        """Return all of them."""
        return self.inside + self.near + self.far


def read_paragraphs(file: Path) -> dict[str, list[Paragraph]]:
    """Return the paragraphs of a file in the form of SQuAD, by their article's title."""
    articles: dict[str, list[Paragraph]] = {}
    for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            whole = LINE_FEED.sub(" ", paragraph["context"])
            begin = whole.find(HEADLINE) + len(HEADLINE) if HEADLINE in whole else 0
            spans = [Span(begin + span.start, begin + span.end) for span in split_sentences(whole[begin:])]
            posed = [_pose(asked, whole, spans) for asked in paragraph["qas"] if asked["answers"]]
            kept = tuple(one for one in posed if one.sentences)
            articles.setdefault(article["title"], []).append(Paragraph(whole[begin:].strip(), kept))
    return articles


def _pose(asked: Mapping[str, Any], whole: str, spans: Sequence[Span]) -> Posed:
    """Return a question with those of its answers that stand where the data set says."""
    places = [
        Span(one["answer_start"], one["answer_start"] + len(one["text"]))
        for one in asked["answers"]
        if one["text"] and whole.startswith(one["text"], max(0, one["answer_start"])) and one["answer_start"] >= 0
    ]
    answers = tuple(dict.fromkeys(_at(whole, place) for place in places))
    sentences = (_at(whole, span) for place in places for span in spans if span.overlaps(place))
    return Posed(asked["question"], answers, tuple(dict.fromkeys(sentences)))


def _at(text: str, span: Span) -> str:
    return text[span.start : span.end]


def take_out(paragraph: Paragraph, kept: Posed) -> tuple[str, Posed | None]:
    """Return the text without the answer to another of its questions, and that question; `kept` keeps its answer.

    Without such a question the text stays as it is.
    """
    sentences = [paragraph.text[span.start : span.end] for span in split_sentences(paragraph.text)]
    for posed in paragraph.posed:
        left = [sentence for sentence in sentences if not any(answer in sentence for answer in posed.answers)]
        text = "".join(left)
        if posed is not kept and left and all(sentence in left for sentence in kept.sentences):
            return text, posed
    return paragraph.text, None


def write_articles(folder: Path, articles: Mapping[str, Sequence[Paragraph]], *, rng: random.Random) -> Questions:
    """Write most of the articles as Markdown, a file each; return what is asked of them."""
    titles = sorted(articles)
    rng.shuffle(titles)
    cut = round(INDEXED * len(titles))
    inside: list[Asked] = []
    near: list[Asked] = []
    for number, title in enumerate(titles[:cut]):
        name = f"{number:04}.md"
        texts = []
        missing = []
        for paragraph in articles[title]:
            if not paragraph.posed:
                texts.append(paragraph.text)
                continue
            kept = rng.choice(paragraph.posed)
            text, taken = take_out(paragraph, kept)
            texts.append(text)
            gold = tuple(Gold(name, sentence) for sentence in kept.sentences)
            inside.append(Asked(kept.question, answerable=True, gold=gold))
            missing += [taken] if taken else []
        whole = "\n\n".join(texts)
        near += [
            Asked(posed.question, answerable=False, gold=())
            for posed in missing
            if not any(answer in whole for answer in posed.answers)
        ]
        heading = json.dumps(title, ensure_ascii=False)
        (folder / name).write_text(f"---\ntitle: {heading}\n---\n\n{whole}\n", encoding="utf-8")
    far = [
        Asked(posed.question, answerable=False, gold=())
        for title in titles[cut:]
        for paragraph in articles[title]
        for posed in paragraph.posed
    ]
    return Questions(tuple(inside), tuple(near), tuple(far))


@dataclass(frozen=True, slots=True)
class Searched:
    """The questions of a set with what was found for them, kind by kind, and a judge with the index's rarities."""

    inside: tuple[Found, ...]
    near: tuple[Found, ...]
    far: tuple[Found, ...]
    engine: Engine

    def judge(self, calibration: Path) -> MatchingJudge:
        """Return the judge with these weights."""
        return MatchingJudge(rarity=self.engine.index.lexical.rarity, calibration=calibration)

    def all(self) -> tuple[Found, ...]:
        """Return all questions."""
        return self.inside + self.near + self.far


def search_all(engine: Engine, questions: Questions) -> Searched:
    """Return the questions with the passages that the pipeline finds for them."""
    inside, near, far = (
        tuple(find(engine, asked) for asked in kind) for kind in (questions.inside, questions.near, questions.far)
    )
    return Searched(inside, near, far, engine)


def label_sentences(searched: Searched, *, calibration: Path) -> Iterator[Labelled]:
    """Yield for each question that the articles answer the sentences of its passages."""
    judge = searched.judge(calibration)
    for one in searched.inside:
        ranked = judge.rank(one.asked.question, one.readings)
        yield Labelled(
            tuple(astuple(weighed.features) for weighed in ranked),
            tuple(is_right(weighed, one.asked) for weighed in ranked),
        )


def label_decisions(searched: Searched, *, calibration: Path) -> Iterator[Decided]:
    """Yield the best sentence of each question."""
    judge = searched.judge(calibration)
    for one in searched.all():
        if ranked := judge.rank(one.asked.question, one.readings):
            features = astuple(judge.decision(one.asked.question, ranked))
            yield Decided(features, one.asked.answerable, is_right(ranked[0], one.asked))


def fit_decision(sets: Sequence[Sequence[Decided]]) -> Logistic:
    """Fit the confidence that the best sentence is right, as `training.answerer` does."""
    usable = [one for rows in sets for one in rows]
    answerable = np.array([one.answerable for one in usable])
    weights = np.concatenate([_half_and_half(np.array([one.answerable for one in rows])) for rows in sets])
    features = np.array([one.features for one in usable])
    signs = np.array([SIGNS[field.name] for field in fields(DecisionFeatures)])
    direction = fit_signed(features, answerable, weights, signs=signs)
    return scale(direction, features, np.array([one.right for one in usable]), weights)


def _half_and_half(answerable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return weights under which there are as many questions with an answer as without."""
    shares = np.where(answerable, answerable.mean(), 1 - answerable.mean())
    return WEIGHT_OF_A_SET / len(answerable) / (2 * shares)


def fit_all(sets: Sequence[Searched], *, file: Path) -> dict[str, object]:
    """Write the models to a file and return them as it holds them; the second is fitted to what the first chooses."""
    described = {
        name: described_model(Logistic((0.0,) * len(fields(record)), 0.0), record)
        for name, record in (("sentence", SentenceFeatures), ("decision", DecisionFeatures))
    }
    file.write_text(json.dumps(described), encoding="utf-8")
    sentence = fit_sentences([list(label_sentences(one, calibration=file)) for one in sets])
    described["sentence"] = described_model(sentence, SentenceFeatures)
    file.write_text(json.dumps(described), encoding="utf-8")
    decision = fit_decision([list(label_decisions(one, calibration=file)) for one in sets])
    described["decision"] = described_model(decision, DecisionFeatures)
    file.write_text(json.dumps(described), encoding="utf-8")
    return dict(described)


def main() -> None:
    """Fit and write the weights, with the figures of the half that they were not fitted to."""
    parser = argparse.ArgumentParser(prog="python -m training.unspaced", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=CALIBRATION)
    parser.add_argument("--each", type=int, default=300, help="questions of each kind and set at most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        work = Path(temporary)

        def searched(name: str, *, is_fitted: bool) -> Searched:
            articles = read_paragraphs(options.data / MEASURED[name])
            half = {title: its for title, its in articles.items() if (pick_share(title) < 1 / 2) == is_fitted}
            chosen = half if name in FITTED else articles
            config, questions = prepare(work / f"{name}-{is_fitted}", chosen, each=options.each)
            return search_all(stack.enter_context(Engine(config)), questions)

        file = work / "matching.json"
        described = fit_all([searched(name, is_fitted=True) for name in FITTED], file=file)
        bar = Answering().min_confidence
        figures: dict[str, object] = {}
        for name in MEASURED:
            found = searched(name, is_fitted=False)
            judge = found.judge(file)
            figures[name] = report(name, list(judge_all(judge, found.inside + found.near)), bar=bar)
            figures[f"{name}_far"] = report(f"{name} far", list(judge_all(judge, found.far)), bar=bar)
    options.out.write_text(json.dumps({**described, "figures": figures}, indent=2) + "\n", encoding="utf-8")


def prepare(work: Path, articles: Mapping[str, Sequence[Paragraph]], *, each: int) -> tuple[Config, Questions]:
    """Index most of the articles in a folder; return the settings to ask them with, and what to ask."""
    rng = random.Random(SEED)
    folder = work / "articles"
    folder.mkdir(parents=True)
    questions = write_articles(folder, articles, rng=rng).sample(each, rng)
    config = configured(work, articles=folder, index=work / "index", reader="none")
    index_articles(config, [], reporting=Reporting(notify=print))
    return config, questions


if __name__ == "__main__":
    main()
