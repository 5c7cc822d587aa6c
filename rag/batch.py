"""Question sets: every question of a file answered, each answer written as soon as it is there.

The answers lie in the order of the questions. A run that was ended, however it was, is taken up again by the same
command: an answer stays when its id, question, index and settings are the same, and what stands in the file at the
end is what an uninterrupted run would have written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from rag import answer_files
from rag.answer_files import Kind
from rag.engine import Asked, Begun, Engine
from rag.errors import AnswersError, ModelBroken, QuestionError, RagError
from rag.index import ArticleFilter
from rag.models.runtime import default_cache
from rag.outputs import write_output
from rag.progress import Notify
from rag.question_sets import BadRow, Row, Topic, read_rows
from rag.render import answer_record

logger = logging.getLogger(__name__)

T = TypeVar("T")

_AHEAD = 3  # questions under way for each core, so that a long one keeps none of them waiting
_MOST_TOLD = 5
_OUTCOMES = ("answered", "declined", "failed")


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What became of the questions; `kept` of them were answered by an earlier run."""

    questions: int
    answered: int
    declined: int
    failed: int
    kept: int


@dataclass(frozen=True, slots=True)
class _Kept:
    """What an answer file already holds: the outcome by id, and whether it is what a run begins with."""

    outcomes: Mapping[str, str]
    in_order: bool


def answer_questions(
    engine: Engine,
    questions: Path,
    *,
    output: Path | None,
    emit: Callable[[str], object],
    wanted: ArticleFilter | None = None,
    jobs: int = 1,
) -> BatchReport:
    """Answer a question set into a file, JSONL or CSV by its suffix; without one, `emit` is given each line of JSONL.

    Of a model behind HTTP, `jobs` answers are written at once; what comes out is the same, in the same order. A
    question that fails is a line with `error`, and is tried again by the next run.

    Raises:
        QuestionError: the question set cannot be read, or two of its rows have one id.
        AnswersError: the answer file cannot be written, is being written by another run, or holds something else than
            answers.
    """
    kind, rows = _kind(questions, output), read_rows(questions)
    with _alone(output):
        return _answer_rows(engine, rows, kind, output=output, emit=emit, wanted=wanted, jobs=jobs)


def _answer_rows(
    engine: Engine,
    rows: Sequence[Row],
    kind: Kind,
    *,
    output: Path | None,
    emit: Callable[[str], object],
    wanted: ArticleFilter | None,
    jobs: int,
) -> BatchReport:
    stamp = engine.stamp(wanted)
    kept = _Kept({}, in_order=True)
    if output is not None:
        kept = _take_up(output, kind, rows, stamp=stamp, notify=engine.reporting.notify)
    tally = Counter(kept.outcomes.values())
    reasons: list[str] = []
    with _lines(output, kind=kind, emit=emit) as write:
        todo = [row for row in rows if row.id not in kept.outcomes]
        for record in _answers(engine, todo, wanted, jobs=jobs):
            write(answer_files.to_line({**record, **stamp}, kind=kind))
            tally[_outcome(record)] += 1
            reasons += _reasons(record)
            engine.reporting.note(_counts(tally))
            engine.reporting.progress("answering", tally.total(), len(rows))
    if output is not None and not kept.in_order:
        _put_in_order(output, kind, rows)
    for line in _told(reasons):
        engine.reporting.notify(line)
    engine.reporting.notify(f"{len(rows)} questions: {_counts(tally)}")
    return BatchReport(
        questions=len(rows),
        answered=tally["answered"],
        declined=tally["declined"],
        failed=tally["failed"],
        kept=len(kept.outcomes),
    )


def _kind(questions: Path, output: Path | None) -> Kind:
    if output is None:
        return "jsonl"
    kind = answer_files.SUFFIXES.get(output.suffix.lower())
    if kind is None:
        raise AnswersError(
            f"answers are written as .jsonl or .csv, not as {output.name}", hint="for example: -o answers.jsonl"
        )
    if output.exists() and questions.exists() and output.samefile(questions):
        raise AnswersError(f"{output} holds the questions", hint="choose another file for the answers: -o FILE")
    return kind


def _answers(
    engine: Engine, rows: Iterable[Row], wanted: ArticleFilter | None, *, jobs: int
) -> Iterator[dict[str, object]]:
    """Yield the record of each row, in their order, while a model writes those of the next ones."""
    if jobs > 1 and engine.config.answerer != "endpoint":
        engine.reporting.notify("--jobs has no effect: what answers is in one process, which uses all cores as it is")
        jobs = 1
    if jobs == 1:
        yield from _side_by_side(
            rows, lambda row: _record(row, lambda question: engine.ask(question, wanted=wanted)), at_once=engine.at_once
        )
    else:
        yield from _in_order((partial(_record, row, _UnderWay(engine, row, wanted).asked) for row in rows), ahead=jobs)


def _in_order(begun: Iterable[Callable[[], T]], *, ahead: int) -> Iterator[T]:
    """Yield what the functions return, in their order; each is called when `ahead` of them are begun, or all."""
    under_way: deque[Callable[[], T]] = deque()
    for result in begun:
        under_way.append(result)
        if len(under_way) == ahead:
            yield under_way.popleft()()
    while under_way:
        yield under_way.popleft()()


def _side_by_side(
    rows: Iterable[Row], answer: Callable[[Row], dict[str, object]], *, at_once: int
) -> Iterator[dict[str, object]]:
    """Yield the record of each row, in their order, while the next ones are answered in threads of their own."""
    if at_once == 1:
        yield from map(answer, rows)
        return
    pool = ThreadPoolExecutor(at_once)
    try:
        yield from _in_order((pool.submit(answer, row).result for row in rows), ahead=_AHEAD * at_once)
    finally:
        pool.shutdown(cancel_futures=True)


class _UnderWay:
    """A question that is being answered: a model's writing goes on in a thread, all else is done where it is asked."""

    def __init__(self, engine: Engine, row: Row, wanted: ArticleFilter | None) -> None:
        self._engine = engine
        self._pieces: Future[list[str]] = Future()
        self._begun: Begun | Exception | None = None
        if isinstance(row, BadRow):
            return
        try:
            self._begun = engine.begin(row.question.question, wanted=wanted)
        except Exception as error:  # noqa: BLE001  # raised again where the answer is asked for
            self._begun = error
            return
        # A daemon, so that whoever interrupts the run need not wait for a server.
        threading.Thread(target=self._write, args=(self._begun,), daemon=True).start()

    def asked(self, _question: str) -> Asked:
        """Return the answer once it is there, or raise what it failed by."""
        if not isinstance(self._begun, Begun):
            raise self._begun or ValueError("a row that is no question was asked")
        return self._engine.finish(self._begun, self._pieces.result())

    def _write(self, begun: Begun) -> None:
        try:
            self._pieces.set_result(list(self._engine.write(begun)))
        except BaseException as error:  # noqa: BLE001  # raised again where the result is asked for
            self._pieces.set_exception(error)


def _record(row: Row, ask: Callable[[str], Asked]) -> dict[str, object]:
    if isinstance(row, BadRow):
        return _failed(row.id, row.question, row.error)
    question = row.question.question
    try:
        answer = ask(question).answer
    except (QuestionError, ModelBroken) as error:
        return _failed(row.id, question, error)
    except RagError:  # the index or a setting: no other question would fare better
        raise
    except Exception as error:  # our bug in one question must not cost the answers to all others
        logger.debug("question %s", row.id, exc_info=True)
        bug = RagError(f"this is a bug in rag: {type(error).__name__}", hint="report it; rag batch -v tells where")
        return _failed(row.id, question, bug)
    return answer_record(dataclasses.replace(answer, id=row.id))


def _failed(row_id: str, question: str, error: RagError) -> dict[str, object]:
    told = {"message": error.message, "hint": error.hint}
    return {"schema": answer_files.SCHEMA, "id": row_id, "question": question, "error": told}


def _reasons(record: Mapping[str, object]) -> list[str]:
    """Return why a record's question failed, with its id; nothing if it did not."""
    error = record.get("error")
    return [f"{record['id']}: {error['message']}"] if isinstance(error, dict) else []


def _told(reasons: Sequence[str]) -> list[str]:
    """Return the first reasons, and how many more there are: whoever has many reads them in the records."""
    told = list(reasons[:_MOST_TOLD])
    if more := len(reasons) - len(told):
        told.append(f"and {more} more, each told in its record’s “error”")
    return told


def _outcome(record: Mapping[str, object]) -> str:
    if record.get("error") is not None:
        return "failed"
    return "answered" if record.get("answered") else "declined"


def _counts(tally: Mapping[str, int]) -> str:
    return ", ".join(f"{tally[outcome]} {outcome}" for outcome in _OUTCOMES)


# The answer file


@contextlib.contextmanager
def _alone(output: Path | None) -> Iterator[None]:
    """Keep other runs from writing the same file: one that takes it up would put another in its place."""
    from filelock import FileLock, Timeout

    with contextlib.ExitStack() as stack:
        if output is not None:
            name = hashlib.sha256(os.fsencode(os.path.realpath(output))).hexdigest()[:32]
            file = default_cache() / "batches" / f"{name}.lock"
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(file, timeout=0))
            except Timeout as error:
                raise AnswersError(
                    f"{output} is being written by another rag batch", hint="choose another with: -o FILE"
                ) from error
            except OSError as error:  # without a cache nothing is kept apart
                logger.info("%s is not kept apart from other runs: %s", output, error)
        yield


@contextlib.contextmanager
def _lines(output: Path | None, *, kind: Kind, emit: Callable[[str], object]) -> Iterator[Callable[[bytes], None]]:
    """Give what takes a line, and has it kept when it returns."""
    if output is None:
        yield lambda line: (emit(line.decode()), None)[1]
        return
    with contextlib.ExitStack() as stack:
        with _writing(output):
            file = stack.enter_context(output.open("ab"))

        def append(line: bytes) -> None:
            with _writing(output):
                file.write(line)
                file.flush()
                os.fsync(file.fileno())

        if file.tell() == 0:
            append(answer_files.head(kind))
        yield append


_NOT_IN_SET = "to questions that are not in the set, left out"


def _take_up(output: Path, kind: Kind, rows: Sequence[Row], *, stamp: Mapping[str, str], notify: Notify) -> _Kept:
    """Clear an answer file of all but the answers that still hold, and return these."""
    with _writing(output):
        content = output.read_bytes() if output.exists() else b""
    if not content:
        return _Kept({}, in_order=True)
    expected = {row.id: row.question.question for row in rows if isinstance(row, Topic)}
    known = {row.id for row in rows}
    lines: dict[str, bytes] = {}
    outcomes: dict[str, str] = {}
    dropped: Counter[str] = Counter()
    for line, record in _records(content, kind, output):
        why = _why_dropped(record, expected=expected, known=known, stamp=stamp)
        if why is None and (row_id := str(record["id"])) not in lines:
            lines[row_id], outcomes[row_id] = line, _outcome(record)
        elif why is not None:
            dropped[why] += 1
    if not lines and dropped.keys() == {_NOT_IN_SET}:
        raise AnswersError(
            f"{output} is there already, and holds answers to other questions alone",
            hint="choose another with: -o FILE",
        )
    wanted = answer_files.head(kind) + b"".join(lines.values())
    if wanted != content:
        _replace(output, wanted)
    if lines:
        notify(f"{output} holds {len(lines)} of {len(rows)} answers already")
    for why, count in sorted(dropped.items()):
        notify(f"{output}: answers {why}: {count}")
    return _Kept(outcomes, in_order=list(lines) == [row.id for row in rows[: len(lines)]])


def _records(content: bytes, kind: Kind, output: Path) -> Iterator[tuple[bytes, Mapping[str, object]]]:
    """Yield the finished lines of an answer file with their records; what cannot be read has an empty one.

    Raises:
        AnswersError: the file begins with something else than an answer.
    """
    start = answer_files.head(kind) or f'{{"schema": "{answer_files.SCHEMA}"'.encode()
    begins_well = content[: len(start)] == start[: len(content)]
    for place, line in enumerate(answer_files.split_lines(content.removeprefix(answer_files.head(kind)), kind=kind)):
        record: Mapping[str, object] = {}
        with contextlib.suppress(ValueError):
            record = answer_files.from_line(line, kind=kind)
        if place == 0 and not record and not begins_well:
            break
        if line.endswith(b"\n"):
            yield line, record
    else:
        return
    raise AnswersError(
        f"{output} is there already, and holds something else than answers", hint="choose another with: -o FILE"
    )


def _why_dropped(
    record: Mapping[str, object], *, expected: Mapping[str, str], known: set[str], stamp: Mapping[str, str]
) -> str | None:
    if not record:
        return "that cannot be read, answered again"
    row_id = record.get("id")
    if not isinstance(row_id, str) or row_id not in known:
        return _NOT_IN_SET
    if record.get("error") is not None:
        return "that failed, tried again"
    if record.get("question") != expected.get(row_id):
        return "to another question of the same id, answered again"
    if any(record.get(name) != value for name, value in stamp.items()):
        return "made with another index or other settings, answered again"
    return None


def _put_in_order(output: Path, kind: Kind, rows: Sequence[Row]) -> None:
    with _writing(output):
        content = output.read_bytes()
    lines = {str(record["id"]): line for line, record in _records(content, kind, output) if record}
    _replace(output, answer_files.head(kind) + b"".join(lines[row.id] for row in rows))


def _replace(output: Path, content: bytes) -> None:
    """Write a file anew: whoever is killed meanwhile leaves the old one or the new, never a part."""
    with _writing(output):
        write_output(output, content)


@contextlib.contextmanager
def _writing(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AnswersError(
            f"{output} cannot be written: {error.strerror}", hint="what was done is kept; choose another with: -o FILE"
        ) from error
