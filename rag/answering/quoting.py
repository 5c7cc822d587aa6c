"""The quoting answer: sentences of the articles, in reading order, each under its marker; nothing is made up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from rag.answering.judging import Finding, Verdict, leans
from rag.answering.outline import is_question
from rag.answering.questions import Asked, Kind, analyse
from rag.records import Citation, Claim, Said, Span

_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class QuotingSettings:
    """When to answer, and how much: a sentence beyond the first must score `share` of the best one."""

    min_confidence: float
    max_sentences: int
    share: float


@dataclass(frozen=True, slots=True)
class Quoted:
    """The part of an answer that its quotes decide."""

    confidence: float
    answer: str
    short_answer: str | None
    claims: tuple[Claim, ...]
    citations: tuple[Citation, ...]
    reason: str | None
    sides: tuple[Said, ...] | None = None


def quote_answer(
    asked: Asked, verdict: Verdict, *, settings: QuotingSettings, copies: Mapping[str, str] = MappingProxyType({})
) -> Quoted:
    """Return the sentences that answer, at most what the question needs, or the reason why there are none.

    `copies` names for an article the one that it is a copy of: the two are one voice.
    """
    if not verdict.findings:
        return _declined(verdict.reason or "no passage of the articles is about this", 0.0)
    if verdict.confidence < settings.min_confidence:
        return _declined(
            "no sentence of the articles answers this; the nearest passages are listed", verdict.confidence
        )
    chosen = in_reading_order(_answering(asked, verdict, settings=settings, copies=copies))
    short = _short_answer(verdict.findings[0]) if asked.kind is Kind.FACT else None
    return _quoted(chosen, short_answer=short, confidence=verdict.confidence)


def quote_sides(heard: Mapping[str, Verdict], *, settings: QuotingSettings) -> Quoted:
    """Return what each party says, side by side, each in reading order; the reason why there is nothing if none does.

    `heard` has for each party, in the question's order, the sentences that are its own. One that has none, or none
    that answers, is named with nothing said.
    """
    most = max(1, settings.max_sentences // len(heard))
    own: dict[str, list[Finding]] = {}
    for party, verdict in heard.items():
        own[party] = []
        if _answers(verdict, settings=settings):
            best = verdict.findings[0]
            worthy = [finding for finding in verdict.findings if finding.score >= settings.share * best.score]
            own[party] = _understood(worthy, party, most=most)
    return _set_side_by_side(own, heard, reason=f"says what is asked of {', '.join(heard)}")


def quote_parts(
    parts: Mapping[str, Verdict], *, settings: QuotingSettings, copies: Mapping[str, str] = MappingProxyType({})
) -> Quoted:
    """Return what answers each of the questions that one is made of, in their order, as `quote_answer` would.

    One that nothing answers is named with nothing said; where the same sentences answer all, they stand there once.
    """
    settings = replace(settings, max_sentences=max(1, settings.max_sentences // len(parts)))
    own = {
        part: _answering(analyse(part), verdict, settings=settings, copies=copies)
        if _answers(verdict, settings=settings)
        else []
        for part, verdict in parts.items()
    }
    quoted = _set_side_by_side(own, parts, reason="answers either question")
    together = len({side.citations for side in quoted.sides or ()}) == 1
    return replace(quoted, sides=None) if together else quoted


def _set_side_by_side(own: Mapping[str, Sequence[Finding]], heard: Mapping[str, Verdict], *, reason: str) -> Quoted:
    """Return the findings of each side in reading order, each sentence under one marker however many sides cite it."""
    chosen: list[Finding] = []
    places: dict[tuple[str, Span], int] = {}
    sides = []
    for side, findings in own.items():
        ordered = in_reading_order(findings)
        for finding in ordered:
            places.setdefault((finding.reading.article.id, finding.span), len(places) + 1)
            if len(places) > len(chosen):
                chosen.append(finding)
        sides.append(Said(side, tuple(places[one.reading.article.id, one.span] for one in ordered)))
    if not chosen:
        return _declined(
            f"no sentence of the articles {reason}; the nearest passages are listed",
            max(verdict.confidence for verdict in heard.values()),
        )
    least = min(heard[side.party].confidence for side in sides if side.citations)
    return replace(_quoted(chosen, short_answer=None, confidence=least), sides=tuple(sides))


def _answers(verdict: Verdict, *, settings: QuotingSettings) -> bool:
    return bool(verdict.findings) and verdict.confidence >= settings.min_confidence


def _quoted(chosen: Sequence[Finding], *, short_answer: str | None, confidence: float) -> Quoted:
    citations = tuple(_cite(finding, marker) for marker, finding in enumerate(chosen, start=1))
    claims = tuple(
        Claim(text=_SPACE.sub(" ", citation.quote), citations=(citation.marker,), support=1.0) for citation in citations
    )
    return Quoted(
        confidence=confidence,
        answer=" ".join(f"{claim.text} [{claim.citations[0]}]" for claim in claims),
        short_answer=short_answer,
        claims=claims,
        citations=citations,
        reason=None,
    )


def in_reading_order(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings article by article, the best finding's article first, each article from top to bottom."""
    articles = list(dict.fromkeys(finding.reading.article.id for finding in findings))
    return sorted(findings, key=lambda finding: (articles.index(finding.reading.article.id), finding.span.start))


def _answering(
    asked: Asked, verdict: Verdict, *, settings: QuotingSettings, copies: Mapping[str, str]
) -> list[Finding]:
    answering = _choose(asked.kind, verdict.findings, settings=settings, copies=copies)
    told = _with_what_it_announces(answering, most=settings.max_sentences)
    return _with_what_they_lean_on(told, most=settings.max_sentences)


def _choose(
    kind: Kind, findings: Sequence[Finding], *, settings: QuotingSettings, copies: Mapping[str, str]
) -> list[Finding]:
    if kind in (Kind.FACT, Kind.YES_NO):
        return [findings[0]]
    worthy = [finding for finding in findings if finding.score >= settings.share * findings[0].score]
    if kind is Kind.EXPLANATION:
        # One article explains in one voice; a stray sentence of another would break it.
        worthy = [finding for finding in worthy if finding.reading.article.id == findings[0].reading.article.id]
    if kind is Kind.VIEWS:
        worthy = _articles_in_turn(worthy, copies)
    return worthy[: settings.max_sentences]


def _understood(findings: Sequence[Finding], party: str, *, most: int) -> list[Finding]:
    """Return the first of a party's findings, each with the sentence before it if that alone tells who speaks.

    At most so many; the first is there in any case, and that sentence with it where there is room for two.
    """
    from rag.answering.clauses import goes_on  # 10 ms, which only several sides cost
    from rag.answering.parties import names

    chosen: list[Finding] = []
    for finding in findings:
        needed = [finding]
        before = finding.reading.before(finding.span)
        named = names(
            party, finding.text
        )  # her rival Felix Grau: whose rival tells less than who spoke before misleads
        if before is not None and (leans(finding.text) or goes_on(finding.text)) and not named:
            needed.insert(0, Finding(finding.reading, before, finding.score))
        known = {(one.reading.article.id, one.span) for one in chosen}
        new = [one for one in needed if (one.reading.article.id, one.span) not in known]
        if len(chosen) + len(new) <= most:
            chosen += new
        elif not chosen:
            chosen.append(finding)
    return chosen


def _with_what_it_announces(findings: Sequence[Finding], *, most: int) -> list[Finding]:
    """Return findings, and behind the best, if it announces a list ("I see three obstacles."), the items of that."""
    best = findings[0]
    announced = [Finding(best.reading, span, best.score) for span in best.reading.outline.announced(best.span)]
    if not announced:
        return list(findings)
    known = {(one.reading.article.id, one.span) for one in announced}
    others = [one for one in findings[1:] if (one.reading.article.id, one.span) not in known]
    return [best, *announced, *others][:most]


def _with_what_they_lean_on(findings: Sequence[Finding], *, most: int) -> list[Finding]:
    """Return findings, and before each that begins with "It did so" the sentence that says who did what.

    An item of a list has what announces the list before it, a row of a table the names of the columns.
    """
    chosen = list(findings)
    for finding in findings:
        before = finding.reading.outline.introduced(finding.span)
        if before is None and (leans(finding.text) or _is_bare_quote(finding.text)):
            before = finding.reading.before(finding.span)
        known = {(other.reading.article.id, other.span) for other in chosen}
        if before is not None and len(chosen) < most and (finding.reading.article.id, before) not in known:
            chosen.append(Finding(finding.reading, before, finding.score))
    return chosen


def _is_bare_quote(text: str) -> bool:
    """Tell whether a sentence is somebody's words without a name: "We lost." and "We lost," she said."""
    if not text.startswith(('"', "“")):
        return False
    from rag.answering.clauses import goes_on  # 10 ms

    return goes_on(text)


def _articles_in_turn(findings: Sequence[Finding], copies: Mapping[str, str]) -> list[Finding]:
    """Return findings so that each article speaks once before any speaks again; copies have one turn between them."""
    turns: dict[str, int] = {}
    keyed = []
    for place, finding in enumerate(findings):
        voice = copies.get(finding.reading.article.id, finding.reading.article.id)
        turn = turns.get(voice, 0)
        turns[voice] = turn + 1
        keyed.append((turn, place, finding))
    return [finding for _, _, finding in sorted(keyed, key=lambda key: key[:2])]


def _cite(finding: Finding, marker: int) -> Citation:
    return Citation.of(finding.reading.article, finding.reading.hit.passage, finding.span, marker=marker)


def _short_answer(finding: Finding) -> str | None:
    span = None if is_question(finding.text) else finding.short_answer
    return None if span is None else _SPACE.sub(" ", finding.reading.article.text[span.start : span.end])


def _declined(reason: str, confidence: float) -> Quoted:
    return Quoted(confidence=confidence, answer="", short_answer=None, claims=(), citations=(), reason=reason)
