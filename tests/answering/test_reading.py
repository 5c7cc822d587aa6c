import dataclasses
import itertools
import json
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.answering import ReaderJudge, Reading
from rag.answering.judging import coverage, gives_reason, is_about_others, unmatched_names
from rag.answering.reading import CALIBRATION, Budget, Candidate, PassageFeatures
from rag.config import Config
from rag.models.reader import Page, PassageReading
from rag.records import Article, Hit, Passage, Span

TEXT = "# Ban\n\nChina banned seafood in August. Photo: Kyodo Japan protested in Geneva."
TRIMMING = Span(TEXT.index("Photo"), TEXT.index("Japan"))
ARTICLE = Article(id="a", path="a.md", text=TEXT, title="The ban", published="2023", furniture=(TRIMMING,))
DEFAULT = Budget()
SENTENCES = (Span(7, 38), Span(TEXT.index("Japan"), len(TEXT)))


class PointingReader:
    """A reader that points at one word of each page, as sure as it is told to be."""

    name = "pointing"
    revision = "1"

    def __init__(self, word, *, answerable=2.0):
        self.word = word
        self.answerable = answerable
        self.pages = []

    def read(self, _question, passages):
        self.pages += passages
        return [self._reading(page) for page in passages]

    def sizes(self, _question, passages):
        return [len(page.text.split()) for page in passages]

    def _reading(self, page):
        tokens = np.array([word.span() for word in re.compile(r"\S+").finditer(page.text, page.header_size)])
        sure = np.array([0.0 if page.text[a:b].startswith(self.word) else -9.0 for a, b in tokens], np.float32)
        return PassageReading(self.answerable, sure, sure, tokens)


@pytest.fixture
def calibration(tmp_path):
    models = {
        "shortlist": {"weights": [1.0, 0.1, 0.1, 0.0], "bias": 0.0},
        "sentence": {"weights": [1.0, 0.1, 0.1, 0.0, 0.0, 0.0, 0.0], "bias": 0.0},
        "decision": {"weights": [1.0, *[0.0] * 5], "bias": 0.0},
    }
    file = tmp_path / "calibration.json"
    file.write_text(json.dumps(models))
    return file


def readings(*starts):
    passages = [Passage("a", number, start, len(TEXT), SENTENCES) for number, start in enumerate(starts)]
    return [Reading(Hit(passage, 1 / (rank + 1), rank + 1), ARTICLE) for rank, passage in enumerate(passages)]


def judged(reader, calibration, *, question="Where did Japan protest?", starts=(0,), budget=DEFAULT):
    judge = ReaderJudge(reader, rarity=lambda words: np.ones(len(words)), budget=budget, calibration=calibration)
    return judge.judge(question, readings(*starts))


def test_the_sentence_that_the_reader_points_into_comes_first(calibration):
    verdict = judged(PointingReader("Geneva"), calibration)
    assert verdict.findings[0].text == "Japan protested in Geneva."
    assert judged(PointingReader("August"), calibration).findings[0].text == "China banned seafood in August."


def test_the_short_answer_slices_the_article(calibration):
    best = judged(PointingReader("Geneva"), calibration).findings[0]
    assert TEXT[best.short_answer.start : best.short_answer.end] == "Geneva."


class SureOfWords(PointingReader):
    """Finds words as likely as it is told, in log-probabilities: in a passage, without the title, and in context."""

    def __init__(self, passage, alone, in_context):
        super().__init__("")
        self.passage, self.alone, self.in_context = passage, alone, in_context

    def _reading(self, page):
        read = super()._reading(page)
        titled, whole = page.text.startswith("The ban."), page.header_size == len("The ban.\n")
        known = (self.passage if whole else self.in_context) if titled else self.alone
        sure = np.array([known.get(page.text[low:high], -9.0) for low, high in read.tokens], np.float32)
        return PassageReading(read.answerable, sure, sure, read.tokens)


def test_the_short_answer_is_what_the_sentence_in_its_context_points_at(calibration):
    reader = SureOfWords({"Geneva.": -1.0}, {"Japan": -1.0}, {"protested": -1.0, "in": -2.0})
    best, other = judged(reader, calibration).findings
    assert best.text == "Japan protested in Geneva."
    assert TEXT[best.short_answer.start : best.short_answer.end] == "protested"
    assert other.short_answer is None


def test_the_short_answer_of_a_sentence_that_leans_lies_in_it(calibration):
    text = "China banned seafood. It did so in August."
    article = Article(id="a", path="a.md", text=text, title="The ban")
    passage = Passage("a", 0, 0, len(text), (Span(0, 21), Span(22, len(text))))
    words = {"seafood.": -0.1, "August.": -2.0, "did": -2.5}
    reader = SureOfWords({"August.": -1.0, "did": -2.0}, words, words)
    judge = ReaderJudge(reader, rarity=lambda words: np.ones(len(words)), calibration=calibration)
    best = judge.judge("When was seafood banned?", [Reading(Hit(passage, 1.0, 1), article)]).findings[0]
    assert (best.text, text[best.short_answer.start : best.short_answer.end]) == ("It did so in August.", "August.")


def test_a_passage_is_read_behind_its_header_and_without_its_furniture(calibration):
    reader = PointingReader("Geneva")
    judged(reader, calibration)
    page = reader.pages[0]
    assert page.text[: page.header_size] == "The ban. 2023.\n"
    assert "Photo" not in page.text
    assert len(page.text) == page.header_size + len(TEXT)


def test_a_sentence_in_two_passages_is_found_once(calibration):
    verdict = judged(PointingReader("Geneva"), calibration, starts=(0, 7))
    assert [finding.span for finding in verdict.findings] == [SENTENCES[1], SENTENCES[0]]


def test_confidence_grows_with_what_the_reader_says(calibration):
    unsure = judged(PointingReader("Geneva", answerable=-2.0), calibration).confidence
    assert unsure < 0.5 < judged(PointingReader("Geneva"), calibration).confidence


@pytest.mark.parametrize(
    ("question", "ruled_out"),
    [
        ("who won the 2023 world cup", True),
        ("who won the 2023rd world cup", True),
        ("who won in the 2023s", False),
        ("what happened in 2023", False),
        ("who ate cod in 2023, and who protested", False),
        ("2023", False),
        ("what is it", False),
        ("???", True),
    ],
)
def test_a_page_that_shares_a_number_alone_answers_only_a_question_that_asks_little_else(
    question, ruled_out, calibration
):
    verdict = judged(PointingReader("Geneva"), calibration, question=question)
    assert (verdict.confidence == 0.0) is ruled_out


def test_the_best_sentences_are_read_again_each_by_itself(calibration):
    reader = PointingReader("Geneva")
    judged(reader, calibration)
    passage, *alone, in_context = reader.pages
    assert [page.text for page in alone] == ["Japan protested in Geneva.", "China banned seafood in August."]
    assert in_context.text == "The ban. 2023.\nChina banned seafood in August. Japan protested in Geneva."
    assert passage.text.startswith("The ban. 2023.\n# Ban")


def long_readings(lengths, *, scores):
    """Passages of articles of their own, each of that many sentences, the longer the later."""
    made = []
    for number, (length, score) in enumerate(zip(lengths, scores, strict=True)):
        text, spans = "", []
        for place in range(length):
            sentence = f"Japan protested {'loudly ' * place}in Geneva{number}-{place}."
            spans.append(Span(len(text), len(text) + len(sentence)))
            text += f"{sentence} "
        article = Article(id=f"a{number}", path=f"a{number}.md", text=text, title="The ban")
        made.append(Reading(Hit(Passage(article.id, 0, 0, len(text), tuple(spans)), score, number + 1), article))
    return made


class FondOfLongPages(PointingReader):
    """A reader that finds a longer page the better answer."""

    def _reading(self, page):
        return dataclasses.replace(super()._reading(page), answerable=float(len(page.text)))


def pages_under(budget, made):
    reader = FondOfLongPages("Japan")
    ReaderJudge(reader, rarity=lambda words: np.ones(len(words)), budget=budget).judge("Where did Japan protest?", made)
    return reader.pages, sum(reader.sizes("", reader.pages))


lengths_and_tokens = (st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(0, 400))


@given(*lengths_and_tokens)
@example([9], 125)  # the best sentence comes last, and its context is the longest
def test_no_more_is_read_than_the_budget_pays_for(lengths, tokens):
    made = long_readings(lengths, scores=[1.0] * len(lengths))
    pages, spent = pages_under(Budget(tokens=tokens), made)
    least = 3  # a passage, a sentence, and that in its context
    assert len(pages) == least or (len(pages) > least and spent <= tokens)


@given(*lengths_and_tokens)
def test_the_passages_that_a_budget_pays_for_are_the_nearest(lengths, tokens):
    made = long_readings(lengths, scores=[1.0] * len(lengths))
    bounded, whole = (
        [*itertools.takewhile(lambda page: page.header_size, pages_under(Budget(tokens=most), made)[0])]
        for most in (tokens, 1_000_000)
    )
    assert 1 <= len(bounded) <= len(whole) == min(len(lengths), 8)
    assert bounded == whole[: len(bounded)]


def test_a_budget_that_binds_nowhere_changes_nothing(calibration):
    verdicts = [
        judged(PointingReader("Geneva"), calibration, starts=(0, 7), budget=Budget(tokens=tokens))
        for tokens in (60, 1_000_000)
    ]
    assert verdicts[0] == verdicts[1]


def test_a_passage_far_behind_the_nearest_is_not_read():
    made = long_readings([1, 1, 1, 1], scores=[0.8, 0.5, 0.4, 0.3])
    pages, _ = pages_under(Budget(share=0.5), made)
    read = [number for number in range(4) if any(f"Geneva{number}-" in page.text for page in pages)]
    assert read == [0, 1, 2]


def test_the_nearest_passages_and_the_best_sentences_are_read_so_many():
    made = long_readings([4, 4, 4], scores=[1.0, 0.9, 0.8])
    pages, _ = pages_under(Budget(passages=2, sentences=3), made)
    assert len(pages) == 2 + 3 + 1


def test_a_sentence_that_leans_on_the_one_before_is_read_behind_it():
    text = "China banned seafood. It did so in August."
    article = Article(id="a", path="a.md", text=text, title="The ban")
    spans = (Span(0, 21), Span(22, len(text)))
    reading = Reading(Hit(Passage("a", 0, 0, len(text), spans), 1.0, 1), article)
    features = PassageFeatures(pointed=0.0, passage=1.0, coverage=0.0, answerable=0.0)
    leaning = Candidate(reading, spans[1], features).page()
    assert leaning == Page(text, header_size=22)
    assert Candidate(reading, spans[0], features).page() == Page("China banned seafood.")


def test_what_a_sentence_says_alone_can_turn_the_order(calibration, tmp_path):
    models = json.loads(calibration.read_text())
    models["sentence"] = {"weights": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], "bias": 0.0}
    (tmp_path / "alone.json").write_text(json.dumps(models))

    class Doubting(PointingReader):
        def read(self, question, passages):
            readings = super().read(question, passages)
            return [
                dataclasses.replace(reading, answerable=-5.0 if page.text.startswith("Japan") else 5.0)
                for page, reading in zip(passages, readings, strict=True)
            ]

    assert judged(Doubting("Geneva"), tmp_path / "alone.json").findings[0].text == "China banned seafood in August."


@pytest.mark.parametrize(
    ("question", "first"), [("Why did Japan protest?", "It followed"), ("Where did Japan protest?", "Japan")]
)
def test_a_sentence_that_names_a_reason_is_shortlisted_sooner(calibration, question, first):
    text = "Japan protested in Geneva. It followed because of a ban."
    article = Article(id="a", path="a.md", text=text, title="Envoys")
    reading = Reading(Hit(Passage("a", 0, 0, len(text), (Span(0, 26), Span(27, len(text)))), 1.0, 1), article)
    budget = Budget(sentences=1)
    judge = ReaderJudge(
        PointingReader("nowhere"), rarity=lambda words: np.ones(len(words)), budget=budget, calibration=calibration
    )
    assert judge.judge(question, [reading]).findings[0].text.startswith(first)


def test_the_revision_changes_with_the_calibration(calibration):
    judge = ReaderJudge(PointingReader("x"), rarity=lambda words: np.ones(len(words)), calibration=calibration)
    before = judge.revision
    calibration.write_text(calibration.read_text() + " ")
    assert judge.revision != before


def test_a_passage_without_a_word_of_the_question_answers_nothing(calibration):
    assert judged(PointingReader("Geneva"), calibration, question="Who paid for the stadium?").confidence == 0


def test_a_passage_that_lacks_most_names_of_the_question_answers_nothing(calibration):
    assert (
        judged(PointingReader("Geneva"), calibration, question="Who banned China from the World Cup?").confidence == 0
    )
    assert judged(PointingReader("Geneva"), calibration, question="Who banned China from Geneva?").confidence > 0


@pytest.mark.parametrize(("similarity", "confident"), [(None, True), (0.9, True), (0.35, True), (0.1, False)])
def test_a_passage_about_something_else_lowers_the_confidence(calibration, similarity, confident):
    models = json.loads(calibration.read_text())
    models["decision"] = {"weights": [0.0] * 5 + [-20.0], "bias": 3.0}
    calibration.write_text(json.dumps(models))
    hits = [dataclasses.replace(reading.hit, similarity=similarity) for reading in readings(0)]
    judge = ReaderJudge(PointingReader("Geneva"), rarity=lambda words: np.ones(len(words)), calibration=calibration)
    verdict = judge.judge("Where did Japan protest?", [Reading(hit, ARTICLE) for hit in hits])
    assert (verdict.confidence > 0.5) is confident


def test_nothing_to_read_is_no_finding(calibration):
    judge = ReaderJudge(PointingReader("x"), rarity=lambda words: np.ones(len(words)), calibration=calibration)
    verdict = judge.judge("Where?", [])
    assert (verdict.findings, verdict.confidence) == ((), 0.0)


def test_coverage_weighs_the_words_of_the_question():
    assert coverage(["ban", "seafood"], np.array([3.0, 1.0]), "The bans on fish") == pytest.approx(0.75)


def test_only_why_questions_look_for_reasons():
    assert gives_reason("Why did they ban it?", "They did so after the release began.")
    assert not gives_reason("When did they ban it?", "They did so after the release began.")
    assert not gives_reason("Why did they ban it?", "They banned it in August.")


def test_names_and_numbers_of_the_question_that_a_text_lacks_are_counted():
    assert unmatched_names("What did John Lee tell Xi?", "Lee spoke. Xi too.") == pytest.approx(1 / 3)
    assert unmatched_names("Did the Japanese win?", "Japan won.") == 0
    assert unmatched_names("How many in 2023 and 2021?", "In 2023, many.") == pytest.approx(0.5)
    assert unmatched_names("How many?", "In 2023.") == 0
    assert unmatched_names("Who sold 1,300 tons?", "1300 tons were sold") == 0


@pytest.mark.parametrize(
    ("question", "text", "others"),
    [
        ("Who won the 2022 World Cup?", "In 2022, exports rose.", True),
        ("Who won the 2022 World Cup?", "In 2022, the world saw a cup.", False),
        ("What did Lee tell Xi?", "Someone spoke.", True),
        ("What did Lee say?", "Someone spoke.", False),
        ("What did John Lee tell Xi in 2022?", "Lee spoke in 2022.", False),
        ("how many?", "Someone spoke.", False),
    ],
)
def test_a_text_is_about_others_if_most_names_and_at_least_two_are_missing(question, text, others):
    assert is_about_others(question, text) is others


def test_the_default_bar_is_the_one_that_was_calibrated():
    calibrated = json.loads(CALIBRATION.read_text())["min_confidence"]
    assert Config().answer.min_confidence == pytest.approx(calibrated, abs=5e-4)
