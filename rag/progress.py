"""How far a long piece of work is: a bar with the time left on a terminal, now and then a line elsewhere; on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Notify = Callable[[str], None]

_SHOWN_AFTER_S = 1.0
# Off a terminal: often enough to see that it goes on, seldom enough for the log of a night.
_TOLD_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Reporting:
    """Where a long piece of work tells how far it is: `notify` a line, `progress` a stage with its counts.

    `note` is told, before `progress`, what came of the steps that are done. `finish` ends the stages so far.
    """

    notify: Notify = lambda _line: None
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None
    note: Notify = lambda _text: None
    finish: Callable[[], object] = lambda: None


SILENT = Reporting()


class StageProgress:
    """Shows stages ("reading", "encoding") with their counts, once the work has taken a second."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._begun: dict[str, tuple[float, int]] = {}
        self._told = self._started
        self._note = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def finish(self) -> None:
        """Take the bar away: what is printed next would be drawn over."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None
        self._tasks.clear()

    def notify(self, line: str) -> None:
        """Show a line of its own; what it names, such as a folder or a question's id, cannot move the cursor."""
        if self._quiet:
            return
        from rag.render import escape

        line = escape(line)
        with contextlib.suppress(OSError):  # nobody reads it any more, which must not end the work
            if self._bar is not None:
                # Printed past the bar, a line would be drawn over.
                self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                print(line, file=sys.stderr, flush=True)  # noqa: T201 - the one place that reports while work goes on

    def note(self, text: str) -> None:
        """Show a text beside the bar, from the next step on: what came of the steps that are done."""
        self._note = text

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of a stage are done."""
        if self._quiet or total == 0:
            return
        if not self._terminal:
            self._tell(stage, done, total)
            return
        if self._bar is None and time.monotonic() - self._started > _SHOWN_AFTER_S:
            self._bar = _bar()
            self._bar.start()
        if self._bar is not None:
            if stage not in self._tasks:
                self._tasks[stage] = self._bar.add_task(stage, total=total, note=self._note)
            self._bar.update(self._tasks[stage], completed=done, total=total, note=self._note)

    def _tell(self, stage: str, done: int, total: int) -> None:
        """Write a line when a stage that took its time is done, and on the way as long as it takes."""
        now = time.monotonic()
        begun, first = self._begun.setdefault(stage, (now, done))
        took = now - begun
        if done == total:
            self._told = now
            del self._begun[stage]  # the next one of that name is another
            # What came of the steps is told by whoever noted it, bar or no bar.
            if not self._note and took > _SHOWN_AFTER_S:
                self.notify(f"{stage}: {done} of {total}{_pace(total, took)}")
        elif now - self._told > _TOLD_EVERY_S and done > first:
            self._told = now
            left = timedelta(seconds=round((total - done) * took / (done - first)))
            self.notify(f"{stage}: {done} of {total}, {left} left" + (f"; {self._note}" if self._note else ""))


def _pace(steps: int, seconds: float) -> str:
    each = f"{steps / seconds:.0f} per second" if steps >= seconds else f"{seconds / steps:.1f} s each"
    return f" in {seconds:.0f} s, {each}"


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class _Rate(ProgressColumn):
        """How many steps a second are made."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.0f}/s" if task.speed else "", style="progress.data.speed")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
