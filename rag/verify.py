"""Verification: every quote of an answer file, held to the articles as indexed and to their files, without a model."""

from __future__ import annotations

import codecs
import json
import math
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeGuard

from rag import answer_files
from rag.answer_files import Kind
from rag.articles import ArticleFile, read_articles, suffix_of
from rag.errors import AnswersError, ArticleError, ArticleMissing
from rag.index.generations import open_store
from rag.index.store import Store
from rag.records import Article, Passage

STANDARD_INPUT: Final = Path("-")
# These answer in the articles' words alone; a writer's text was checked when it was written, against what it cites.
_QUOTING: Final = frozenset({"quotes", "reader"})
_MARKER: Final = re.compile(r"\[(\d+)\]")
_SPACE: Final = re.compile(r"\s+")
_SHOWN: Final = 60  # characters of a text that is told of
_CHANGED: Final = "article changed on disk"


@dataclass(frozen=True, slots=True)
class Failure:
    """What does not hold: the line of the answer file, the answer's id, the citation's marker, and what differs."""

    line: int
    id: str | None
    marker: int | None
    problem: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked of an answer file, and what failed.

    `skipped` answers are lines with `error`, which hold nothing to check. `gone` are ids of articles whose file is not
    there any more, or cannot be reached from here; they were held to the index alone.
    """

    answers: int
    citations: int
    skipped: int
    gone: tuple[str, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Tell whether everything that was checked is so."""
        return not self.failures

    @property
    def finds_changed_files(self) -> bool:
        """Tell whether something does not hold because a file is another than when it was indexed."""
        return any(failure.problem.startswith(_CHANGED) for failure in self.failures)


def verify_answers(source: Path, *, index: Path) -> Verification:
    """Check an answer file of `rag batch`, or an answer of `rag ask --json`; `-` is standard input.

    Every quote must stand at its offsets in the article as indexed, and in the article's file where that is still
    there; markers, claims, citations and sides must belong together, and the passages must be those of the index.

    Raises:
        AnswersError: the file cannot be read, or holds no line.
        IndexMissing: there is no index.
    """
    manifest, store = open_store(index)
    try:
        texts = _Texts(store, content=manifest.content)
        failures: list[Failure] = []
        answers = citations = skipped = 0
        indexes: set[str] = set()
        for line, record in _records(_read(source), _kind(source)):
            answers += 1
            if isinstance(record, str):
                failures.append(Failure(line, None, None, record))
                continue
            name = record.get("id")
            row_id = name if isinstance(name, str) else None
            if record.get("error") is not None:
                skipped += 1
                # Whoever reads the file may look at the answer and not at the error.
                said = [key for key in ("answer", "short_answer", "claims", "citations") if record.get(key)]
                failures += [Failure(line, row_id, None, f"a failed question has {key}") for key in said]
                continue
            citations += len(_objects(record, "citations"))
            indexes.add(str(record.get("index")))
            failures += [Failure(line, row_id, marker, problem) for marker, problem in _problems(record, texts)]
    finally:
        store.close()
    if not answers:
        raise AnswersError(f"{source} holds no answers", hint="name a file that rag batch or rag ask --json wrote")
    others = indexes - {manifest.content}
    return Verification(
        answers=answers,
        citations=citations,
        skipped=skipped,
        gone=tuple(sorted(texts.gone)),
        failures=tuple(failures),
        notes=_notes(others=len(others), skipped=skipped, gone=sorted(texts.gone)),
    )


# Reading


def _read(source: Path) -> bytes:
    try:
        content = sys.stdin.buffer.read() if source == STANDARD_INPUT else source.read_bytes()
        # A mark at the beginning, as editors write it, belongs to no answer.
        return content.removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise AnswersError(
            f"{source} cannot be read: {error.strerror}", hint="name a file that rag batch or rag ask --json wrote"
        ) from error


def _kind(source: Path) -> Kind | None:
    return "csv" if source.suffix.lower() == ".csv" else None


def _records(content: bytes, kind: Kind | None) -> Iterator[tuple[int, dict[str, object] | str]]:
    """Yield each line's number with its record, or with what is wrong with it; a single answer may go over lines."""
    head = answer_files.head("csv")
    if kind is None and content.startswith(head):
        kind = "csv"
    if kind is None and (single := _single(content)) is not None:
        yield 1, single
        return
    number = 1
    for place, line in enumerate(answer_files.split_lines(content, kind=kind or "jsonl")):
        if kind == "csv" and place == 0:
            if line != head:
                yield number, "the first line does not name the columns of an answer file"
        elif line.strip():
            try:
                yield number, answer_files.from_line(line, kind=kind or "jsonl")
            except ValueError as error:
                yield number, f"no answer: {error}"
        number += line.count(b"\n")


def _single(content: bytes) -> dict[str, object] | None:
    """Return the answer if the content is one, as `rag ask --json | jq` lays it out over lines."""
    try:
        return answer_files.from_line(content, kind="jsonl")
    except ValueError:
        return None


# Checking


@dataclass(slots=True)
class _Texts:
    """The articles that are cited, each read once: as indexed, and as their files hold them now."""

    store: Store
    content: str
    gone: set[str] = field(default_factory=set)
    _indexed: dict[str, Article | None] = field(default_factory=dict)
    _on_disk: dict[str, Article | ArticleError | None] = field(default_factory=dict)
    _files: dict[tuple[Path, str], dict[str, Article] | ArticleError] = field(default_factory=dict)

    def indexed(self, article_id: str) -> Article | None:
        """Return an article as it is indexed, or None."""
        if article_id not in self._indexed:
            try:
                self._indexed[article_id] = self.store.article(article_id)
            except ArticleMissing:
                self._indexed[article_id] = None
        return self._indexed[article_id]

    def is_at(self, article: Article, path: str) -> bool:
        """Tell whether a path is the article's, from whichever folder it was written down."""
        stored = self.store.file(self.store.stored(article.id).file)
        name = article.path if stored is None else stored.id
        return path == article.path or f"/{path}".endswith(f"/{name}")

    def passage(self, article_id: str, name: str) -> Passage | None:
        """Return a passage of an article by its id, or None."""
        _, _, ordinal = name.rpartition("#")
        try:
            return self.store.passage(article_id, int(ordinal)) if name == f"{article_id}#{ordinal}" else None
        except (ArticleMissing, ValueError, OverflowError):
            return None

    def on_disk(self, article: Article) -> Article | ArticleError | None:
        """Return the article as its file holds it now, why it holds none, or None if the file is gone."""
        if article.id not in self._on_disk:
            self._on_disk[article.id] = self._read(article)
            if self._on_disk[article.id] is None:
                self.gone.add(article.id)
        return self._on_disk[article.id]

    def _read(self, article: Article) -> Article | ArticleError | None:
        file = Path(self.store.stored(article.id).file)
        stored = self.store.file(str(file))
        try:
            if not suffix_of(file.name) or not file.is_file():
                return None
        except OSError:  # a folder above it may not be entered
            return None
        # A row without an id of its own is called after the file. Where not all of it was read, its id is not kept.
        name = stored.id if stored else article.id.rpartition(":")[0] or article.id
        if (file, name) not in self._files:
            self._files[file, name] = _read_file(ArticleFile(id=name, path=article.path, file=file))
        texts = self._files[file, name]
        if isinstance(texts, ArticleError):
            return texts
        # A file that is one article has the id that it was read under.
        alone = texts.get(name) if len(texts) == 1 else None
        return texts.get(article.id, alone) or ArticleError("no row of the file is the article any more")


def _read_file(file: ArticleFile) -> dict[str, Article] | ArticleError:
    """Return the articles of a file by id, or why it holds none."""
    try:
        return {article.id: article for article in read_articles(file)[0]}
    except ArticleError as error:
        return error


def _problems(record: Mapping[str, object], texts: _Texts) -> Iterator[tuple[int | None, str]]:
    """Yield what does not hold of one answer, with the marker of the citation that it is about."""
    if (malformed := _malformed(record)) is not None:
        yield None, f"malformed: {malformed}"
        return
    claims, citations = _objects(record, "claims"), _objects(record, "citations")
    for problem in (
        *_marker_problems(claims, citations),
        *_decision_problems(record, claims),
        *_place_problems(record, claims),
        *_side_problems(record, citations),
    ):
        yield None, problem
    quotes = [_flat(str(citation["quote"])) for citation in citations]
    for problem in _text_problems(record, claims, quotes):
        yield None, problem
    same_index = record.get("index") == texts.content
    passages = _objects(record, "passages")
    for problem in (*_ranking_problems(passages), *_passage_problems(passages, texts, same_index=same_index)):
        yield None, problem
    listed = {str(passage["id"]) for passage in passages}
    for citation in citations:
        marker = citation["marker"]
        for problem in _citation_problems(citation, texts, listed=listed, same_index=same_index):
            yield marker if isinstance(marker, int) else None, problem


def _marker_problems(
    claims: Sequence[Mapping[str, object]], citations: Sequence[Mapping[str, object]]
) -> Iterator[str]:
    markers = [citation["marker"] for citation in citations]
    if markers != list(range(1, len(markers) + 1)):
        yield f"citations are not numbered from 1 without gaps: {markers}"
    used = {marker for claim in claims for marker in _integers(claim["citations"])}
    if used != set(markers):
        yield f"the claims cite {sorted(used)}, the citations are {markers}"
    for claim in claims:
        if not claim["citations"]:
            yield f"a claim is cited by nothing: {str(claim['text'])[:_SHOWN]!r}"


def _side_problems(record: Mapping[str, object], citations: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Yield what keeps the citations from being those of the parties, where an answer tells these apart."""
    told = {marker for side in _objects(record, "sides") for marker in _integers(side["citations"])}
    markers = [citation["marker"] for citation in citations]
    if "sides" in record and told != set(markers):
        yield f"the sides cite {sorted(told)}, the citations are {markers}"


def _place_problems(record: Mapping[str, object], claims: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Yield the claims behind which the answer does not show what they cite, and numbers that are no probability."""
    answer, place = _flat(str(record["answer"])), 0
    for claim in claims:
        text, cited = _flat(str(claim["text"])), _integers(claim["citations"])
        found = answer.find(text, place)
        if found < 0:
            yield f"the answer does not say a claim where it comes: {text[:_SHOWN]!r}"
            continue
        place = found + len(text)
        if not re.match("".join(rf" ?\[{marker}\]" for marker in cited), answer[place:]):
            yield f"the answer does not show {cited} behind a claim: {text[:_SHOWN]!r}"
    numbers = [("confidence", record.get("confidence")), *(("support", claim.get("support")) for claim in claims)]
    for name, value in numbers:
        if isinstance(value, int | float) and not 0 <= value <= 1:
            yield f"{name} is {value}, and not from 0 to 1"


def _decision_problems(record: Mapping[str, object], claims: Sequence[Mapping[str, object]]) -> Iterator[str]:
    answered = record["answered"]
    if answered != bool(claims):
        yield f"answered is {json.dumps(answered)} with {len(claims)} claims"
    if answered and record["reason"] is not None:
        yield "an answer has a reason for being none"
    if not answered and record["reason"] is None:
        yield "no reason says why there is no answer"


def _text_problems(
    record: Mapping[str, object], claims: Sequence[Mapping[str, object]], quotes: Sequence[str]
) -> Iterator[str]:
    """Yield what the answer's text shows or says beyond its citations; `quotes` by marker, from 1."""
    rest = str(record["answer"])
    # What is quoted may itself hold numbers in brackets; those are no markers.
    for quote in sorted(filter(None, quotes), key=len, reverse=True):
        rest = rest.replace(quote, "\n")
    shown = sorted({int(marker) for marker in _MARKER.findall(rest)})
    if shown != list(range(1, len(quotes) + 1)):
        yield f"the answer shows the markers {shown}, and has {len(quotes)} citations"
    answerer = record.get("answerer")
    if not (isinstance(answerer, dict) and answerer.get("name") in _QUOTING):
        return
    if said := _flat(_MARKER.sub("", rest)):
        yield f"the answer says what no citation does: {said[:_SHOWN]!r}"
    short = record.get("short_answer")
    if isinstance(short, str) and not any(_flat(short) in quote for quote in quotes):
        yield f"the short answer is in no quote: {short[:_SHOWN]!r}"
    for claim in claims:
        cited = [quotes[marker - 1] for marker in _integers(claim["citations"]) if 1 <= marker <= len(quotes)]
        if not any(_flat(str(claim["text"])) in quote for quote in cited):
            yield f"a claim says what its citations do not: {str(claim['text'])[:_SHOWN]!r}"


def _ranking_problems(passages: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Yield what keeps the passages from being a ranking: each once, by rank, and none better than the one before."""
    ranks = [passage["rank"] for passage in passages]
    if ranks != list(range(1, len(ranks) + 1)):
        yield f"passages are not ranked from 1 without gaps: {ranks}"
    names = [str(passage["id"]) for passage in passages]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"the passage {name} is listed twice"
    scores = [_number(passage["score"]) for passage in passages]
    for name, before, score in zip(names[1:], scores, scores[1:], strict=False):
        if not before >= score:  # nothing compares with what is no number
            yield f"the passage {name} scores {score:g}, more than the one before it"


def _passage_problems(passages: Sequence[Mapping[str, object]], texts: _Texts, *, same_index: bool) -> Iterator[str]:
    """Yield what passages say that is not so; an index that has changed since may have cut the texts otherwise."""
    for passage in passages:
        name, article_id, (start, end) = str(passage["id"]), str(passage["article"]), (passage["start"], passage["end"])
        if not name.startswith(f"{article_id}#"):
            yield f"the passage {name} is none of {article_id}"
        if not same_index:
            continue
        article, stored = texts.indexed(article_id), texts.passage(article_id, name)
        if article is None or stored is None:
            yield f"the index holds no passage {name} of {article_id}"
            continue
        if (start, end) != (stored.start, stored.end):
            yield f"the passage {name} is at {stored.start}:{stored.end}, not at {start}:{end}"
        yield from _told_problems(passage, article, name=f" of the passage {name}")
        if "text" in passage and passage["text"] != article.text[stored.start : stored.end]:
            yield f"the text of the passage {name} is not what stands there"


def _citation_problems(
    citation: Mapping[str, object], texts: _Texts, *, listed: Collection[str], same_index: bool
) -> Iterator[str]:
    article_id, quote = str(citation["article"]), str(citation["quote"])
    start, end = citation["start"], citation["end"]
    if not (isinstance(start, int) and isinstance(end, int)) or not quote:
        yield "the quote is empty"
        return
    article = texts.indexed(article_id)
    if article is None:
        yield f"article missing: the index holds no {article_id}"
        return
    if not 0 <= start < end <= len(article.text) or article.text[start:end] != quote:
        there = _moved(article.text, quote, near=start)
        yield f"quote changed: {there} of {article_id} as indexed, not at {start}:{end}"
    elif citation["line"] != article.line_of(start):
        yield f"the quote begins on line {article.line_of(start)} of {article_id}, not {citation['line']}"
    yield from _naming_problems(citation, article, texts, (start, end), same_index=same_index)
    if citation.get("passage") is not None and citation["passage"] not in listed:
        yield f"the passage {citation['passage']} is not among those that were looked at"
    on_disk = texts.on_disk(article)
    if isinstance(on_disk, ArticleError):
        yield f"{_CHANGED}: {article.path}: {on_disk.message}"
    elif on_disk is not None and on_disk.text != article.text and on_disk.text[max(start, 0) : end] != quote:
        yield f"{_CHANGED}: {_moved(on_disk.text, quote, near=start)} of {article.path}"
    elif on_disk is not None and (line := on_disk.line_of(start)) != article.line_of(start):
        yield f"{_CHANGED}: the quote is now on line {line} of {article.path}"


def _naming_problems(
    citation: Mapping[str, object], article: Article, texts: _Texts, span: tuple[int, int], *, same_index: bool
) -> Iterator[str]:
    """Yield what a citation says of its article that is not so, and a passage that does not hold the quote."""
    yield from _told_problems(citation, article)
    path, passage_id = citation.get("path"), citation.get("passage")
    if path is not None and not texts.is_at(article, str(path)):
        yield f"{article.id} lies at {article.path}, not at {path}"
    if passage_id is None:
        return
    passage = texts.passage(article.id, str(passage_id)) if same_index else None
    inside = passage is not None and passage.start <= span[0] and span[1] <= passage.end
    # Another index may have cut the same text otherwise.
    if not (inside if same_index else str(passage_id).startswith(f"{article.id}#")):
        yield f"the quote is not in the passage {passage_id}"


def _told_problems(part: Mapping[str, object], article: Article, *, name: str = "") -> Iterator[str]:
    """Yield what a part of a record says of its article that is not so."""
    for about in ("title", "source", "published"):
        if about in part and part[about] != getattr(article, about):
            yield f"{about}{name} changed: {part[about]!r} is now {getattr(article, about)!r}"


def _moved(text: str, quote: str, *, near: int) -> str:
    places = [match.start() for match in re.finditer(re.escape(quote), text)]
    if not places:
        return "the quote is nowhere in the text"
    start = min(places, key=lambda place: abs(place - near))
    return f"the quote is now at {start}:{start + len(quote)}"


def _flat(text: str) -> str:
    return _SPACE.sub(" ", text).strip()


# The shape of a record

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "answered": (bool,),
    "answer": (str,),
    "claims": (list,),
    "citations": (list,),
    "passages": (list,),
    "reason": (str, type(None)),
}
_CLAIM_KINDS: Final[Mapping[str, tuple[type, ...]]] = {"text": (str,), "citations": (list,)}
_SIDE_KINDS: Final[Mapping[str, tuple[type, ...]]] = {"party": (str,), "citations": (list,)}
_CITATION_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "marker": (int,),
    "article": (str,),
    "quote": (str,),
    "start": (int,),
    "end": (int,),
    "line": (int,),
}
_PASSAGE_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "id": (str,),
    "article": (str,),
    "rank": (int,),
    "score": (int, float),
    "start": (int,),
    "end": (int,),
}
_LISTED: Final = {
    "claims": _CLAIM_KINDS,
    "citations": _CITATION_KINDS,
    "passages": _PASSAGE_KINDS,
    "sides": _SIDE_KINDS,
}


def _malformed(record: Mapping[str, object]) -> str | None:
    """Return what is missing or of another kind in a record, or None."""
    own = {**_KINDS, "sides": (list,)} if "sides" in record else _KINDS
    parts: list[tuple[str, object, Mapping[str, tuple[type, ...]]]] = [("", record, own)]
    for name, kinds in _LISTED.items():
        parts += [(f"{name}[{place}].", part, kinds) for place, part in enumerate(_list(record.get(name)))]
    for where, part, kinds in parts:
        if not isinstance(part, dict):
            return f"{where.rstrip('.')} is no object"
        # By type, as a bool is an int to isinstance, and no offset.
        for name, allowed in kinds.items():
            if name not in part:
                return f"{where}{name} is missing"
            if type(part[name]) not in allowed:
                return f"{where}{name} is {json.dumps(part[name])[:_SHOWN]}"
    return _unmarked(record, "claims") or _unmarked(record, "sides")


def _unmarked(record: Mapping[str, object], name: str) -> str | None:
    for place, part in enumerate(_objects(record, name)):
        if not all(type(marker) is int for marker in _list(part["citations"])):
            return f"{name}[{place}].citations are no markers"
    return None


def _objects(record: Mapping[str, object], name: str) -> list[dict[str, object]]:
    return [part for part in _list(record.get(name)) if _is_object(part)]


def _integers(value: object) -> list[int]:
    return [number for number in _list(value) if isinstance(number, int)]


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _notes(*, others: int, skipped: int, gone: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if others:
        notes.append("the index has changed since the answers were made")
    if skipped:
        notes.append(f"failed questions, with nothing to check: {skipped}")
    if gone:
        notes.append(f"held to the index alone, as their files are gone: {', '.join(gone)}")
    return tuple(notes)
