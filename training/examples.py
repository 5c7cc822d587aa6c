"""Pure functions that turn source rows into training examples: windows, headers, edits, altered claims."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log

SUPPORTS, CONTRADICTS, NEITHER = 1, 2, 4
"""Bits of the support classes that an example allows; a label that does not decide allows several."""

SENTENCE_BREAK = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])|\n+")
ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Jr|Sr|No|vs|Gen|Col|Prof|Rev|Sgt|Capt|Lt|ca|approx)|\b[a-z]\.[a-z])\.$"
)
WORD = re.compile(r"\w+", re.UNICODE)
YEAR = re.compile(r"\b(?:1[0-9]{3}|20[0-2][0-9])\b")
NUMBER = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\w,])|(?<![\w.,])\d+(?:\.\d+)?(?![\w]|[.,]\d)")
NAME = re.compile(
    r"\b[A-Z][\w'’-]+(?:\s+(?:of|de|von|van|the)\s+(?=[A-Z])|\s+(?=[A-Z]))?(?:[A-Z][\w'’-]+(?:\s+(?=[A-Z]))?)*"
)
STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "how",
        "in",
        "into",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "she",
        "that",
        "the",
        "their",
        "them",
        "they",
        "this",
        "to",
        "was",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
    ]
)
OPPOSITES = (
    ("increased", "decreased"), ("increase", "decrease"), ("rose", "fell"), ("rise", "fall"), ("grew", "shrank"),
    ("more", "less"), ("higher", "lower"), ("highest", "lowest"), ("largest", "smallest"), ("larger", "smaller"),
    ("most", "least"), ("first", "last"), ("before", "after"), ("north", "south"), ("northern", "southern"),
    ("east", "west"), ("eastern", "western"), ("won", "lost"), ("win", "lose"), ("early", "late"),
    ("earliest", "latest"), ("oldest", "youngest"), ("older", "younger"), ("began", "ended"), ("begin", "end"),
    ("allowed", "banned"), ("accepted", "rejected"), ("always", "never"), ("above", "below"), ("best", "worst"),
    ("major", "minor"), ("opened", "closed"), ("supported", "opposed"), ("gained", "lost"), ("up", "down"),
    ("left", "right"), ("male", "female"), ("positive", "negative"), ("strong", "weak"), ("success", "failure"),
    ("successful", "unsuccessful"), ("import", "export"), ("imports", "exports"), ("bought", "sold"),
    ("often", "rarely"),
    ("common", "rare"), ("majority", "minority"), ("internal", "external"), ("upper", "lower"), ("inside", "outside"),
)  # fmt: skip
AUXILIARY = re.compile(
    r"\b(is|are|was|were|has|have|had|can|could|will|would|did|does|do|should|may)\b(?!\s+not\b|n't)"
)
NEWS_SOURCES = (
    "Reuters", "Associated Press", "The Guardian", "BBC News", "Kyodo News", "South China Morning Post", "Wikipedia",
    "The Japan Times", "Xinhua", "Al Jazeera", "Nikkei Asia", "Encyclopedia", "Wikinews", "The Economist", "NPR",
)  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Example:
    """A pair that the model is trained on.

    `spans` are (start, end) in code points of `passage`, whose first `header_size` code points are its header line.
    `answerable` is 1, 0, or None where the pair is a claim; `support` is a bit set of allowed classes, 0 where the pair
    is a question. `inside` says that a span only holds the answer, so that its own limits are not to be learnt.
    """

    source: str
    kind: str
    question: str
    passage: str
    header_size: int = 0
    spans: tuple[tuple[int, int], ...] = ()
    answerable: bool | None = None
    support: int = 0
    inside: bool = False

    def __post_init__(self) -> None:
        for start, end in self.spans:
            if not self.header_size <= start < end <= len(self.passage):
                raise ValueError(f"span {start}:{end} is outside {self.header_size}:{len(self.passage)}")


def pick_share(key: str) -> float:
    """Return a number in 0..1 that depends on the key alone, to split by article."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big") / 2**48


@lru_cache(maxsize=4096)
def split_sentences(text: str) -> tuple[tuple[int, int], ...]:
    """Return (start, end) of the sentences of a text, in order, without surrounding space."""
    cuts, begin = [], 0
    for match in SENTENCE_BREAK.finditer(text):
        if "\n" not in match.group() and ABBREVIATION.search(text[begin : match.start()]):
            continue
        cuts.append((begin, match.start() + len(match.group().rstrip())))
        begin = match.end()
    cuts.append((begin, len(text)))
    sentences = []
    for start, end in cuts:
        part = text[start:end]
        inner = part.strip()
        if inner:
            first = start + len(part) - len(part.lstrip())
            sentences.append((first, first + len(inner)))
    return tuple(sentences)


def start_before(text: str, place: int) -> int:
    """Return where the sentence before a place begins, or the place where it is the first."""
    return max((start for start, end in split_sentences(text) if end <= place), default=place)


def cut_window(text: str, *, around: tuple[int, int], max_words: int, rng: random.Random) -> tuple[int, int]:
    """Return (start, end) of a run of whole sentences that holds `around` and has about `max_words` words.

    It grows by a sentence to a random side while there is room; `around` is kept whole even where it is longer.
    """
    sentences = split_sentences(text)
    first = max((i for i, (start, _) in enumerate(sentences) if start <= around[0]), default=0)
    last = min((i for i, (_, end) in enumerate(sentences) if end >= around[1]), default=len(sentences) - 1)
    last = max(first, last)
    sizes = [len(text[start:end].split()) for start, end in sentences]
    room = max_words - sum(sizes[first : last + 1])
    while True:
        sides = [side for side in (first - 1, last + 1) if 0 <= side < len(sentences) and sizes[side] <= room]
        if not sides:
            break
        side = rng.choice(sides)
        room -= sizes[side]
        first, last = min(first, side), max(last, side)
    return min(sentences[first][0], around[0]), max(sentences[last][1], around[1])


def list_words(text: str) -> list[str]:
    """Return the lower-cased words of a text that carry meaning."""
    return [word for word in WORD.findall(text.lower()) if word not in STOP_WORDS]


def count_passages_with(texts: Iterable[str]) -> Counter[str]:
    """Return in how many of the texts each word occurs."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(list_words(text)))
    return counts


def score_overlap(words: Iterable[str], *, other: frozenset[str], frequencies: Mapping[str, int], n: int) -> float:
    """Return the summed inverse document frequency of the words that also stand in the other text."""
    return sum(log(n / (1 + frequencies.get(word, 0))) for word in sorted(set(words)) if word in other)


def find_best_sentence(question: str, *, text: str, frequencies: Mapping[str, int], n: int) -> tuple[int, int]:
    """Return (start, end) of the sentence that shares the rarest words with the question."""
    words = list_words(question)
    return max(
        split_sentences(text),
        key=lambda cut: score_overlap(
            words, other=frozenset(list_words(text[cut[0] : cut[1]])), frequencies=frequencies, n=n
        ),
    )


def make_header(title: str | None, *, rng: random.Random) -> str:
    """Return a header line as the index writes it, or "" for about half of the passages."""
    if not title or rng.random() < 0.45:
        return ""
    if rng.random() < 0.4:
        return f"{title}. "
    year = rng.randint(1995, 2025)
    form = rng.randrange(4)
    month = rng.randint(1, 12)
    date = (
        f"{year}-{month:02d}-{rng.randint(1, 28):02d}"
        if form == 0
        else f"{year}-{month:02d}"
        if form == 1
        else f"{rng.randint(1, 28)} {MONTHS[month - 1]} {year}"
        if form == 2
        else str(year)
    )
    return f"{title}. {rng.choice(NEWS_SOURCES)}, {date}. "


def list_names(text: str) -> list[str]:
    """Return the capitalised names of a text; one word at the start of a sentence is no name."""
    starts = {start for start, _ in split_sentences(text)}
    names = []
    for match in NAME.finditer(text):
        name = match.group().strip()
        if (match.start() in starts and " " not in name) or name.lower() in STOP_WORDS or len(name) < 3:
            continue
        names.append(re.sub(r"^(?:The|In|On|At|A|An|By|For|From|After|Before|When|While|As|It|He|She)\s+", "", name))
    return names


def replace_year(text: str, *, avoid: str, rng: random.Random) -> str | None:
    """Return the text with one year moved to a year that `avoid` does not name, or None where it has no year."""
    match = YEAR.search(text)
    if match is None:
        return None
    for _ in range(20):
        year = int(match.group()) + rng.choice((-1, 1)) * rng.choice((1, 2, 3, 5, 7, 10, 12, 20, 30))
        if 1000 <= year <= 2029 and str(year) not in avoid:
            return text[: match.start()] + str(year) + text[match.end() :]
    return None


def replace_number(text: str, *, avoid: str, rng: random.Random) -> str | None:
    """Return the text with one number changed to one that `avoid` does not hold, or None where it has none."""
    matches = [match for match in NUMBER.finditer(text) if not YEAR.fullmatch(match.group())]
    if not matches:
        return None
    match = rng.choice(matches)
    value = float(match.group().replace(",", ""))
    for _ in range(20):
        changed = max(1.0, value * rng.choice((0.5, 0.8, 1.2, 1.5, 2.0, 3.0)) + rng.choice((-2, -1, 1, 2)))
        whole = "." not in match.group()
        new = f"{round(changed):,}" if "," in match.group() else str(round(changed)) if whole else f"{changed:.1f}"
        if new != match.group() and not re.search(rf"(?<!\d){re.escape(new)}(?!\d)", avoid):
            return text[: match.start()] + new + text[match.end() :]
    return None


def replace_name(
    text: str, *, names: Sequence[str], others: Sequence[str], avoid: str, rng: random.Random
) -> str | None:
    """Return the text with one of `names` replaced by one of `others` that `avoid` does not hold, or None.

    The replacement has as many words as the name where it can. Case is ignored: questions have lost theirs.
    """
    lowered, avoided = text.lower(), avoid.lower()
    found = [name for name in dict.fromkeys(names) if re.search(rf"\b{re.escape(name.lower())}\b", lowered)]
    candidates = [
        other for other in dict.fromkeys(others) if other.lower() not in avoided and other.lower() not in lowered
    ]
    if not found or not candidates:
        return None
    name = max(found, key=len) if rng.random() < 0.7 else rng.choice(found)
    alike = [other for other in candidates if len(other.split()) == len(name.split())]
    new = rng.choice(alike or candidates)
    return re.sub(rf"\b{re.escape(name)}\b", lambda _: new, text, count=1, flags=re.IGNORECASE)


def replace_opposite(text: str, *, rng: random.Random) -> str | None:
    """Return the text with one word turned into its opposite, or None where no such word stands in it."""
    pairs = {one: other for pair in OPPOSITES for one, other in (pair, pair[::-1])}
    matches = [match for match in re.finditer(r"\b[a-z]+\b", text) if match.group() in pairs]
    if not matches:
        return None
    match = rng.choice(matches)
    return text[: match.start()] + pairs[match.group()] + text[match.end() :]


def negate(text: str) -> str | None:
    """Return the text with its first auxiliary negated, or freed of its "not"; None where it has neither."""
    if re.search(r"\b(?:is|are|was|were|has|have|had|can|could|will|would|did|does|do|should|may)\s+not\s+", text):
        return re.sub(
            r"\b(is|are|was|were|has|have|had|can|could|will|would|did|does|do|should|may)\s+not\s+",
            r"\1 ",
            text,
            count=1,
        )
    match = AUXILIARY.search(text)
    return None if match is None else f"{text[: match.end()]} not{text[match.end() :]}"


def shorten_claim(text: str, *, rng: random.Random) -> str:
    """Return the sentence without its brackets and, at times, without its last clause: still what the sentence says."""
    short = re.sub(r"\s*\([^)]*\)", "", text)
    match = re.search(r",\s+(?:which|who|where|although|while|because|though)\b[^,]*\.$", short)
    if match and rng.random() < 0.6 and len(short[: match.start()].split()) >= 6:
        short = short[: match.start()] + "."
    return re.sub(r"\s+", " ", short).strip()


def alter_claim(
    claim: str, *, way: str, passage: str, other_names: Sequence[str], rng: random.Random
) -> tuple[str, int] | None:
    """Return the claim made untrue in one way, with the support classes it allows; None where the way does not apply.

    Ways: year, number, name, negation, direction.
    """
    if way == "year":
        changed = replace_year(claim, avoid=passage, rng=rng)
    elif way == "number":
        changed = replace_number(claim, avoid=passage, rng=rng)
    elif way == "name":
        names = list_names(claim)
        inside = [name for name in list_names(passage) if name not in claim]
        use_inside = bool(inside) and rng.random() < 0.5
        changed = replace_name(
            claim,
            names=names,
            others=inside if use_inside else other_names,
            avoid="" if use_inside else passage,
            rng=rng,
        )
    elif way == "negation":
        changed = negate(claim)
    elif way == "direction":
        changed = replace_opposite(claim, rng=rng)
    else:
        raise ValueError(f"unknown way {way!r}")
    if changed is None or changed == claim:
        return None
    return changed, CONTRADICTS | NEITHER if way == "name" else CONTRADICTS


def edit_question(
    question: str, *, passage: str, other_names: Sequence[str], rng: random.Random
) -> tuple[str, str] | None:
    """Return (edited question, way) such that the passage no longer answers it, or None where no way applies."""
    figures, words = ["year", "number"], ["name", "name", "direction"]
    rng.shuffle(figures)
    rng.shuffle(words)
    for way in dict.fromkeys(figures + words):
        if way == "year":
            changed = replace_year(question, avoid=passage, rng=rng)
        elif way == "number":
            changed = replace_number(question, avoid=passage, rng=rng)
        elif way == "name":
            changed = replace_name(question, names=list_names(passage), others=other_names, avoid=passage, rng=rng)
        else:
            changed = replace_opposite(question, rng=rng)
        if changed is not None and changed.lower() != question.lower():
            return changed, way
    return None


def group_by_title(passages: Iterable[tuple[int, str | None]]) -> dict[str, list[int]]:
    """Return the passage ids of each title that has several."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for passage_id, title in passages:
        if title:
            groups[title].append(passage_id)
    return {title: ids for title, ids in groups.items() if len(ids) > 1}


def build_pair(
    *,
    source: str,
    kind: str,
    question: str,
    text: str,
    window: tuple[int, int],
    title: str | None,
    spans: Sequence[tuple[int, int]] = (),
    answerable: bool | None = None,
    support: int = 0,
    inside: bool = False,
    rng: random.Random,
) -> Example:
    """Return an example on one window of a text, its spans moved along and those outside the window dropped."""
    header = make_header(title, rng=rng)
    move = len(header) - window[0]
    kept = tuple((start + move, end + move) for start, end in spans if window[0] <= start and end <= window[1])
    return Example(
        source=source,
        kind=kind,
        question=question.lower(),
        passage=header + text[window[0] : window[1]],
        header_size=len(header),
        spans=kept,
        answerable=answerable,
        support=support,
        inside=inside,
    )
