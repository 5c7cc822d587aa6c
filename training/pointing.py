"""Where the reader points: the words of the gold sentence that each of its readings takes for the answer.

The questions are those for a fact of our own news that were kept apart. The gold sentence is read as the answerer reads
one: in a passage behind the title, by itself or, where it leans on the one before, behind that, and behind both.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rag.answering.judging import leans
from rag.answering.reading import PassageReader
from rag.models.reader import Page, PassageReading
from training.examples import cut_window, start_before
from training.measures import compute_exact, compute_f1
from training.news import NewsArticle, NewsQuestion, is_held_out, read_news

KINDS = frozenset({"factoid", "who-said"})
# As many words as the splitter mostly gives a passage.
WINDOW_WORDS = 110
SEED = 20261126


@dataclass(frozen=True, slots=True)
class Fact:
    """A question with a sentence that holds its answer, as a slice of the article."""

    question: NewsQuestion
    article: NewsArticle
    start: int
    end: int

    @property
    def sentence(self) -> str:
        """Return the sentence, verbatim."""
        return self.article.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Pointing:
    """How one way of reading fares, question by question: F1 over words, and whether the answer is exact."""

    f1: list[float] = field(default_factory=list)
    exact: list[float] = field(default_factory=list)


def list_held_out_facts(limit: int = 0) -> list[Fact]:
    """Return the questions for a fact about articles kept apart; at most `limit` at random, or all."""
    articles, questions = read_news()
    facts = [one for one in questions if one.answerable and one.kind in KINDS and is_held_out(one.article)]
    gold = [found for one in facts if (found := _find_gold(one, articles)) is not None]
    return random.Random(SEED).sample(gold, limit) if 0 < limit < len(gold) else gold


def _find_gold(question: NewsQuestion, articles: Mapping[str, NewsArticle]) -> Fact | None:
    """Return the first gold sentence that holds a form of the answer; None if the answer is in no sentence's words."""
    for name, quote in question.quotes:
        if any(answer.casefold() in quote.casefold() for answer in question.answers):
            start = articles[name].text.index(quote)
            return Fact(question, articles[name], start, start + len(quote))
    return None


def point(reader: PassageReader, gold: Fact, *, rng: random.Random) -> dict[str, str]:
    """Return the words of the gold sentence that each way of reading points at, by the way's name."""
    article, sentence = gold.article, gold.sentence
    low, high = cut_window(article.text, around=(gold.start, gold.end), max_words=WINDOW_WORDS, rng=rng)
    head = article.header
    neighbour = article.text[start_before(article.text, gold.start) : gold.start]
    before = neighbour if leans(sentence) else ""
    pages = [
        Page(head + article.text[low:high], len(head)),
        Page(before + sentence, len(before)),
        Page(head + neighbour + sentence, len(head + neighbour)),
    ]
    places = [len(head) + gold.start - low, len(before), len(head + neighbour)]
    passage, alone, in_context = (
        read.within(place, place + len(sentence))
        for read, place in zip(reader.read(gold.question.question, pages), places, strict=True)
    )
    ways = {"the passage": passage, "the sentence alone": alone, "the sentence in context": in_context}
    return {name: _best(reading, sentence) for name, reading in ways.items()}


def measure_pointing(reader: PassageReader, gold: Sequence[Fact]) -> dict[str, Pointing]:
    """Return how each way of reading fares, by its name."""
    rng = random.Random(SEED)
    figures: dict[str, Pointing] = defaultdict(Pointing)
    for one in gold:
        for name, words in point(reader, one, rng=rng).items():
            figures[name].f1.append(compute_f1(words, answers=one.question.answers))
            figures[name].exact.append(compute_exact(words, answers=one.question.answers))
    return dict(figures)


def _best(reading: PassageReading, sentence: str) -> str:
    found = reading.best_within(0, len(sentence))
    return sentence[found.start : found.end] if found else ""
