"""A line typed at a terminal: edited as in a shell, by the keys of readline, with what was typed before at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import AnswersError

if TYPE_CHECKING:
    from prompt_toolkit.history import History
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output

PROMPT = "> "


def line_reader(
    *, save: Path | None = None, keys: Input | None = None, screen: Output | None = None
) -> Callable[[], str]:
    """Return what reads the next line; what was typed is kept in memory, and in the file `save` if one is named.

    What it returns raises EOFError for Ctrl-D on an empty line and KeyboardInterrupt for Ctrl-C. `keys` and `screen`
    stand for the terminal's own.

    Raises:
        AnswersError: the file cannot be written.
    """
    from prompt_toolkit import PromptSession

    session: PromptSession[str] = PromptSession(
        PROMPT,
        history=_history(save),
        input=keys,
        output=screen,
        reserve_space_for_menu=0,  # nothing is completed, so a prompt in the last line need not scroll
    )
    return lambda: " ".join(session.prompt().splitlines())  # what is pasted may go over several lines


def _history(save: Path | None) -> History:
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    if save is None:
        return InMemoryHistory()
    try:
        # Questions may be private: a new file is for its owner alone.
        os.close(os.open(save, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError as error:
        raise AnswersError(
            f"{save} cannot be written: {error.strerror}", hint="choose another with: rag chat --save FILE"
        ) from error
    return FileHistory(save)
