"""The fit goes through the code that answers, so its figures are those of what ships."""

import json

import numpy as np
import pytest

from rag.answering import ReaderJudge, Reading
from rag.models.reader import PassageReading
from rag.records import Article, Hit, Passage, Span
from training.answerer import (
    Asked,
    Found,
    Outcome,
    QuestionSet,
    Remembering,
    choose_threshold,
    fit_all,
    label_decisions,
    report,
)

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
    gold = ((article.id, sentence, sentence),) if answerable else ()
    return Found(Asked(question, answerable, gold), (reading,))


def question_set(*, about_others):
    questions = [found(n, question=f"Where did envoy number {n} meet?", answerable=True) for n in range(8)]
    wrong = "Who won the Olympic Medal in Sydney?" if about_others else "How tall is the envoy?"
    questions += [found(n, question=wrong, answerable=False) for n in range(8, 14)]
    judge = ReaderJudge(Remembering(EagerReader()), rarity=lambda words: np.ones(len(words)))
    return QuestionSet(tuple(questions), judge)


@pytest.fixture
def sets():
    return {"news": question_set(about_others=False), "seeds_dev": question_set(about_others=True)}


def test_the_confidences_of_the_figures_are_those_of_the_answers(sets, tmp_path):
    described, outcomes = fit_all(sets, work=tmp_path, most_declined=0.08)
    file = tmp_path / "written.json"
    file.write_text(json.dumps(described))
    for name, questions in sets.items():
        judge = questions.judged_by(file)
        answered = [judge.judge(one.asked.question, one.readings).confidence for one in questions.found]
        assert [outcome.confidence for outcome in outcomes[name]] == answered


def test_what_a_rule_decides_is_neither_fitted_nor_confident(sets, tmp_path):
    described, outcomes = fit_all(sets, work=tmp_path, most_declined=0.08)
    file = tmp_path / "written.json"
    file.write_text(json.dumps(described))
    ruled_out = [not outcome.asked.answerable for outcome in outcomes["seeds_dev"]]
    assert [outcome.confidence == 0 for outcome in outcomes["seeds_dev"]] == ruled_out
    labelled = label_decisions(sets["seeds_dev"], calibration=file)
    assert [not one.features for one in labelled] == ruled_out


def test_a_pair_is_read_once_in_all_stages(tmp_path):
    reader = EagerReader()
    questions = question_set(about_others=False)
    judge = ReaderJudge(Remembering(reader), rarity=lambda words: np.ones(len(words)))
    fit_all({"news": QuestionSet(questions.found, judge), "seeds_dev": questions}, work=tmp_path, most_declined=0.08)
    assert len(reader.pairs) == len(set(reader.pairs))


@pytest.mark.parametrize(("most", "declined"), [(0.0, 0), (0.25, 1), (0.5, 2)])
def test_the_bar_declines_at_most_the_share_that_is_given(most, declined):
    asked = [Asked("q", answerable, ()) for answerable in (True, True, True, True, False)]
    outcomes = [Outcome(one, c, right=True) for one, c in zip(asked, (0.2, 0.4, 0.6, 0.8, 0.1), strict=True)]
    bar = choose_threshold(outcomes, most_declined=most)
    assert sum(one.confidence < bar for one in outcomes if one.asked.answerable) == declined


def test_the_report_counts_what_lies_below_the_bar():
    outcomes = [
        Outcome(Asked("q", answerable, ()), confidence, right=answerable)
        for answerable, confidence in ((True, 0.9), (True, 0.1), (False, 0.1), (False, 0.0))
    ]
    figures = report("set", outcomes, bar=0.5)
    assert figures["answerable_declined"]["value"] == pytest.approx(1 / 2)
    assert figures["unanswerable_declined"]["value"] == 1
    assert (figures["n_answerable"], figures["n_unanswerable"]) == (2, 2)
