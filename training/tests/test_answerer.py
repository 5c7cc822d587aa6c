"""The fit goes through the code that answers, so its figures are those of what ships."""

import json
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering import ReaderJudge, Reading
from rag.answering.judging import Finding
from rag.answering.reading import DecisionFeatures
from rag.models.reader import PassageReading
from rag.records import Article, Hit, Passage, Span
from rag.sweeping import RememberingReader
from training.answerer import (
    SIGNS,
    Asked,
    Found,
    Gold,
    Labelled,
    Outcome,
    QuestionSet,
    answer_all,
    choose_threshold,
    cross_fitted,
    fit_all,
    fit_sentences,
    fit_signed,
    fold_of,
    held_out_batches,
    is_right,
    label_decisions,
    report,
    sample_questions,
    write_reliability,
)
from training.news import is_held_out, read_news, stands_alone
from training.nonfactoid import read_nonfactoid
from training.sources import SourcePassage, SpanRow

WORDS = ("Geneva", "August", "Tokyo", "March", "Beijing", "May")


class EagerReader:
    """A reader that points at the last word of whatever it is given, the surer the longer that is."""

    name = "eager"
    revision = "1"

    def __init__(self):
        self.pairs = []

    def sizes(self, _question, passages):
        return [len(page.text.split()) for page in passages]

    def read(self, question, passages):
        self.pairs += [(question, page) for page in passages]
        return [self._read(page) for page in passages]

    def _read(self, page):
        starts = [
            place for place in range(page.header_size, len(page.text)) if page.text[place - 1 : place] in {"", " "}
        ]
        starts = starts or [page.header_size]
        tokens = np.array([[start, start + len(page.text[start:].split()[0])] for start in starts])
        sure = np.array([-float(len(starts) - place) for place in range(len(starts))], np.float32)
        return PassageReading(float(len(page.text) % 7), sure, sure, tokens)


def found(number, *, question, answerable):
    sentence = f"Envoy number {number} met the others in {WORDS[number % len(WORDS)]}."
    text = f"{sentence} Nothing else happened."
    article = Article(id=f"a{number}", path=f"a{number}.md", text=text, title="Envoys")
    spans = (Span(0, len(sentence)), Span(len(sentence) + 1, len(text)))
    reading = Reading(Hit(Passage(article.id, 0, 0, len(text), spans), 1.0, 1), article)
    gold = (Gold(article.id, sentence),) if answerable else ()
    return Found(Asked(question, answerable, gold), (reading,))


def question_set(*, about_others):
    questions = [found(n, question=f"Where did envoy number {n} meet?", answerable=True) for n in range(8)]
    wrong = "Who won the Olympic Medal in Sydney?" if about_others else "How tall is the envoy?"
    questions += [found(n, question=wrong, answerable=False) for n in range(8, 14)]
    judge = ReaderJudge(RememberingReader(EagerReader()), rarity=lambda words: np.ones(len(words)))
    return QuestionSet(tuple(questions), judge)


@pytest.fixture
def sets():
    return {"news": question_set(about_others=False), "seeds_dev": question_set(about_others=True)}


@pytest.fixture
def calibration(sets, tmp_path):
    file = tmp_path / "written.json"
    file.write_text(json.dumps(fit_all(sets, work=tmp_path)))
    return file


def test_an_outcome_is_what_the_answerer_answers(sets, calibration):
    questions = sets["news"]
    judge = questions.judged_by(calibration)
    answered = [judge.judge(one.asked.question, one.readings).confidence for one in questions.found]
    assert [outcome.confidence for outcome in answer_all(questions, calibration=calibration)] == answered


def test_what_a_rule_decides_is_neither_fitted_nor_confident(sets, calibration):
    outcomes = list(answer_all(sets["seeds_dev"], calibration=calibration))
    ruled_out = [outcome.confidence == 0 for outcome in outcomes]
    assert ruled_out == [not outcome.asked.answerable for outcome in outcomes]
    assert len([*label_decisions(sets["seeds_dev"], calibration=calibration)]) == ruled_out.count(False)


def test_every_question_is_judged_once_by_weights_of_the_other_folds(sets, tmp_path):
    outcomes = cross_fitted(sets, work=tmp_path, folds=2)
    for name, questions in sets.items():
        asked = [one.asked for one in questions.found]
        assert sorted(map(repr, (one.asked for one in outcomes[name]))) == sorted(map(repr, asked))
    fold = [one for one in sets["news"].found if fold_of(one, folds=2) == 0]
    held = QuestionSet(tuple(fold), sets["news"].judge)
    without = {name: one.where(lambda found: fold_of(found, folds=2) != 0) for name, one in sets.items()}
    file = tmp_path / "others.json"
    file.write_text(json.dumps(fit_all(without, work=tmp_path)))
    assert outcomes["news"][: len(fold)] == list(answer_all(held, calibration=file))


def test_questions_that_are_asked_apart_count_as_one_set(sets, tmp_path):
    whole, named = sets["news"], sets["seeds_dev"]
    apart = {
        "news/one": whole.where(lambda found: found.asked.answerable),
        "seeds_dev": named,
        "news/two": whole.where(lambda found: not found.asked.answerable),
    }
    assert fit_all(apart, work=tmp_path) == fit_all(sets, work=tmp_path)
    outcomes = cross_fitted(apart, work=tmp_path, folds=2)
    assert {name: len(found) for name, found in outcomes.items()} == {"news": 14, "seeds_dev": 14}


def test_the_batches_that_are_asked_one_at_a_time_are_whole_and_kept_apart():
    batches, nonfactoid = held_out_batches(read_news()[1]), held_out_batches(read_nonfactoid())
    assert len(batches) > 10
    assert len(nonfactoid) > 10
    assert nonfactoid.keys() <= batches.keys()
    for batch, asked in batches.items():
        assert all(is_held_out(name) and stands_alone(name) for name in batch)
        assert {gold.article for one in asked for gold in one.gold} == set(batch)
        assert {gold.article for one in nonfactoid.get(batch, []) for gold in one.gold} <= set(batch)
        assert 0.4 < np.mean([one.answerable for one in asked]) < 0.6


def test_a_pair_is_read_once_in_all_stages(tmp_path):
    reader = EagerReader()
    questions = question_set(about_others=False)
    judge = ReaderJudge(RememberingReader(reader), rarity=lambda words: np.ones(len(words)))
    fit_all({"news": QuestionSet(questions.found, judge), "seeds_dev": questions}, work=tmp_path)
    assert len(reader.pairs) == len(set(reader.pairs))


def test_the_order_is_fitted_within_questions():
    # Right rows have the higher second feature in each question; the first only tells the questions apart.
    rng = np.random.default_rng(5)
    sets = []
    for number in range(40):
        easy = float(number % 2) * 5
        rows = tuple((easy + rng.normal() * 0.1, 1.0 * right + rng.normal() * 0.5) for right in (True, False, False))
        sets.append(Labelled(rows, (True, False, False)))
    model = fit_sentences([sets])
    assert abs(model.weights[0]) < 0.5
    assert model.weights[1] > 1
    scores = [[model(row) for row in one.features] for one in sets]
    assert np.mean([row[0] > max(row[1:]) for row in scores]) > 0.8


def test_no_weight_has_another_sign_than_its_meaning():
    rng = np.random.default_rng(6)
    labels = rng.random(400) < 0.5
    helping, misleading = labels + rng.normal(size=400), rng.normal(size=400) - labels
    weights = fit_signed(
        np.column_stack([helping, misleading]), labels, np.ones(400), signs=np.array([1, 1]), strength=10.0
    )
    assert weights[0] > 0.5
    assert weights[1] == 0


def test_every_feature_of_the_decision_has_a_sign():
    assert [*SIGNS] == [field.name for field in fields(DecisionFeatures)]


@pytest.mark.parametrize(("most", "declined"), [(0.0, 0), (0.25, 1), (0.5, 2)])
def test_the_bar_declines_at_most_the_share_that_is_given(most, declined):
    asked = [Asked("q", answerable, ()) for answerable in (True, True, True, True, False)]
    outcomes = [Outcome(one, c, right=True) for one, c in zip(asked, (0.2, 0.4, 0.6, 0.8, 0.1), strict=True)]
    bar = choose_threshold([outcomes], most_declined=most)
    assert sum(one.confidence < bar for one in outcomes if one.asked.answerable) == declined


@given(
    st.lists(st.lists(st.integers(1, 999), min_size=1, max_size=30, unique=True), min_size=1, max_size=3),
    st.floats(0.0, 0.9),
)
def test_a_large_set_has_no_more_say_in_the_bar_than_a_small_one(sets, most):
    # No confidence twice: those that are alike are declined together, which moves a share by more than one question.
    parted = [[c / 1000 + number / 10000 for c in ones] for number, ones in enumerate(sets)]
    bar = choose_threshold(
        [[Outcome(Asked("q", answerable=True, gold=()), c, right=True) for c in ones] for ones in parted],
        most_declined=most,
    )

    def share(below):
        return np.mean([np.mean([c < below for c in ones]) for ones in parted])

    assert share(bar) <= most + 1e-6
    higher = [c for ones in parted for c in ones if c >= bar]
    assert not higher or share(min(higher) + 1e-9) > most - 1e-6


def test_the_report_counts_what_lies_below_the_bar():
    outcomes = [
        Outcome(Asked("q", answerable, ()), confidence, right=answerable)
        for answerable, confidence in ((True, 0.9), (True, 0.1), (False, 0.1), (False, 0.0))
    ]
    figures = report("set", outcomes, bar=0.5)
    assert figures["answerable_declined"]["value"] == pytest.approx(1 / 2)
    assert figures["unanswerable_declined"]["value"] == 1
    assert (figures["n_answerable"], figures["n_unanswerable"]) == (2, 2)


def test_a_card_tells_how_true_the_confidences_are_once(tmp_path):
    pytest.importorskip("matplotlib")
    card = tmp_path / "MODEL_CARD.md"
    card.write_text("# Reader\n\n## Data\n\nSome.\n\n## Limits\n\nMany.\n")
    rng = np.random.default_rng(2)
    for right in (0.2, 0.9):
        outcomes = [
            Outcome(Asked("q", answerable=True, gold=()), float(c), right=bool(c < right)) for c in rng.random(60)
        ]
        write_reliability(card, {"news": outcomes, "news_far": outcomes})
    text = card.read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## Data", "## Confidence", "## Limits"]
    assert text.startswith("# Reader\n\n## Data\n\nSome.\n\n## Confidence\n")
    assert text.endswith("## Limits\n\nMany.\n")
    assert "| news | isotonic | 60 |" in text
    assert "far" not in text
    assert (tmp_path / "reliability.svg").read_text().count("<svg") == 1


def test_gold_lies_where_it_was_marked_and_not_where_its_words_stand_first():
    text = "In 1999  it rained.\nThe bridge was opened in 1999, too."
    start = text.rindex("1999")
    row = SpanRow("squad2_train_rebuilt", "When?", 7, None, ((start, start + 4),), answerable=True, kind="answer")
    passage = SourcePassage(7, "The bridge", text)
    (asked,) = sample_questions([row], owners={7: "0000.md"}, passages={7: passage}, each=1)
    flat = f"Before. {' '.join(text.split())}"
    article = Article(id="0000.md", path="0000.md", text=flat, title="The bridge")
    right = []
    for sentence in ("In 1999 it rained.", "The bridge was opened in 1999, too."):
        span = Span(flat.index(sentence), flat.index(sentence) + len(sentence))
        hit = Hit(Passage(article.id, 0, 0, len(flat), (span,)), 1.0, 1)
        right.append(is_right(Finding(Reading(hit, article), span, 1.0), asked))
    assert right == [False, True]
