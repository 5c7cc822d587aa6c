"""The README's blocks that show what the program prints or knows: each is made anew by running it.

    python -m benchmarks.readme              write them (make readme)
    python -m benchmarks.readme --check      only name those that are out of date; exit code 1 if there are any

A block stands under a comment that says what makes it:

    <!-- rag ask --help -->                  what a command prints; the block is a fenced one
    <!-- make ask Q="…" -->                  the same as `rag ask "…"`
    <!-- rag ask "…" (exit code 3) -->       the command must end with this code, which is shown too
    <!-- rag chat < talk.txt -->             the file is the command's standard input
    <!-- settings -->, <!-- measures -->     a table; the block ends with the table

Commands run one after another in a folder of their own, which holds this repository's `config.yaml` and `seeds/`, an
index over them, `questions.txt` and `talk.txt`, on a terminal of 80 columns without colour.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from rag.cli import main as run_in_process
from rag.config import leaves
from rag.evaluation.measures import ANSWER_MEASURES

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
QUESTIONS = """\
How many new enterprises did Japan establish in China in 2023?
Why did China ban Japanese seafood?
How much did Japan pay for the 2025 Osaka Expo?
"""
TALK = """\
When did Beijing ban Japanese seafood?
Why?
How did Tokyo react to that ban?
Which analyst says that China does not reverse such decisions quickly?
What does he call the ban?
What does he expect Asian countries to do?
"""
# Stands for the folder that the commands ran in.
_SHOWN_FOLDER = "/home/you/rag"
_BLOCK = re.compile(
    r"^<!-- (?P<source>[^\n]+?)(?: \(exit code (?P<code>\d+)\))? -->\n(?P<body>```.*?^```\n|(?:\|[^\n]*\n)+)",
    re.MULTILINE | re.DOTALL,
)
_TERMINAL = {"COLUMNS": "80", "NO_COLOR": "1"}
_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00|(?:(?<=\"total\": )|(?<=\"retrieve\": )|(?<=\"answer\": ))[\d.]+"
)
_STAGE = re.compile(r"^[a-z]+: (\d+) of \1\b.*\n", re.MULTILINE)
_FRACTION = re.compile(r"(\d+\.\d+)")
_TOLERANCE = 0.02


class BlockError(Exception):
    """A block whose command ended otherwise than the README says."""


@dataclass(frozen=True, slots=True)
class Block:
    """A generated part of the README: what makes it, the exit code that it shows, and the text that stands there."""

    source: str
    code: int
    body: str

    @property
    def is_help(self) -> bool:
        """Tell whether the block is a command's help, which needs no model and no index."""
        return self.source.endswith("--help")

    @property
    def is_table(self) -> bool:
        """Tell whether the block is a table of what the code knows."""
        return self.source in TABLES


def blocks(text: str) -> list[Block]:
    """Return the generated blocks of a text, in order."""
    return [_block(match) for match in _BLOCK.finditer(text)]


def render(block: Block, *, folder: Path) -> str:
    """Return what should stand in a block; commands run in `folder`.

    Raises:
        BlockError: the command did not end with the block's exit code.
    """
    if block.is_table:
        return TABLES[block.source]()
    output = _output(block, folder=folder).replace(str(folder), _SHOWN_FOLDER).rstrip("\n")
    if block.is_help:
        return f"```text\n{output}\n```\n"
    code = f"\n$ echo $?\n{block.code}" if block.code else ""
    return f"```console\n$ {block.source}\n{output}{code}\n```\n"


def same(one: str, other: str) -> bool:
    """Tell whether two blocks say the same, but for times, and for digits that another processor rounds otherwise.

    A stage is told once it has taken a second, so on a busy machine more of them are.
    """
    ours, theirs = (_FRACTION.split(_TIME.sub("TIME", _STAGE.sub("", text))) for text in (one, other))
    return (
        len(ours) == len(theirs)
        and ours[::2] == theirs[::2]
        and all(abs(float(a) - float(b)) <= _TOLERANCE + 1e-9 for a, b in zip(ours[1::2], theirs[1::2], strict=True))
    )


@contextmanager
def example_folder() -> Iterator[Path]:
    """Give a folder with the shipped articles, settings and a question set, for commands to run in."""
    with tempfile.TemporaryDirectory(prefix="rag-readme-") as name:
        folder = Path(name).resolve()
        shutil.copy(ROOT / "config.yaml", folder)
        shutil.copytree(ROOT / "seeds", folder / "seeds")
        (folder / "questions.txt").write_text(QUESTIONS, encoding="utf-8")
        (folder / "talk.txt").write_text(TALK, encoding="utf-8")
        yield folder


def build_example_index(folder: Path) -> None:
    """Index the shipped articles, so that no example shows how that is done by the way."""
    _run(["index", "--quiet"], folder=folder, expected=0)


def _settings_table() -> str:
    rows = [
        [f"`{leaf.key}`", f"`{leaf.text(leaf.default)}`", leaf.expected(), leaf.about] for leaf in leaves().values()
    ]
    return _table(["setting", "default", "takes", "about"], rows)


def _measures_table() -> str:
    return _table(["measure", "of one question"], [[f"`{name}`", about] for name, about in ANSWER_MEASURES.items()])


def _table(headers: list[str], rows: list[list[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


TABLES: Mapping[str, Callable[[], str]] = {"settings": _settings_table, "measures": _measures_table}


def _block(match: re.Match[str]) -> Block:
    return Block(source=match["source"], code=int(match["code"] or 0), body=match["body"])


def _output(block: Block, *, folder: Path) -> str:
    command, _, filtered = block.source.partition(" | ")
    command, _, typed = command.partition(" < ")
    program, *arguments = shlex.split(command)
    if program == "cat":
        return "".join((folder / name).read_text(encoding="utf-8") for name in arguments)
    if program == "make":
        target, question = arguments
        if target != "ask":
            raise BlockError(f"{block.source}: of make only the target ask is run")
        arguments = ["ask", question.removeprefix("Q=")]
    elif program != "rag":
        raise BlockError(f"{block.source}: only rag, make ask and cat are run")
    if block.is_help:
        return _help(arguments)
    typed = (folder / typed).read_text(encoding="utf-8") if typed else ""
    output = _run(arguments, folder=folder, expected=block.code, with_notices=not filtered, typed=typed)
    if filtered == "jq":
        return json.dumps(json.loads(output), ensure_ascii=False, indent=2)
    if filtered:
        raise BlockError(f"{block.source}: of filters only jq is known")
    return output


def _help(arguments: list[str]) -> str:
    # Help is the same in every process, and starting one for each verb takes the longest.
    with mock.patch.dict(os.environ, _TERMINAL), redirect_stdout(io.StringIO()) as output:
        code = run_in_process(arguments)
    if code:
        raise BlockError(f"{shlex.join(['rag', *arguments])}: ended with exit code {code}, not 0")
    return output.getvalue()


def _run(arguments: list[str], *, folder: Path, expected: int, with_notices: bool = True, typed: str = "") -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAG_") or name == "RAG_CACHE"}
    environment = kept | {
        **_TERMINAL,
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "XDG_CONFIG_HOME": str(folder / "no-user-settings"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "rag", *arguments],
        cwd=folder,
        env=environment,
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if with_notices else subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != expected:
        told = "\n".join(f"    {line}" for line in (done.stdout + (done.stderr or "")).splitlines())
        command = shlex.join(["rag", *arguments])
        raise BlockError(f"{command}: ended with exit code {done.returncode}, not {expected}, and printed\n{told}")
    return done.stdout


def main(arguments: list[str]) -> int:
    """Write the blocks anew, or with `--check` only compare them; return 1 if one is wrong or could not be made."""
    check = arguments == ["--check"]
    if arguments and not check:
        print(__doc__, file=sys.stderr)
        return 2
    text = README.read_text(encoding="utf-8")
    wrong = 0
    with example_folder() as folder:
        build_example_index(folder)

        def renewed(match: re.Match[str]) -> str:
            nonlocal wrong
            block = _block(match)
            try:
                made = render(block, folder=folder)
            except BlockError as error:
                wrong += 1
                print(f"left as it is: {error}", file=sys.stderr)
                return match[0]
            if block.body == made or (not block.is_table and same(block.body, made)):
                return match[0]
            print(f"{'out of date' if check else 'written'}: {block.source}")
            wrong += check
            return match[0].removesuffix(match["body"]) + made

        renewed_text = _BLOCK.sub(renewed, text)
    if not check:
        README.write_text(renewed_text, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
