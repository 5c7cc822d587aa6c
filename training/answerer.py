"""Fit how the answerer weighs what the reader, retrieval and the words say, and when it declines.

    python -m training.answerer --data ../shared/data --out rag/answering/calibration.json

The weights come from articles that the reader was never trained on, indexed and asked through the whole pipeline: the
dev share of the training data, the batches of our own news that were kept apart, with their factoid and non-factoid
questions, and the development half of seeds/questions.jsonl. Batches that contradict each other are indexed and asked
one at a time; their questions count as two sets, by whether they ask for a fact. The confidence below which the
answerer declines comes from those that ask for facts of news, batches and seeds, the nearest to what people ask, each
of which counts as much. Nothing is looked up in the test half.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from rag.answering import ReaderJudge, Reading, restore_capitals
from rag.answering.judging import Judge, Logistic
from rag.answering.reading import DecisionFeatures, PassageFeatures, SentenceFeatures
from rag.building import index_articles
from rag.config import Config, load_config
from rag.engine import Engine
from rag.loading import encoder_of, reader_of
from rag.models.encoder import Encoder
from rag.progress import Reporting
from rag.records import Article, Span
from rag.sweeping import RememberingReader
from training import reliability
from training.examples import pick_share
from training.measures import bootstrap_mean
from training.news import FOLDER as NEWS
from training.news import NewsQuestion, is_held_out, list_batch, list_reports, read_news, stands_alone
from training.nonfactoid import read_nonfactoid
from training.prepare import Recipe, split_key
from training.sources import SourcePassage, SpanRow, read_passages, read_spans

SOURCES = ("squad2_train_rebuilt", "squadshifts_new_wiki", "nq_open_oracle", "onestop_news")
SEED = 20261122
LEAST_PASSAGES = 4
MOST_PASSAGES = 60
# The sets differ in size, and the smallest is the nearest to what people ask.
WEIGHT_OF_A_SET = 200.0
# Those that ask for no single fact are hardly ever declined, and would raise the bar for the others.
LIKEST = ("news", "batches", "seeds_dev")
FOLDS = 5
FAR = "_far"
SECTION = "## Confidence"
FOLLOWING = "## Limits"
SIGNS = {"answerable": 1, "alone": 1, "in_context": 1, "unmatched": -1, "unmatched_near": -1, "distant": -1}
STAGES: Mapping[str, type] = {
    "shortlist": PassageFeatures,
    "sentence": SentenceFeatures,
    "decision": DecisionFeatures,
}

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Gold:
    """What an answering sentence overlaps: a slice of a text that stands in an article; all of the text if not told."""

    article: str
    text: str
    span: Span | None = None

    def place_in(self, article: Article) -> Span | None:
        """Return the slice of an article that it is; None if that is another one, or does not hold the text."""
        place = article.text.find(self.text) if article.id == self.article else -1
        span = self.span or Span(0, len(self.text))
        return None if place < 0 else Span(place + span.start, place + span.end)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, whether the articles answer it, and what an answering sentence overlaps."""

    question: str
    answerable: bool
    gold: tuple[Gold, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A question with the passages that the search found for it."""

    asked: Asked
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a question came to: how confident its answer is, and whether its first sentence is right."""

    asked: Asked
    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """The questions of a set with what was found for them, and the judge that answers them."""

    found: tuple[Found, ...]
    judge: ReaderJudge

    def where(self, wanted: Callable[[Found], bool]) -> QuestionSet:
        """Return the questions that are wanted, with the same judge."""
        return QuestionSet(tuple(one for one in self.found if wanted(one)), self.judge)

    def judged_by(self, calibration: Path) -> ReaderJudge:
        """Return the judge with other weights."""
        judge = self.judge
        return ReaderJudge(judge.reader, rarity=judge.rarity, budget=judge.budget, calibration=calibration)


def held_out_articles(spans: Sequence[SpanRow], *, passages: dict[int, SourcePassage]) -> dict[str, list[int]]:
    """Return the passage ids of each article that the reader was not trained on."""
    held: dict[str, set[int]] = defaultdict(set)
    for row in spans:
        if row.source in SOURCES and pick_share(split_key(row)) < Recipe().dev_share:
            held[split_key(row)].add(row.passage_id)
    return {
        title: sorted(ids)[:MOST_PASSAGES]
        for title, ids in held.items()
        if len(ids) >= LEAST_PASSAGES and passages[min(ids)].title
    }


def write_articles(
    folder: Path, *, articles: dict[str, list[int]], passages: dict[int, SourcePassage]
) -> dict[int, str]:
    """Write one Markdown file per article; return the article id of each passage."""
    owners = {}
    for number, (_, ids) in enumerate(sorted(articles.items())):
        name = f"{number:04}.md"
        title = json.dumps(passages[ids[0]].title, ensure_ascii=False)
        body = "\n\n".join(" ".join(passages[i].text.split()) for i in ids)
        (folder / name).write_text(f"---\ntitle: {title}\nlanguage: en\n---\n\n{body}\n", encoding="utf-8")
        owners.update(dict.fromkeys(ids, name))
    return owners


def sample_questions(
    spans: Sequence[SpanRow], *, owners: dict[int, str], passages: dict[int, SourcePassage], each: int
) -> list[Asked]:
    """Return up to `each` questions with and without an answer."""
    halves: dict[bool, list[Asked]] = {True: [], False: []}
    for row in spans:
        if row.source in SOURCES and row.passage_id in owners:
            text, owner = passages[row.passage_id].text, owners[row.passage_id]
            gold = tuple(Gold(owner, " ".join(text.split()), _on_one_line(text, *span)) for span in row.spans)
            halves[row.answerable].append(Asked(row.question, row.answerable, gold if row.answerable else ()))
    rng = random.Random(SEED)
    return [asked for half in halves.values() for asked in rng.sample(half, min(each, len(half)))]


def _on_one_line(text: str, start: int, end: int) -> Span:
    """Return a slice of a text, which begins and ends with words, as that of the text with single blanks."""
    low = len(" ".join([*text[:start].split(), ""]))
    return Span(low, low + len(" ".join(text[start:end].split())))


def seed_questions(path: Path, *, split: str) -> list[Asked]:
    """Return the questions of a split with their gold quotes."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Asked(
            row["question"],
            row["answerable"],
            tuple(Gold(gold["article"], gold["quote"]) for gold in row["evidence"]),
        )
        for row in rows
        if row["split"] == split
    ]


def held_out_news() -> list[Asked]:
    """Return the questions about reports asked all at once that the reader was not trained on."""
    _, questions = read_news()
    return _held_out(questions)


def held_out_nonfactoid() -> list[Asked]:
    """Return the non-factoid questions about reports asked all at once that the reader was not trained on."""
    return _held_out(read_nonfactoid())


def _held_out(questions: Sequence[NewsQuestion]) -> list[Asked]:
    return _as_asked([one for one in questions if is_held_out(one.article) and not stands_alone(one.article)])


def _as_asked(questions: Sequence[NewsQuestion]) -> list[Asked]:
    return [
        Asked(
            question.question,
            question.answerable,
            tuple(Gold(name, quote) for name, quote in question.quotes) if question.answerable else (),
        )
        for question in questions
    ]


def held_out_batches(questions: Sequence[NewsQuestion]) -> dict[tuple[str, ...], list[Asked]]:
    """Return the questions about the batches kept apart that are asked one batch at a time, by their three reports."""
    batches: dict[tuple[str, ...], list[NewsQuestion]] = defaultdict(list)
    for question in questions:
        kept_apart = is_held_out(question.article) and stands_alone(question.article)
        if kept_apart and (NEWS / question.article).exists():
            batches[list_batch(question.article)].append(question)
    return {batch: _as_asked(its) for batch, its in sorted(batches.items())}


def search_all(engine: Engine, questions: Sequence[Asked]) -> QuestionSet:
    """Return the questions with the passages that the pipeline finds for them, and its judge."""
    judge = engine.judge
    if not isinstance(judge, ReaderJudge):
        raise TypeError("the settings name no reader")
    found = tuple(find(engine, asked) for asked in questions)
    remembering = ReaderJudge(RememberingReader(judge.reader), rarity=judge.rarity, budget=judge.budget)
    return QuestionSet(found, remembering)


def find(engine: Engine, asked: Asked) -> Found:
    """Return a question, as the pipeline takes it, with the passages that it finds for it."""
    search = engine.search(asked.question)
    meant = restore_capitals(asked.question, search.ranking.texts.values())
    return Found(
        replace(asked, question=meant),
        tuple(Reading(hit, search.articles[hit.passage.article]) for hit in search.ranking.hits),
    )


class Pointing(Protocol):
    """A sentence with the passage that it stands in."""

    @property
    def reading(self) -> Reading:
        """Return the passage and its article."""
        ...

    @property
    def span(self) -> Span:
        """Return the sentence's place in the article."""
        ...


def is_right(candidate: Pointing, asked: Asked) -> bool:
    """Tell whether a sentence overlaps a gold slice."""
    places = (gold.place_in(candidate.reading.article) for gold in asked.gold)
    return any(
        place.start < candidate.span.end and candidate.span.start < place.end for place in places if place is not None
    )


def fit(
    features: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64], *, strength: float = 0.1
) -> Logistic:
    """Fit a logistic model, on standardised features, and return it for plain ones."""
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    model = LogisticRegression(C=strength, max_iter=5000).fit((features - mean) / spread, labels, sample_weight=weights)
    plain = model.coef_[0] / spread
    return Logistic(tuple(map(float, plain)), float(model.intercept_[0] - plain @ mean))


def scale(
    direction: NDArray[np.float64],
    features: NDArray[np.float64],
    labels: NDArray[np.bool_],
    weights: NDArray[np.float64],
) -> Logistic:
    """Return the model that makes a probability of the features (n, d) along a direction (d,): Platt's scaling."""
    scaled = fit((features @ direction)[:, None], labels, weights, strength=100.0)
    return Logistic(tuple(float(scaled.weights[0] * weight) for weight in direction), scaled.bias)


@dataclass(frozen=True, slots=True)
class Labelled:
    """The feature rows of a question, and which of them are right."""

    features: tuple[tuple[float, ...], ...]
    right: tuple[bool, ...]


def fit_sentences(sets: Sequence[Sequence[Labelled]]) -> Logistic:
    """Fit the score of a sentence on the questions whose gold is among the candidates; each set weighs the same.

    What counts is the order of a question's own sentences, so the weights are those under which its right ones get the
    most of a softmax over all (a conditional logit: McFadden 1974). Which question has the easier sentences is left to
    the scale and the bias, which make a probability of the sum.
    """
    usable = [one for rows in sets for one in rows if any(one.right)]
    counts = [sum(any(one.right) for one in rows) for rows in sets]
    weights = np.array([WEIGHT_OF_A_SET / count for count in counts for _ in range(count)])
    features = np.array([row for one in usable for row in one.features])
    right = np.array([right for one in usable for right in one.right])
    sizes = np.array([len(one.right) for one in usable])
    direction = fit_order(features, right, sizes, weights)
    return scale(direction, features, right, np.repeat(weights, sizes))


def fit_order(
    features: NDArray[np.float64],
    right: NDArray[np.bool_],
    sizes: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    strength: float = 0.1,
) -> NDArray[np.float64]:
    """Return weights (d,) of the features (n, d) that put the right rows of each question before its wrong ones.

    The rows stand question by question, `sizes` of each, which counts by its one of `weights`.
    """
    spread = features.std(axis=0) + 1e-9
    plain = (features - features.mean(axis=0)) / spread
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    owner = np.repeat(np.arange(len(sizes)), sizes)

    def loss(direction: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = plain @ direction
        mass = np.exp(scores - np.maximum.reduceat(scores, starts)[owner])
        whole, good = np.add.reduceat(mass, starts), np.add.reduceat(mass * right, starts)
        slope = weights[owner] * (mass / whole[owner] - mass * right / good[owner])
        value = strength * float(weights @ np.log(whole / good)) + 0.5 * float(direction @ direction)
        return value, strength * (slope @ plain) + direction

    found = minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B")
    result: NDArray[np.float64] = found.x / spread
    return result


def label_passages(questions: QuestionSet, *, calibration: Path) -> Iterator[Labelled]:
    """Yield for each question the sentences of the passages that are read."""
    judge = questions.judged_by(calibration)
    for one in questions.found:
        candidates = judge.read_passages(one.asked.question, one.readings).candidates
        yield Labelled(
            tuple(astuple(candidate.features) for candidate in candidates),
            tuple(is_right(candidate, one.asked) for candidate in candidates),
        )


def label_sentences(questions: QuestionSet, *, calibration: Path) -> Iterator[Labelled]:
    """Yield for each question the sentences that are read by themselves."""
    judge = questions.judged_by(calibration)
    for one in questions.found:
        ranked = judge.rank(one.asked.question, one.readings)
        yield Labelled(
            tuple(astuple(weighed.features) for weighed in ranked),
            tuple(is_right(weighed.candidate, one.asked) for weighed in ranked),
        )


@dataclass(frozen=True, slots=True)
class Decided:
    """What the decision is made from for a question that no rule decides, whether it has an answer, and is right."""

    features: tuple[float, ...]
    answerable: bool
    right: bool


def label_decisions(questions: QuestionSet, *, calibration: Path) -> Iterator[Decided]:
    """Yield the best sentence of each question, where no rule decides without the weights."""
    judge = questions.judged_by(calibration)
    for one in questions.found:
        question = one.asked.question
        ranked = judge.rank(question, one.readings)
        if ranked and not judge.rules_out(question, ranked[0]):
            features = astuple(
                judge.decision(question, ranked[0], judge.read_in_context(question, ranked[0].candidate))
            )
            yield Decided(features, one.asked.answerable, is_right(ranked[0].candidate, one.asked))


def fit_decision(sets: Sequence[Sequence[Decided]]) -> Logistic:
    """Fit the confidence that the best sentence is right; each set weighs the same.

    Its direction is fitted to what can be answered at all, each weight with the sign that it has by its meaning: what
    wrote the near misses left traces, such as that they share more words with the articles than real questions do.
    Then Platt's scaling makes it the probability of being right.
    """
    usable = [one for rows in sets for one in rows]
    weights = np.array([WEIGHT_OF_A_SET / len(rows) for rows in sets for _ in rows])
    features = np.array([one.features for one in usable])
    answerable = np.array([one.answerable for one in usable])
    signs = np.array([SIGNS[field.name] for field in fields(DecisionFeatures)])
    direction = fit_signed(features, answerable, weights, signs=signs)
    right = np.array([one.right for one in usable])
    return scale(direction, features, right, weights)


def fit_signed(
    features: NDArray[np.float64],
    labels: NDArray[np.bool_],
    weights: NDArray[np.float64],
    *,
    signs: NDArray[np.int64],
    strength: float = 0.1,
) -> NDArray[np.float64]:
    """Return logistic weights (d,) of the features (n, d), none of another sign than its one of `signs` (d,)."""
    spread = features.std(axis=0) + 1e-9
    plain = (features - features.mean(axis=0)) / spread

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        direction, bias = parameters[:-1], parameters[-1]
        odds = plain @ direction + bias
        value = strength * float(weights @ (np.logaddexp(0.0, odds) - labels * odds)) + 0.5 * float(
            direction @ direction
        )
        slope = strength * weights * (1 / (1 + np.exp(-odds)) - labels)
        return value, np.concatenate((slope @ plain + direction, [slope.sum()]))

    bounds = [(0.0, None) if sign > 0 else (None, 0.0) for sign in signs] + [(None, None)]
    found = minimize(loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds)
    result: NDArray[np.float64] = found.x[:-1] / spread
    return result


def answer_all(questions: QuestionSet, *, calibration: Path) -> Iterator[Outcome]:
    """Return what each question comes to, as the answerer answers it."""
    return judge_all(questions.judged_by(calibration), questions.found)


def judge_all(judge: Judge, found: Sequence[Found]) -> Iterator[Outcome]:
    """Yield what a judge makes of each question."""
    for one in found:
        verdict = judge.judge(one.asked.question, one.readings)
        right = bool(verdict.findings) and is_right(verdict.findings[0], one.asked)
        yield Outcome(one.asked, verdict.confidence, right)


def choose_threshold(sets: Sequence[Sequence[Outcome]], *, most_declined: float) -> float:
    """Return the confidence below which at most `most_declined` of the answerable questions lie, each set as one."""
    answerable = [[one.confidence for one in outcomes if one.asked.answerable] for outcomes in sets]
    confidences = np.concatenate(answerable)
    weights = np.concatenate([np.full(len(ones), 1 / (len(ones) * len(sets))) for ones in answerable])
    order = np.argsort(confidences)
    ranked, declined = confidences[order], np.cumsum(weights[order])
    allowed = int((declined <= most_declined + 1e-9).sum())
    return float((ranked[allowed] + ranked[allowed - 1]) / 2) if allowed else float(ranked[0] - 1e-6)


def report(name: str, outcomes: Sequence[Outcome], *, bar: float) -> dict[str, object]:
    """Print and return how a set fares, with 95 % intervals: right among the answerable, declined of both kinds."""
    answerable = [one for one in outcomes if one.asked.answerable]
    unanswerable = [one for one in outcomes if not one.asked.answerable]
    shares = {
        "best_sentence_right": [one.right for one in answerable],
        "answerable_declined": [one.confidence < bar for one in answerable],
        "unanswerable_declined": [one.confidence < bar for one in unanswerable],
    }
    figures: dict[str, object] = {"n_answerable": len(answerable), "n_unanswerable": len(unanswerable)}
    for what, cases in shares.items():
        if cases:
            share = bootstrap_mean([float(case) for case in cases])
            figures[what] = {"value": round(share.value, 4), "low": round(share.low, 4), "high": round(share.high, 4)}
    print(name, json.dumps(figures))
    return figures


def main() -> None:
    """Fit and write the calibration."""
    parser = argparse.ArgumentParser(prog="python -m training.answerer", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=Path, default=Path("seeds"))
    parser.add_argument("--out", type=Path, default=Path("rag/answering/calibration.json"))
    parser.add_argument("--each", type=int, default=400, help="questions with, and without, an answer")
    parser.add_argument(
        "--most-declined", type=float, default=0.08, help="of the answerable questions like those that people ask"
    )
    parser.add_argument("--reader", default="shipped")
    parser.add_argument("--card", type=Path, help="model card that tells how true the confidences are")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        config = configured(work, articles=options.seeds.absolute(), index=work / "index", reader=options.reader)
        encoder, reader = encoder_of(config, print), reader_of(config, print)
        sets = prepare_sets(work, options, encoder=encoder)
        with contextlib.ExitStack() as stack:
            questions = {
                name: search_all(stack.enter_context(Engine(config, encoder=encoder, reader=reader)), asked)
                for name, (config, asked) in sets.items()
            }
            fitted = {name: one for name, one in questions.items() if not name.endswith(FAR)}
            described = fit_all(fitted, work=work)
            file = work / "fitted.json"
            file.write_text(json.dumps(described), encoding="utf-8")
            outcomes = cross_fitted(fitted, work=work)
            outcomes |= {
                name: list(answer_all(one, calibration=file)) for name, one in questions.items() if name.endswith(FAR)
            }
    bar = round(choose_threshold([outcomes[name] for name in LIKEST], most_declined=options.most_declined), 4)
    figures = {name: report(name, found, bar=bar) for name, found in outcomes.items()}
    whole = {**described, "min_confidence": bar, "figures": figures}
    options.out.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    if options.card:
        write_reliability(options.card, outcomes)


def fit_all(questions: Mapping[str, QuestionSet], *, work: Path) -> dict[str, object]:
    """Return the models as the calibration file describes them.

    Each stage is fitted to what the answerer does with the weights of the stages before.
    """
    file = work / "calibration.json"
    described = {
        name: described_model(Logistic((0.0,) * len(fields(record)), 0.0), record) for name, record in STAGES.items()
    }

    def keep(name: str, model: Logistic) -> None:
        described[name] = described_model(model, STAGES[name])
        file.write_text(json.dumps(described), encoding="utf-8")

    file.write_text(json.dumps(described), encoding="utf-8")
    keep("shortlist", fit_sentences(label_sets(label_passages, questions, calibration=file)))
    keep("sentence", fit_sentences(label_sets(label_sentences, questions, calibration=file)))
    keep("decision", fit_decision(label_sets(label_decisions, questions, calibration=file)))
    return dict(described)


def label_sets(
    label: Callable[..., Iterator[Row]], questions: Mapping[str, QuestionSet], *, calibration: Path
) -> list[list[Row]]:
    """Return the rows of each set, those that are asked apart together."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for name, one in questions.items():
        rows[set_of(name)] += label(one, calibration=calibration)
    return list(rows.values())


def set_of(name: str) -> str:
    """Return the set that questions count to: those of "batches/a01" are asked by themselves and are of "batches"."""
    return name.partition("/")[0]


def cross_fitted(questions: Mapping[str, QuestionSet], *, work: Path, folds: int = FOLDS) -> dict[str, list[Outcome]]:
    """Return what each question comes to, by set, under weights that were fitted to the others, all stages of them."""
    outcomes: dict[str, list[Outcome]] = {set_of(name): [] for name in questions}
    for fold in range(folds):
        others = {
            name: one.where(lambda found, fold=fold: fold_of(found, folds=folds) != fold)
            for name, one in questions.items()
        }
        file = work / f"fold-{fold}.json"
        file.write_text(json.dumps(fit_all(others, work=work)), encoding="utf-8")
        for name, one in questions.items():
            held = one.where(lambda found, fold=fold: fold_of(found, folds=folds) == fold)
            outcomes[set_of(name)] += answer_all(held, calibration=file)
    return outcomes


def fold_of(found: Found, *, folds: int) -> int:
    """Return the fold of a question: that of the article which answers it, else of the nearest."""
    near = found.readings[0].article.id if found.readings else found.asked.question
    owner = found.asked.gold[0].article if found.asked.gold else near
    return int(pick_share(owner) * folds)


def write_reliability(card: Path, outcomes: Mapping[str, Sequence[Outcome]]) -> None:
    """Write into a model card how true the confidences are and which calibration fits best, a diagram beside it."""
    sets = {
        name.replace("_", " "): (np.array([one.confidence for one in found]), np.array([one.right for one in found]))
        for name, found in outcomes.items()
        if not name.endswith(FAR)
    }
    reliability.draw(sets, card.with_name("reliability.svg"))
    best = {name: reliability.best_of(reliability.compare(*found)) for name, found in sets.items()}
    section = "\n".join(
        [
            SECTION,
            "",
            "Written by `python -m training.answerer`. How often the first sentence of an answer is right, against the",
            "confidence in it; a question without an answer has none. Every confidence comes from weights that were",
            f"fitted to other questions ({FOLDS} folds by article). What ships is Platt's scaling of a logistic model;",
            "the rows `Platt` and `isotonic` put another one on top of it. Best by Brier score, where that is beyond",
            f"chance: {'; '.join(f'{name} {method}' for name, method in best.items())}.",
            "The intervals of the ECE lie high, as resampling raises it: hold it against what chance alone makes.",
            "",
            "![Share right against confidence](reliability.svg)",
            "",
            reliability.table(sets),
            "",
            "",
        ]
    )
    before, _, after = card.read_text(encoding="utf-8").partition(SECTION)
    if not after:
        before, _, after = before.partition(FOLLOWING)
        after = FOLLOWING + after
    else:
        after = FOLLOWING + after.partition(FOLLOWING)[2]
    card.write_text(before + section + after, encoding="utf-8")


def prepare_sets(work: Path, options: argparse.Namespace, *, encoder: Encoder) -> dict[str, tuple[Config, list[Asked]]]:
    """Index the articles of each set; return the settings to ask them with, and the questions."""
    passages = read_passages(options.data)
    spans = read_spans(options.data, passages=passages)
    (work / "held-out").mkdir()
    (work / "news").mkdir()
    articles = held_out_articles(spans, passages=passages)
    owners = write_articles(work / "held-out", articles=articles, passages=passages)
    for path in list_reports():
        shutil.copy(path, work / "news")
    folders = {"held_out": work / "held-out", "news": work / "news", "seeds_dev": options.seeds.absolute()}
    questions = {
        "held_out": sample_questions(spans, owners=owners, passages=passages, each=options.each),
        "news": held_out_news(),
        "seeds_dev": seed_questions(options.seeds / "questions.jsonl", split="dev"),
    }
    sets = {}
    for name, folder in folders.items():
        config = configured(work, articles=folder, index=work / f"{name}-index", reader=options.reader)
        index_articles(config, [], reporting=Reporting(notify=print), encoder=encoder)
        others = [asked for other, its in questions.items() if other not in {name, "seeds_dev"} for asked in its]
        sets[name] = (config, questions[name])
        sets[f"{name}{FAR}"] = (config, from_elsewhere(others, wanted=options.each))
    sets["nonfactoid"] = (sets["news"][0], held_out_nonfactoid())
    nonfactoid = held_out_batches(read_nonfactoid())
    for batch, asked in held_out_batches(read_news()[1]).items():
        first = Path(batch[0]).stem
        folder = work / first
        folder.mkdir()
        for name in batch:
            shutil.copy(NEWS / name, folder)
        config = configured(work, articles=folder, index=work / f"{first}-index", reader=options.reader)
        index_articles(config, [], encoder=encoder)
        sets[f"batches/{first}"] = (config, asked)
        sets[f"nonfactoid/{first}"] = (config, nonfactoid.get(batch, []))
    return sets


def from_elsewhere(questions: Sequence[Asked], *, wanted: int) -> list[Asked]:
    """Return so many questions to be asked of articles about other things, which do not answer them."""
    chosen = random.Random(SEED).sample(questions, min(wanted, len(questions)))
    return [Asked(one.question, answerable=False, gold=()) for one in chosen]


def described_model(model: Logistic, record: type) -> dict[str, object]:
    """Return a model as the calibration file holds it, its features by name."""
    return {"features": [field.name for field in fields(record)], "weights": list(model.weights), "bias": model.bias}


def configured(work: Path, *, articles: Path, index: Path, reader: str) -> Config:
    """Return the default settings for other articles and another index."""
    overrides = {"articles": json.dumps([str(articles)]), "index": str(index), "reader.model": reader}
    return load_config(file=None, overrides=overrides, environment={}, cwd=work)


if __name__ == "__main__":
    main()
