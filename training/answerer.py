"""Fit how the answerer weighs what the reader, retrieval and the words say, and when it declines.

    python -m training.answerer --data ../shared/data --out rag/answering/calibration.json

The weights come from articles that the reader was never trained on, indexed and asked through the whole pipeline: the
dev share of the training data, the batches of our own news that were kept apart, and the development half of
seeds/questions.jsonl. The confidence below which the answerer declines comes from the last two, the nearest to what
people ask. Nothing is looked up in the test half.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from rag.answering import Finding, ReaderJudge, Reading
from rag.answering.judging import Logistic
from rag.answering.reading import Candidate, DecisionFeatures, PassageFeatures, PassagesRead, SentenceFeatures
from rag.config import Config, load_config
from rag.pipeline import Engine, Reporting, index_articles
from training.examples import pick_share
from training.news import FOLDER as NEWS
from training.news import is_held_out, read_news
from training.prepare import Recipe, split_key
from training.sources import SourcePassage, SpanRow, read_passages, read_spans

SOURCES = ("squad2_train_rebuilt", "squadshifts_new_wiki", "nq_open_oracle", "onestop_news")
SEED = 20261122
LEAST_PASSAGES = 4
MOST_PASSAGES = 60
# The two sets differ in size, and the smaller is the nearer to what people ask.
WEIGHT_OF_A_SET = 200.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, whether the articles answer it, and the texts that an answering sentence overlaps, by article id."""

    question: str
    answerable: bool
    gold: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A question with the sentences of the passages that were read, and which of them hold the gold."""

    asked: Asked
    read: PassagesRead
    right: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """A question with its shortlist, what reading each sentence by itself adds, and which hold the gold."""

    asked: Asked
    candidates: tuple[Candidate, ...]
    features: tuple[SentenceFeatures, ...]
    right: tuple[bool, ...]


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
            text = passages[row.passage_id].text
            gold = tuple(
                (owners[row.passage_id], " ".join(text[start:end].split()), " ".join(text.split()))
                for start, end in row.spans
            )
            halves[row.answerable].append(Asked(row.question, row.answerable, gold if row.answerable else ()))
    rng = random.Random(SEED)
    return [asked for half in halves.values() for asked in rng.sample(half, min(each, len(half)))]


def seed_questions(path: Path, *, split: str) -> list[Asked]:
    """Return the questions of a split with their gold quotes."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Asked(
            row["question"],
            row["answerable"],
            tuple((gold["article"], gold["quote"], gold["quote"]) for gold in row["evidence"]),
        )
        for row in rows
        if row["split"] == split
    ]


def held_out_news() -> list[Asked]:
    """Return the questions about our own news that the reader was not trained on, with their gold quotes."""
    _, questions = read_news()
    return [
        Asked(
            question.question,
            question.answerable,
            tuple((name, quote, quote) for name, quote in question.quotes) if question.answerable else (),
        )
        for question in questions
        if is_held_out(question.quotes[0][0])
    ]


def judge_all(engine: Engine, questions: Sequence[Asked]) -> Iterator[Judged]:
    """Ask every question through the pipeline, and mark the sentences that overlap its gold."""
    judge = reader_judge(engine)
    for asked in questions:
        found = engine.search(asked.question)
        readings = [Reading(hit, found.articles[hit.passage.article]) for hit in found.ranking.hits]
        read = judge.read_passages(asked.question, readings)
        yield Judged(asked, read, tuple(is_right(candidate, asked) for candidate in read.candidates))


def read_again(engine: Engine, judged: Sequence[Judged], *, shortlist: Logistic) -> Iterator[ReadAgain]:
    """Read the shortlist of every question sentence by sentence."""
    judge = reader_judge(engine)
    for row in judged:
        chosen = judge.shortlist(row.asked.question, row.read, model=shortlist)
        featured = judge.read_alone(row.asked.question, chosen)
        yield ReadAgain(
            row.asked,
            tuple(candidate for candidate, _ in featured),
            tuple(features for _, features in featured),
            tuple(is_right(candidate, row.asked) for candidate, _ in featured),
        )


def reader_judge(engine: Engine) -> ReaderJudge:
    """Return the engine's judge, which reads."""
    judge = engine.judge
    if not isinstance(judge, ReaderJudge):
        raise TypeError("the settings name no reader")
    return judge


def is_right(candidate: Candidate | Finding, asked: Asked) -> bool:
    """Tell whether a sentence overlaps a gold text inside the passage that the gold stands in."""
    article = candidate.reading.article
    for name, answer, passage in asked.gold:
        if name != article.id:
            continue
        place = article.text.find(passage)
        if place < 0:
            continue
        start = place + passage.find(answer)
        if start < candidate.span.end and candidate.span.start < start + len(answer):
            return True
    return False


def fit(
    features: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64], *, strength: float = 0.1
) -> Logistic:
    """Fit a logistic model, on standardised features, and return it for plain ones."""
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    model = LogisticRegression(C=strength, max_iter=5000).fit((features - mean) / spread, labels, sample_weight=weights)
    plain = model.coef_[0] / spread
    return Logistic(tuple(map(float, plain)), float(model.intercept_[0] - plain @ mean))


def fit_sentences(sets: Sequence[Sequence[Judged | ReadAgain]]) -> Logistic:
    """Fit the score of a sentence on the questions whose gold is among the candidates; each set weighs the same."""
    features, labels, weights = [], [], []
    for rows in sets:
        usable = [row for row in rows if any(row.right)]
        for row in usable:
            known = row.features if isinstance(row, ReadAgain) else [one.features for one in row.read.candidates]
            features += [astuple(one) for one in known]
            labels += row.right
            weights += [WEIGHT_OF_A_SET / len(usable)] * len(known)
    return fit(np.array(features), np.array(labels), np.array(weights))


def decide_all(
    engine: Engine, rows: Sequence[ReadAgain], *, sentence: Logistic
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the decision features (n, d) of each question's best sentence, and whether that sentence is right (n,)."""
    judge = reader_judge(engine)
    features, labels = [], []
    for row in rows:
        scores = [sentence.log_odds(astuple(one)) for one in row.features]
        best = int(np.argmax(scores))
        decided = judge.decision(row.asked.question, row.candidates[best], row.features[best])
        features.append(astuple(decided))
        labels.append(row.right[best])
    return np.array(features), np.array(labels)


def choose_threshold(confidences: NDArray[np.float64], answerable: NDArray[np.bool_], *, most_declined: float) -> float:
    """Return the confidence below which at most `most_declined` of the answerable questions lie."""
    ranked = np.sort(confidences[answerable])
    allowed = int(most_declined * len(ranked))
    return float((ranked[allowed] + ranked[allowed - 1]) / 2) if allowed else float(ranked[0] - 1e-6)


def report(
    name: str,
    confidences: NDArray[np.float64],
    rows: Sequence[ReadAgain],
    right: NDArray[np.bool_],
    *,
    bar: float,
) -> dict[str, float]:
    """Print and return how a set fares: right among the answerable, declined of both kinds."""
    answerable = np.array([row.asked.answerable for row in rows])
    declined = confidences < bar
    figures = {
        "n_answerable": int(answerable.sum()),
        "n_unanswerable": int((~answerable).sum()),
        "best_sentence_right": float(right[answerable].mean()),
        "answerable_declined": float(declined[answerable].mean()),
        "unanswerable_declined": float(declined[~answerable].mean()),
    }
    print(name, json.dumps({key: round(value, 3) for key, value in figures.items()}))
    return figures


def main() -> None:
    """Fit and write the calibration."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=Path, default=Path("seeds"))
    parser.add_argument("--out", type=Path, default=Path("rag/answering/calibration.json"))
    parser.add_argument("--each", type=int, default=200, help="questions with, and without, an answer")
    parser.add_argument(
        "--most-declined", type=float, default=0.08, help="of the answerable questions of the last two sets"
    )
    parser.add_argument("--reader", default="shipped")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        sets = prepare_sets(Path(temporary), options)
        with contextlib.ExitStack() as stack:
            engines = {name: stack.enter_context(Engine(config)) for name, (config, _) in sets.items()}
            judged = {name: list(judge_all(engines[name], asked)) for name, (_, asked) in sets.items()}
            shortlist = fit_sentences(list(judged.values()))
            again = {name: list(read_again(engines[name], rows, shortlist=shortlist)) for name, rows in judged.items()}
            sentence = fit_sentences(list(again.values()))
            decided = {name: decide_all(engines[name], rows, sentence=sentence) for name, rows in again.items()}
    decision = fit(
        np.concatenate([features for features, _ in decided.values()]),
        np.concatenate([right for _, right in decided.values()]),
        np.concatenate([np.full(len(right), WEIGHT_OF_A_SET / len(right)) for _, right in decided.values()]),
    )
    confidences = {name: np.array([decision(row) for row in features]) for name, (features, _) in decided.items()}
    likest = [name for name in sets if name != "held_out"]
    bar = choose_threshold(
        np.concatenate([confidences[name] for name in likest]),
        np.array([row.asked.answerable for name in likest for row in again[name]]),
        most_declined=options.most_declined,
    )
    described = {
        "shortlist": described_model(shortlist, PassageFeatures),
        "sentence": described_model(sentence, SentenceFeatures),
        "decision": described_model(decision, DecisionFeatures),
        "min_confidence": round(bar, 4),
        "figures": {
            name: report(name, confidences[name], rows, decided[name][1], bar=bar) for name, rows in again.items()
        },
    }
    options.out.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def prepare_sets(work: Path, options: argparse.Namespace) -> dict[str, tuple[Config, list[Asked]]]:
    """Index the articles of each set; return the settings to ask them with, and the questions."""
    passages = read_passages(options.data)
    spans = read_spans(options.data, passages=passages)
    (work / "held-out").mkdir()
    (work / "news").mkdir()
    articles = held_out_articles(spans, passages=passages)
    owners = write_articles(work / "held-out", articles=articles, passages=passages)
    for path in NEWS.glob("*.md"):
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
        index_articles(config, [], reporting=Reporting(notify=print))
        sets[name] = (config, questions[name])
    return sets


def described_model(model: Logistic, record: type) -> dict[str, object]:
    """Return a model as the calibration file holds it, its features by name."""
    return {"features": [field.name for field in fields(record)], "weights": list(model.weights), "bias": model.bias}


def configured(work: Path, *, articles: Path, index: Path, reader: str) -> Config:
    """Return the default settings for other articles and another index."""
    overrides = {"articles": json.dumps([str(articles)]), "index": str(index), "reader.model": reader}
    return load_config(file=None, overrides=overrides, environment={}, cwd=work)


if __name__ == "__main__":
    main()
