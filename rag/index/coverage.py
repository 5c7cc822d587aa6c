"""The coverage audit: proof that nothing of an article was lost on the way into its passages."""

from __future__ import annotations

from collections.abc import Sequence

from rag.records import Article, Passage, Span


def find_uncovered(article: Article, passages: Sequence[Passage]) -> list[Span]:
    """Return the slices of an article that are in no passage though they hold more than white space and furniture."""
    covered = sorted([*((p.start, p.end) for p in passages), *((span.start, span.end) for span in article.furniture)])
    missed: list[Span] = []
    position = 0
    for start, end in [*covered, (len(article.text), len(article.text))]:
        if position < start and article.text[position:start].strip():
            missed.append(Span(position, start))
        position = max(position, end)
    return missed
