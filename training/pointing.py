"""Where the reader points: the words of the gold sentence that each of its readings, and both, take for the answer.

The questions are those for a fact of our own news that were kept apart. Each is asked of its gold sentence, read in a
window of the article behind the title, and by itself, as the answerer does.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

from rag.models.reader import Page, PassageReading, Reader
from training.examples import cut_window
from training.measures import compute_exact, compute_f1
from training.news import NewsArticle, NewsQuestion, is_held_out, read_news

KINDS = frozenset({"factoid", "who-said"})
WINDOW_WORDS = 110
SEED = 20261126


def held_out_facts(limit: int = 0) -> tuple[dict[str, NewsArticle], list[NewsQuestion]]:
    """Return the articles, and the questions for a fact about those kept apart; at most `limit` at random, or all."""
    articles, questions = read_news()
    facts = [one for one in questions if one.answerable and one.kind in KINDS and is_held_out(one.article)]
    return articles, random.Random(SEED).sample(facts, limit) if 0 < limit < len(facts) else facts


def point_at(reader: Reader, question: NewsQuestion, *, article: NewsArticle, rng: random.Random) -> dict[str, str]:
    """Return the words of the first gold sentence that each way of reading points at, by the way's name."""
    quote = next(quote for name, quote in question.quotes if name == article.name)
    start = article.text.index(quote)
    low, high = cut_window(article.text, around=(start, start + len(quote)), max_words=WINDOW_WORDS, rng=rng)
    head = article.header
    passage, alone = reader.read(question.question, [Page(head + article.text[low:high], len(head)), Page(quote)])
    place = len(head) + start - low
    said = passage.within(place, place + len(quote))
    ways = {"passage": said, "sentence alone": alone, "both": said.joined(alone)}
    return {name: _words(reading, quote) for name, reading in ways.items()}


def measure_pointing(
    reader: Reader, *, articles: Mapping[str, NewsArticle], questions: Sequence[NewsQuestion]
) -> dict[str, tuple[list[float], list[float]]]:
    """Return for each way of reading the F1 over words of every question's answer, and whether it is exact."""
    rng = random.Random(SEED)
    figures: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for question in questions:
        found = point_at(reader, question, article=articles[question.article], rng=rng)
        for name, words in found.items():
            overlaps, exact = figures[name]
            overlaps.append(compute_f1(words, answers=question.answers))
            exact.append(compute_exact(words, answers=question.answers))
    return dict(figures)


def _words(reading: PassageReading, quote: str) -> str:
    found = reading.best_within(0, len(quote))
    return quote[found.start : found.end] if found else ""
