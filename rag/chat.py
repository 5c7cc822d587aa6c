"""A conversation: question after question over one open engine, follow-ups understood from the turns before.

Nothing of it is kept but what `/save` writes. What is typed comes in as lines, what is told goes out through three
functions, so that nothing here knows of a terminal.
"""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rag.answer_files import to_line
from rag.answering.casing import is_without_capitals, restore_capitals
from rag.answering.questions import names_nothing
from rag.conversation.antecedents import points_nowhere
from rag.conversation.followups import Understood, asks_nothing, understand
from rag.conversation.rewriting import with_rewritten
from rag.conversation.turns import Turn
from rag.engine import NOTHING_NAMED, Asked, Engine, Found, Tell, checked_filter
from rag.errors import AnswersError, ConfigError, QuestionError, RagError
from rag.index import ArticleFilter
from rag.outputs import write_output
from rag.pipeline import Slice
from rag.records import Answer
from rag.render import answer_record, error_text, escape

logger = logging.getLogger(__name__)

REMEMBERED = 8  # turns that a follow-up may go back to
HELP = """\
Type a question, or a follow-up to the one before: "Why?", "And in 2024?", "Did he agree?"
/sources         the last answer again, with its sources
/passages        the passages that it was looked for in
/open N          what stands around its citation N
/why             how passages are ranked for the last question
/filter [since=DATE] [until=DATE] [source=NAME] [language=CODE]
                 only such articles from now on; /filter alone: all of them
/reset           forget the conversation so far; so does /new
/save FILE       write the answers so far, for rag verify
/quit            leave; so does Ctrl-D. Ctrl-C drops what is typed or being answered, twice it leaves"""
_OPTIONS = ("since", "until", "source", "language")
NOTHING_BEFORE = (
    "there is no question before this one that it could refer to; ask first what it is about, as in: "
    '"Why did trade grow in 2023?"'
)
_AROUND = 400  # characters shown on either side of a quote


class Left(Exception):
    """The user leaves; `interrupted` if by Ctrl-C."""

    def __init__(self, *, interrupted: bool) -> None:
        super().__init__()
        self.interrupted = interrupted


class Conversation:
    """The turns over an open engine, and what was asked and answered in them."""

    def __init__(self, engine: Engine, *, wanted: ArticleFilter | None = None) -> None:
        self.engine = engine
        self.wanted = wanted
        self.answers: list[Answer] = []
        self.last: Asked | None = None
        self._turns: list[Turn] = []
        self._rewrites = engine.rewrites

    def understand(self, question: str) -> Understood:
        """Return what a question means after the turns before it: by a model's rewriting, or else by rules."""
        cased = self._with_capitals(question) if self._turns else question
        understood = understand(cased, self._turns)
        if understood.question == cased:
            return Understood(question, question if understood.query == cased else understood.query)
        if not self._rewrites:
            logger.info("made whole by rules")
            return understood
        rewritten = self.engine.rewrite(question, self._turns)
        if rewritten.question is None:
            logger.info("made whole by rules, for what the model wrote is not taken: %s", rewritten.refused)
            return understood
        logger.info("made whole by the model")
        return with_rewritten(understood, rewritten.question, self._turns)

    def _with_capitals(self, question: str) -> str:
        """Return a question typed small with the capitals of what was found for the last one and would be for it."""
        if not is_without_capitals(question):
            return question
        found = self.engine.search(question, wanted=self.wanted).ranking.texts
        return restore_capitals(question, [*(self.last.texts.values() if self.last else ()), *found.values()])

    def pointing_nowhere(self, question: str) -> str | None:
        """Return the pronoun of a first question that stands for nobody, if it names anything besides to look for."""
        return None if self._turns or names_nothing(question) else points_nowhere(question)

    def ask(
        self,
        question: str,
        understood: Understood,
        *,
        note: Callable[[str], object] = lambda _meant: None,
        tell: Tell | None = None,
    ) -> Asked:
        """Return the answer to a question that was understood so, and remember both.

        A question that may as well stand alone is looked up both ways; the more confident answer is given, the one to
        the question as it was typed if they are alike. `note` is given what it was taken for, if that is not what was
        typed, before `tell` is given the first claim that a model writes.
        """
        begun = self.engine.begin(understood.question, query=understood.query, wanted=self.wanted)
        query = understood.query
        leans = understood.question != question
        if leans and not understood.sure:
            plain = self.engine.begin(question, wanted=self.wanted)
            if plain.asked.answer.confidence >= begun.asked.answer.confidence:
                begun, query, leans = plain, question, False
        self.searched = query, self.wanted
        number = str(len(self.answers) + 1)
        meant = understood.question if leans else None
        if meant is not None:
            note(meant)
        asked = self.engine.finish(begun, self.engine.write(begun), tell=tell)
        asked = replace(asked, answer=replace(asked.answer, id=number, question=question, understood=meant))
        if asked.answer.reason == NOTHING_NAMED:
            if not self._turns:
                asked = replace(asked, answer=replace(asked.answer, reason=NOTHING_BEFORE))
            self.answers.append(asked.answer)
            self.last = asked
            return asked  # a later turn can lean on no such question
        self.answers.append(asked.answer)
        self.last = asked
        evidence = tuple(citation.quote for citation in asked.answer.citations)
        topic = restore_capitals(understood.question if understood.sure else question, asked.texts.values())
        self._turns = [*self._turns, Turn(topic, evidence, asked.answer.short_answer)][-REMEMBERED:]
        return asked

    def forget(self) -> None:
        """Begin anew: what comes next is understood without what came before. The answers can still be saved."""
        self._turns.clear()
        self.last = None


@dataclass(frozen=True, slots=True)
class Showing:
    """How a conversation is shown: results as text, `emit` for data, `tell` beside it, `note` if it may be left out.

    `claim` is given each claim that a model writes before the answer is, and `break_off` ends these where none comes.
    """

    answer: Callable[[Asked], str]
    passages: Callable[[Asked], str]
    explained: Callable[[Found], str]
    piece: Callable[[Slice], str]
    emit: Callable[[str], object]
    tell: Callable[[str], object]
    note: Callable[[str], object]
    claim: Tell = lambda _passed: None
    break_off: Callable[[], object] = lambda: None


# What people type who are used to other programs; none of it is a question.
_LEAVING = frozenset({"exit", "quit", ":q"})


class Talk:
    """Takes a line at a time: a question is answered, a line that begins with / is a command."""

    def __init__(self, conversation: Conversation, showing: Showing) -> None:
        self.showing = showing
        self._conversation = conversation
        self._saved: set[Path] = set()
        self._commands: dict[str, Callable[[str], object]] = {
            "help": lambda _: showing.tell(HELP),
            "sources": lambda _: showing.emit(showing.answer(self._last())),
            "passages": lambda _: showing.emit(showing.passages(self._last())),
            "why": lambda _: showing.emit(showing.explained(self._explained())),
            "open": self._open,
            "filter": self._filter,
            "new": lambda _: self._forget(),
            "reset": lambda _: self._forget(),
            "save": self._save,
            "quit": self._quit,
            "exit": self._quit,
        }
        self.failed = 0

    def take(self, line: str) -> None:
        """Answer a question or obey a command; the user's mistakes are told, and the conversation goes on.

        Raises:
            Left: the command was to leave.
        """
        line = line.strip()
        if not line:
            return
        try:
            if line.lower() in _LEAVING:
                self._quit("")
            elif line.startswith("/"):
                self._obey(line)
            else:
                self._ask(line)
        except RagError as error:
            self.failed += 1
            self.showing.tell(error_text(error))

    def _ask(self, question: str) -> None:
        if asks_nothing(question):
            self.showing.note("nothing was asked; type a question, or /help")
            return
        understood = self._conversation.understand(question)
        if (pronoun := self._conversation.pointing_nowhere(question)) is not None:
            self.showing.note(f"there is no question before this one that “{pronoun}” could refer to")
        try:
            asked = self._conversation.ask(question, understood, note=self._note, tell=self.showing.claim)
        except BaseException:
            self.showing.break_off()
            raise
        self.showing.emit(self.showing.answer(asked))

    def _note(self, meant: str) -> None:
        self.showing.note(f"understood as: {escape(meant)}")

    def _obey(self, line: str) -> None:
        name, _, rest = line[1:].partition(" ")
        command = self._commands.get(name.lower())
        if command is None:
            raise QuestionError(f"there is no command /{name}", hint="see what there is with: /help")
        command(rest.strip())

    def _last(self) -> Asked:
        if self._conversation.last is None:
            raise QuestionError("nothing was asked yet", hint="ask a question first")
        return self._conversation.last

    def _explained(self) -> Found:
        self._last()
        query, wanted = self._conversation.searched
        return self._conversation.engine.search(query, wanted=wanted, explain=True)

    def _open(self, rest: str) -> None:
        citations = self._last().answer.citations
        if not rest.isdecimal() or not 1 <= int(rest) <= len(citations):
            there = f"the last answer cites 1 to {len(citations)}" if citations else "the last answer cites nothing"
            raise QuestionError(f"/open takes the number of a citation, got {rest!r}", hint=there)
        citation = citations[int(rest) - 1]
        article = self._last().articles[citation.article]
        start, end = around(article.text, citation.start, citation.end)
        self.showing.emit(self.showing.piece(Slice(article, start, end)))

    def _filter(self, rest: str) -> None:
        chosen: dict[str, str] = {}
        for part in _parts(rest):
            name, sign, value = part.partition("=")
            if not sign or name not in _OPTIONS or not value:
                raise QuestionError(f"/filter does not take {part!r}", hint=f"it takes {'=…, '.join(_OPTIONS)}=…")
            chosen[name] = value
        try:
            self._conversation.wanted = checked_filter(ArticleFilter(**{name: chosen.get(name) for name in _OPTIONS}))
        except ConfigError as error:
            error.hint = "for example: /filter since=2023-11"
            raise
        told = ", ".join(f"{name} {value}" for name, value in chosen.items())
        self.showing.tell(f"only articles with: {told}" if told else "all articles")

    def _forget(self) -> None:
        self._conversation.forget()
        self.showing.tell("forgotten; the next question stands alone")

    def _save(self, rest: str) -> None:
        answers = self._conversation.answers
        if not rest or not answers:
            raise QuestionError(
                "nothing to save" if rest else "/save takes a file", hint="for example: /save talk.jsonl"
            )
        file = Path(" ".join(_parts(rest))).expanduser()
        if file.exists() and file.absolute() not in self._saved:
            raise AnswersError(f"{file} is there already", hint="choose another: /save FILE")
        try:
            write_output(file, b"".join(to_line(answer_record(answer), kind="jsonl") for answer in answers))
        except OSError as error:
            raise AnswersError(
                f"{file} cannot be written: {error.strerror}", hint="choose another: /save FILE"
            ) from error
        self._saved.add(file.absolute())
        self.showing.tell(f"{len(answers)} {'answer' if len(answers) == 1 else 'answers'} in {file}")

    def _quit(self, _rest: str) -> None:
        raise Left(interrupted=False)


def converse(talk: Talk, *, read: Callable[[], str]) -> None:
    """Take lines until there are none: `read` returns the next one, or raises EOFError.

    An interruption drops the line that is being typed or answered; a second one, with no line taken between, leaves.

    Raises:
        Left: by a command, or by Ctrl-C.
    """
    interrupted = False
    while True:
        try:
            line = read()
            talk.take(line)
            interrupted = interrupted and not line.strip()
        except EOFError:
            return
        except KeyboardInterrupt:
            if interrupted:
                raise Left(interrupted=True) from None
            interrupted = True
            talk.showing.tell("dropped; Ctrl-C again leaves")


def around(text: str, start: int, end: int) -> tuple[int, int]:
    """Return where what is shown of a text around a place starts and ends: no word is cut, where there are gaps."""
    first, last = max(0, start - _AROUND), min(len(text), end + _AROUND)
    if first and (gap := re.search(r"\s+", text[first:start])):
        first += gap.end()
    if last < len(text) and (gaps := list(re.finditer(r"\s+", text[end:last]))):
        last = end + gaps[-1].start()
    return first, last


def _parts(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an apostrophe is no open quotation
        return re.split(r"\s+", text)
