"""Our own articles with questions as training examples: near misses in the kind of text that people ask about.

`training/news/` holds invented reports (`*.md`, with front matter) and questions about them (`*.jsonl`): half of them
answered by quotes, half not answered by any article, with the sentences that come nearest. `training/entries/` holds
entries as of an encyclopedia in the same form, their questions in the manner of SQuAD 2.0.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from training.examples import (
    Example,
    build_pair,
    count_passages_with,
    cut_window,
    list_words,
    pick_share,
    score_overlap,
    split_sentences,
    start_before,
)

FOLDER = Path(__file__).with_name("news")
ENTRIES = Path(__file__).with_name("entries")
HELD_OUT_SHARE = 0.2
# The reports whose names begin with these agree with each other; all others are in batches that each invent a future.
TOGETHER = frozenset("npqrtuvw")
# Of these numbers, by letter, the answers to questions about entries are the shortest natural form, where SQuAD's are
# whole phrases: they tell where an answer stands and not where it ends.
SHORT_FORMS = {
    "A": range(46, 91), "B": range(52, 100), "C": range(46, 94), "D": range(46, 91),
    "E": range(55, 97), "F": range(52, 100), "I": range(49, 94), "M": range(46, 94),
}  # fmt: skip
AROUND_SHORT_FORM = 20
NEGATIVES = 2
ALIKE = 5
Slice = tuple[int, int]


@dataclass(frozen=True, slots=True)
class NewsArticle:
    """An article without its front matter."""

    name: str
    title: str
    source: str
    published: str
    text: str

    @property
    def header(self) -> str:
        """Return the line that the index puts before a passage."""
        return f"{self.title}. {self.source}, {self.published}.\n"


@dataclass(frozen=True, slots=True)
class NewsQuestion:
    """A question with its gold quotes or, where no article answers it, with the sentences that nearly do, if any.

    `twins` are sentences that differ from the gold in the one thing that decides; `about` names the article that it
    was written for, where no quote does; `source` is the folder that it lies in.
    """

    question: str
    answerable: bool
    kind: str
    answers: tuple[str, ...]
    quotes: tuple[tuple[str, str], ...]
    twins: tuple[tuple[str, str], ...] = ()
    about: str = ""
    source: str = "news"

    @property
    def article(self) -> str:
        """Return the name of the article that it was written for."""
        return self.about or self.quotes[0][0]

    @property
    def has_short_forms(self) -> bool:
        """Tell whether its answers are shorter than SQuAD's would be."""
        name = self.article
        return self.source == ENTRIES.name and int(name[1:3]) in SHORT_FORMS.get(name[0], ())


def read_news(folder: Path = FOLDER) -> tuple[dict[str, NewsArticle], list[NewsQuestion]]:
    """Return the articles by name, and the questions about them."""
    articles = {}
    for path in sorted(folder.glob("*.md")):
        _, matter, text = path.read_text(encoding="utf-8").split("---\n", 2)
        known = yaml.safe_load(matter)
        articles[path.name] = NewsArticle(
            path.name, str(known["title"]), str(known["source"]), str(known["published"]), text
        )
    questions = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            shown = row["evidence"] if row["answerable"] else row["near"]
            questions.append(
                NewsQuestion(
                    question=row["question"],
                    answerable=row["answerable"],
                    kind=row["kind"],
                    answers=tuple(row["answers"]),
                    quotes=_quotes(shown),
                    twins=_quotes(row.get("near", [])) if row["answerable"] else (),
                    source=folder.name,
                )
            )
    return articles, questions


def _quotes(rows: Sequence[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((row["article"], row["quote"]) for row in rows)


def is_held_out(name: str) -> bool:
    """Tell whether an article is kept apart; the three of a batch, about related matters, go the same way."""
    prefix, number = _batch(name)
    return pick_share(f"news batch {prefix} {number}") < HELD_OUT_SHARE


def stands_alone(name: str) -> bool:
    """Tell whether what an article says holds within its batch alone.

    Many batches are about the same countries, and each invents the years to come anew: what one does not say, another
    may, so they are not to be asked all at once.
    """
    return name[0] not in TOGETHER


def list_reports(folder: Path = FOLDER) -> list[Path]:
    """Return the reports that can be asked all at once, as no two of them contradict each other."""
    return [path for path in sorted(folder.glob("*.md")) if not stands_alone(path.name)]


def make_news_examples(
    articles: dict[str, NewsArticle], questions: Sequence[NewsQuestion], *, rng: random.Random
) -> Iterator[Example]:
    """Yield each question with its sentences as the answerer reads them, and with sentences that only sound alike.

    The answerer reads a sentence in its passage, by itself, and behind the title and the sentence before it.
    """
    frequencies = count_passages_with(article.text for article in articles.values())
    for question in questions:
        for name, quote in question.quotes:
            article = articles[name]
            start = article.text.index(quote)
            cut = (start, start + len(quote))
            wide = cut_window(article.text, around=cut, max_words=rng.randint(50, 120), rng=rng)
            before = (start_before(article.text, start), cut[1])
            for window, headed in ((wide, rng.random() < 0.6), (cut, False), (before, True)):
                yield _pair(question, article, window, spans=_spans(question, cut, quote), headed=headed, rng=rng)
        for name, quote in question.twins:
            yield _twin(question, articles[name], quote, rng=rng)
        name = question.article
        if question.answerable:
            beside = _beside(articles[name], [quote for owner, quote in question.quotes if owner == name], rng=rng)
            if beside is not None:
                yield _pair(question, articles[name], beside, spans=(), headed=rng.random() < 0.6, rng=rng)
        related = [article for article in articles.values() if _batch(article.name) == _batch(name)]
        alike = _alike(question, related, frequencies=frequencies, n=len(articles))
        for article, cut in rng.sample(alike, min(NEGATIVES, len(alike))):
            before = (start_before(article.text, cut[0]), cut[1])
            window, headed = (before, True) if rng.random() < 0.5 else (cut, False)
            yield _pair(question, article, window, spans=(), headed=headed, rng=rng)


def _twin(question: NewsQuestion, article: NewsArticle, quote: str, *, rng: random.Random) -> Example:
    """Return a sentence that looks right and is not, by itself or behind the title and the sentence before it."""
    start = article.text.index(quote)
    cut = (start, start + len(quote))
    gold = [text for owner, text in question.quotes if owner == article.name]
    before = (start_before(article.text, start), cut[1])
    bare = rng.random() < 0.5 or any(text in article.text[slice(*before)] for text in gold)
    window, headed = (cut, False) if bare else (before, True)
    return _pair(question, article, window, spans=(), headed=headed, rng=rng)


def list_batch(name: str) -> tuple[str, ...]:
    """Return the names of the three reports of a batch, one of which is given."""
    prefix, number = _batch(name)
    return tuple(f"{prefix}{3 * number + place:02}.md" for place in (1, 2, 3))


def _batch(name: str) -> tuple[str, int]:
    """Return which batch of three an article belongs to."""
    return name[0], (int(name[1:3]) - 1) // 3


def _alike(
    question: NewsQuestion, articles: Sequence[NewsArticle], *, frequencies: Mapping[str, int], n: int
) -> list[tuple[NewsArticle, Slice]]:
    """Return the sentences that share the rarest words with a question and are no gold of it, best first."""
    words = list_words(question.question)
    gold = [quote for _, quote in question.quotes]
    scored = []
    for article in articles:
        for cut, said in _sentences(article.text):
            text = article.text[slice(*cut)]
            if not any(text in quote or quote in text for quote in gold):
                score = score_overlap(words, other=said, frequencies=frequencies, n=n)
                scored.append((score, article.name, cut, article))
    scored.sort(key=lambda row: (-row[0], row[1], row[2]))
    return [(article, cut) for _, _, cut, article in scored[:ALIKE]]


@cache
def _sentences(text: str) -> list[tuple[Slice, frozenset[str]]]:
    """Return the sentences of a text, each with its words."""
    return [((start, end), frozenset(list_words(text[start:end]))) for start, end in split_sentences(text)]


def _pair(
    question: NewsQuestion,
    article: NewsArticle,
    window: Slice,
    *,
    spans: tuple[Slice, ...],
    headed: bool,
    rng: random.Random,
) -> Example:
    exact = len(spans) == 1 and spans[0][1] - spans[0][0] < 60 and not question.has_short_forms
    made = build_pair(
        source=question.source,
        kind="answerable" if spans else "written",
        question=question.question,
        text=article.text,
        window=window,
        title=None,
        spans=spans,
        answerable=bool(spans),
        inside=not exact,
        rng=rng,
    )
    if not headed:
        return made
    head = article.header
    moved = tuple((start + len(head), end + len(head)) for start, end in made.spans)
    return Example(
        source=made.source, kind=made.kind, question=made.question, passage=head + made.passage, header_size=len(head),
        spans=moved, answerable=made.answerable, inside=made.inside,
    )  # fmt: skip


def _spans(question: NewsQuestion, cut: Slice, quote: str) -> tuple[Slice, ...]:
    """Return where the answer stands: the first form of it that the quote holds, else the whole quote.

    Around a short form stands what a longer one would take in.
    """
    if not question.answerable:
        return ()
    # Whole words alone: "no" is not the beginning of "nobody".
    places = [re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", quote, re.IGNORECASE) for answer in question.answers]
    found = [match.span() for match in places if match is not None]
    if not found:
        return (cut,)
    start, end = found[0]
    if question.has_short_forms:
        start, end = max(0, start - AROUND_SHORT_FORM), min(len(quote), end + AROUND_SHORT_FORM)
    return ((cut[0] + start, cut[0] + end),)


def _beside(article: NewsArticle, quotes: Sequence[str], *, rng: random.Random) -> Slice | None:
    """Return up to four sentences in a row that touch none of the gold quotes."""
    sentences = split_sentences(article.text)
    gold = [(place, place + len(quote)) for quote in quotes if (place := article.text.find(quote)) >= 0]
    free = [not any(start < high and low < end for low, high in gold) for start, end in sentences]
    for size in range(rng.randint(1, 4), 0, -1):
        starts = [i for i in range(len(sentences) - size + 1) if all(free[i : i + size])]
        if starts:
            first = rng.choice(starts)
            return sentences[first][0], sentences[first + size - 1][1]
    return None
