"""The plain records that travel through the project, from article to answer.

Offsets are code points into `Article.text`, 0-based, end exclusive, everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A slice of an article's text: code points, 0-based, end exclusive."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"span needs 0 <= start <= end, got {self.start}..{self.end}")

    def overlaps(self, other: Span) -> bool:
        """Tell whether the two slices share a character."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Article:
    """A document that the user owns, as it is indexed.

    `furniture` are the sorted, disjoint slices of `text` that are a web page's trimmings: indexed by nobody, quoted by
    nobody. `origins` says where each metadata field came from: "front matter", "row", "html", "text", "file name" ….
    `first_line` is the line of the file on which `text` begins, counted from 1.
    """

    id: str
    path: str
    text: str
    title: str
    source: str | None = None
    author: str | None = None
    published: str | None = None
    language: str | None = None
    url: str | None = None
    first_line: int = 1
    furniture: tuple[Span, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    def line_of(self, offset: int) -> int:
        """Return the line of the file that holds the character at `offset`, counted from 1."""
        return self.first_line + self.text.count("\n", 0, offset)


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrievable slice of an article: whole sentences, bounded by the encoder's tokens.

    `sentences` are the quotable slices inside the passage, in reading order, as offsets into the article's text.
    """

    article: str
    ordinal: int
    start: int
    end: int
    sentences: tuple[Span, ...]

    @property
    def id(self) -> str:
        """Return `article#ordinal`, the passage's name on the command line and in records."""
        return f"{self.article}#{self.ordinal}"


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage with its score and rank (from 1) for one question, and the cosine of their vectors, where known."""

    passage: Passage
    score: float
    rank: int
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A pointer from a claim to verbatim text: `article.text[start:end] == quote`."""

    marker: int
    article: str
    title: str
    source: str | None
    published: str | None
    path: str
    passage: str
    quote: str
    start: int
    end: int
    line: int

    @classmethod
    def of(cls, article: Article, passage: Passage, span: Span, *, marker: int) -> Citation:
        """Cite a slice of an article; the quote is taken from the text, so that it cannot be made up.

        Raises:
            ValueError: the slice is empty or outside the article, or touches furniture.
        """
        if not span.start < span.end <= len(article.text):
            raise ValueError(
                f"slice {span.start}..{span.end} is not in the {len(article.text)} characters of {article.id}"
            )
        if any(span.overlaps(trimming) for trimming in article.furniture):
            raise ValueError(f"slice {span.start}..{span.end} of {article.id} is page furniture")
        return cls(
            marker=marker,
            article=article.id,
            title=article.title,
            source=article.source,
            published=article.published,
            path=article.path,
            passage=passage.id,
            quote=article.text[span.start : span.end],
            start=span.start,
            end=span.end,
            line=article.line_of(span.start),
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of an answer, the markers of the citations that carry it, and how well they do, in 0..1."""

    text: str
    citations: tuple[int, ...]
    support: float

    def __post_init__(self) -> None:
        if not self.citations:
            raise ValueError(f"a claim needs a citation: {self.text!r}")


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A sentence of a model's text that is no part of the answer, why it is none, and how well it is supported."""

    text: str
    reason: str
    support: float


@dataclass(frozen=True, slots=True)
class Said:
    """What one of several parties says, by the markers of the citations for it; none if the articles do not say.

    Of several questions in one, `party` is one of these.
    """

    party: str
    citations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answerer:
    """What wrote an answer: its kind, and the model with its revision."""

    name: str
    model: str
    revision: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A cited answer, or an honest "the articles do not say"; the laws of the record are checked when it is made.

    `understood` is what the question was taken for after those before it, where that is not what was typed. Where a
    model wrote, `dropped` is how many of its claims are no part of the answer, `quoted_because` why quotes stand in
    the place of its text, if they do, and `unsupported` are those claims, if they were to be kept. Where a question
    asks what several parties say, or is several in one, `sides` are these, in its order.
    """

    question: str
    answer: str
    claims: tuple[Claim, ...]
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]
    confidence: float
    reason: str | None
    answerer: Answerer
    index: str
    short_answer: str | None = None
    id: str | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    understood: str | None = None
    dropped: int | None = None
    quoted_because: str | None = None
    unsupported: tuple[Unsupported, ...] | None = None
    sides: tuple[Said, ...] | None = None

    def __post_init__(self) -> None:
        markers = [citation.marker for citation in self.citations]
        if markers != list(range(1, len(markers) + 1)):
            raise ValueError(f"citations are numbered from 1 without gaps, got {markers}")
        if {marker for claim in self.claims for marker in claim.citations} != set(markers):
            raise ValueError("every citation belongs to a claim, and every claim's marker to a citation")
        if self.answered == (self.reason is not None):
            raise ValueError("an answer without claims says why, and only such an answer does")
        if {claim.text for claim in self.claims} & {one.text for one in self.unsupported or ()}:
            raise ValueError("a sentence is a claim of the answer or is unsupported, not both")
        if self.sides is not None and {marker for side in self.sides for marker in side.citations} != set(markers):
            raise ValueError("every citation is one of a side's, and every side's marker a citation's")

    @property
    def answered(self) -> bool:
        """Tell whether the articles held the answer: exactly when there are claims."""
        return bool(self.claims)


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a set, with its gold where it is known."""

    question: str
    id: str | None = None
    answers: Sequence[str] = ()
    evidence: Sequence[Evidence] = ()
    answerable: bool | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Gold text for a question: a quote, and the article that it stands in."""

    article: str
    quote: str
