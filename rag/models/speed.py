"""How fast this machine reads: measured by a short run and kept, so that a bound in time is the same tokens ever after.

    <cache>/readers/speed-<hash>.json     what pairs of three lengths took, and the processor and reader it holds for

The run counts a core's processor time, which hangs little on what else the machine does; a bound in time that was
measured for each answer would give another one beside other work.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rag.errors import ModelBroken
from rag.models.reader import Page
from rag.models.runtime import default_cache, write_atomically

if TYPE_CHECKING:
    from rag.models.foreign import ForeignReader
    from rag.models.reader import Reader

logger = logging.getLogger(__name__)

# Raised whenever a change of the run gives other figures.
VERSION: Final = 1
# What is read for a question as a rule: so many passages, so many of their sentences, and the best one in its context.
_PASSAGES, _SENTENCES, _CONTEXTS = 6, 6, 1
_PASSAGE_WORDS, _SENTENCE_WORDS, _CONTEXT_WORDS = 160, 28, 60
_QUESTION: Final = "Who designed the bridge over the river, and when was it opened?"
_WORDS: Final = ("bridge", "river", "steel", "tower")
_ROUNDS: Final = 3
_PAIRS: Final = 5  # of a length in a round: some systems count a thread's time in steps of 16 ms
_LEAST_MS: Final = 1e-3
_CPU_FACTS: Final = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Pair:
    """What it takes to read a pair of some length: its tokens, and milliseconds of one core."""

    tokens: int
    ms: float

    def __post_init__(self) -> None:
        if type(self.tokens) is not int or type(self.ms) is not float:
            raise TypeError(f"{self.tokens!r} tokens in {self.ms!r} ms")
        if not (self.tokens > 0 and _LEAST_MS <= self.ms < float("inf")):
            raise ValueError(f"{self.tokens} tokens in {self.ms} ms")


@dataclass(frozen=True, slots=True)
class Speed:
    """What it takes a core to read a passage, a sentence by itself, and one in its context."""

    passage: Pair
    sentence: Pair
    context: Pair

    def tokens_a_ms(self, *, cores: int) -> float:
        """Return how many tokens of what a question takes are read in a millisecond, a pair on each core."""
        kinds = ((_PASSAGES, self.passage), (_SENTENCES, self.sentence), (_CONTEXTS, self.context))
        # A core that finds no pair left waits for the others, as sentences are chosen when all passages are read.
        ms = sum(-(-count // cores) * pair.ms for count, pair in kinds)
        return sum(count * pair.tokens for count, pair in kinds) / ms

    def tokens_within(self, budget_ms: int, *, cores: int) -> int:
        """Return how many tokens are read in so many milliseconds; at least one."""
        return max(1, int(budget_ms * self.tokens_a_ms(cores=cores)))


def reading_speed(
    revision: str,
    *,
    opened: Callable[[], Reader | ForeignReader],
    cache: Path | None = None,
    notify: Callable[[str], None] | None = None,
) -> Speed:
    """Return how fast a reader reads here: as it is recorded, else measured now, and recorded.

    `opened` gives the reader for the run, held to one core.

    Raises:
        ModelBroken: the figures cannot be kept, so the next answer would hang on others.
    """
    cache = cache or default_cache()
    if (known := recorded_speed(revision, cache=cache)) is not None:
        return known
    from filelock import FileLock

    file = _file(revision, cache=cache)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Whoever waited takes what the other measured: two runs never give the same figures.
        with FileLock(file.with_name("speed.lock")):
            if (known := recorded_speed(revision, cache=cache)) is not None:
                return known
            if notify is not None:
                notify("measuring how fast this machine reads (once) …")
            speed = measure_speed(opened())
            write_atomically(file, json.dumps({**_holds_for(revision), **asdict(speed)}, indent=2).encode())
            return speed
    except OSError as error:
        raise ModelBroken(
            f"how fast this machine reads cannot be kept in {file.parent}: {error}",
            hint="set RAG_CACHE to a folder that can be written, or bound tokens alone: --set reader.budget_ms=null",
        ) from error


def recorded_speed(revision: str, *, cache: Path | None = None) -> Speed | None:
    """Return how fast a reader was found to read on this machine; None if there is no sound record of it."""
    file = _file(revision, cache=cache or default_cache())
    try:
        record = json.loads(file.read_bytes())
        pairs = {name: Pair(**record.pop(name)) for name in ("passage", "sentence", "context")}
        return Speed(**pairs) if record == _holds_for(revision) else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        logger.debug("%s: %s", file, error)
        return None


def measure_speed(reader: Reader | ForeignReader) -> Speed:
    """Return how fast a reader reads on the core that this runs on: for each length, the quickest of some rounds."""
    reader.read(_QUESTION, [_page(_PASSAGE_WORDS, "opened first")])
    rounds = [
        [_timed(reader, words, f"{number}") for words in (_PASSAGE_WORDS, _SENTENCE_WORDS, _CONTEXT_WORDS)]
        for number in range(_ROUNDS)
    ]
    return Speed(*(min(pairs, key=lambda pair: pair.ms) for pairs in zip(*rounds, strict=True)))


def processor_name() -> str:
    """Return the processor's name, as far as the system tells it."""
    try:
        for line in _CPU_FACTS.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    import platform

    return platform.processor() or platform.machine()


def _timed(reader: Reader | ForeignReader, words: int, name: str) -> Pair:
    # No text twice, as a reader remembers how it cut those that it has seen.
    pages = [_page(words, f"{name} {number}") for number in range(_PAIRS)]
    started = time.thread_time()
    for page in pages:
        reader.read(_QUESTION, [page])
    spent = (time.thread_time() - started) * 1000 / len(pages)
    return Pair(reader.sizes(_QUESTION, pages)[0], max(spent, _LEAST_MS))


def _page(words: int, name: str) -> Page:
    return Page(" ".join([name, *(_WORDS * words)[:words]]))


def _holds_for(revision: str) -> dict[str, object]:
    return {"version": VERSION, "reader": revision, "processor": processor_name()}


def _file(revision: str, *, cache: Path) -> Path:
    facts = json.dumps(_holds_for(revision), sort_keys=True)
    return cache / "readers" / f"speed-{hashlib.sha256(facts.encode()).hexdigest()[:32]}.json"
