"""Every setting, its default and its range, each value with the place it came from.

A setting is a field of one of the records below and nothing else: its type, range, choices and help stand there, and
the file, the environment and the flags are read by them. A new section is a new record and a field of `Config`.

A value is taken from the first of: flag, environment (`RAG_RETRIEVAL_K`), project file, user file, default.
"""

from __future__ import annotations

import difflib
import functools
import json
import math
import os
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn, TypeVar

from rag.errors import ConfigError

if TYPE_CHECKING:
    import yaml

FILE_NAME = "config.yaml"
PREFIX = "RAG_"
SECRETS = frozenset({"RAG_ENDPOINT_KEY"})  # variables that look like settings, and stand in no file

Value = bool | int | float | str | tuple[str, ...] | None
T = TypeVar("T")


def setting(default: T, *, about: str, low: float | None = None, high: float | None = None) -> T:
    """Return a field with this default, what it is about, and its range, ends included."""
    made: T = field(default=default, metadata={"about": about, "low": low, "high": high})
    return made


@dataclass(frozen=True, slots=True)
class Encoder:
    """The model that turns questions and passages into vectors."""

    model: str = setting("all-MiniLM-L6-v2", about="a sentence-transformers model: its name, its folder or its hub id")
    query_prompt: str | None = setting(None, about="put before a question; null: what the model asks for")
    passage_prompt: str | None = setting(None, about="put before a passage; null: what the model asks for")
    max_tokens: int | None = setting(None, low=16, high=32768, about="longest input; null: what the model was made for")
    backend: Literal["auto", "onnx-fp32", "onnx-int8", "torch-bf16", "cuda-bf16"] = setting(
        "auto", about="what encodes the passages of a new index; auto: of large ones, the quickest here that is near"
    )


@dataclass(frozen=True, slots=True)
class Passages:
    """How articles are cut."""

    max_tokens: int = setting(200, low=16, high=8192, about="longest passage, in the encoder's tokens")
    overlap_sentences: int = setting(1, low=0, high=10, about="sentences that a passage repeats from the one before")


@dataclass(frozen=True, slots=True)
class Building:
    """How the index is built."""

    # Lower ones cannot be relied on: libraries and Python take some 50 of it, whatever is built.
    memory_mb: int = setting(
        512,
        low=96,
        high=1_048_576,
        about="what a build holds at most, beside the encoder; libraries take some 50 of it",
    )
    lists_from: int = setting(
        50_000,
        low=1000,
        high=1_000_000_000,
        about="from so many passages on, search lists of near ones if quicker",
    )
    int8_from: int = setting(
        4000,
        low=1,
        high=1_000_000_000,
        about="from so many passages on, encoder.backend auto takes the quickest here that is near",
    )


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How passages are found and ranked."""

    k: int = setting(8, low=1, high=1000, about="passages that are found; of these, reader.passages are read at most")
    candidates: int = setting(100, low=1, high=100_000, about="passages that each ranking hands to the fusion")
    fusion: Literal["minmax", "rrf"] = setting("minmax", about="minmax: weighted scores; rrf: reciprocal ranks")
    dense_weight: float = setting(0.5, low=0, high=1, about="of meaning against words in minmax: 0 words, 1 meaning")
    dense_weight_unspaced: float = setting(
        0.1, low=0, high=1, about="the same for questions in Chinese or Japanese; raise it if the encoder knows them"
    )
    rrf_k: int = setting(60, low=1, high=10_000, about="constant of reciprocal rank fusion")
    k1: float = setting(0.9, low=0, high=10, about="BM25: how soon a repeated word stops to count")
    b: float = setting(0.4, low=0, high=1, about="BM25: how much a long passage is held against it")
    duplicate_similarity: float = setting(0.8, low=0, high=1, about="passages this alike are shown once")


@dataclass(frozen=True, slots=True)
class Reader:
    """The model that reads passages and points at the answer."""

    model: str = setting(
        "shipped", about="shipped: the one that comes with rag; none: compare instead; or a folder or hub id"
    )
    calibration: str | None = setting(None, about="file that training.answerer fitted to it; null: the one that ships")
    passages: int = setting(8, low=1, high=100, about="of the passages found, how many are read")
    share: float = setting(0.7, low=0, high=1, about="a further passage is read if it scores this share of the nearest")
    sentences: int = setting(6, low=1, high=200, about="of their sentences, how many are read again by themselves")
    budget_tokens: int = setting(
        2000, low=16, high=1_000_000, about="of all that, only what fits in so many tokens, best first"
    )
    budget_ms: int | None = setting(
        None, low=1, high=600_000, about="and only what this machine reads in so many milliseconds; null: no such bound"
    )


@dataclass(frozen=True, slots=True)
class Answering:
    """How an answer is made of the passages."""

    max_sentences: int = setting(4, low=1, high=20, about="longest answer")
    share: float = setting(0.6, low=0, high=1, about="a further sentence needs this share of the best one's score")
    min_confidence: float = setting(0.1824, low=0, high=1, about="below it, the articles do not hold the answer")
    keep_unsupported: bool = setting(
        default=False, about="show, marked, what a model wrote and the articles do not bear out"
    )


@dataclass(frozen=True, slots=True)
class Writer:
    """A model that writes in this process."""

    model: str = setting("smollm2-135m", about="a model of rag models, a folder, a .gguf file, or a hub id")
    device: Literal["auto", "cpu", "cuda"] = setting("auto", about="where it runs; auto: on a GPU if there is one")
    dtype: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", about="what it computes in; auto: what is quick here"
    )
    max_tokens: int = setting(160, low=16, high=8192, about="longest text that it writes")
    prompt: Literal["auto", "short", "bare", "long"] = setting(
        "auto", about="short: examples and the best evidence; bare: no examples; auto: short below a billion weights"
    )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model behind HTTP that speaks OpenAI's chat completions; its key is in RAG_ENDPOINT_KEY alone."""

    url: str | None = setting(None, about="base URL of a model behind HTTP, as http://localhost:11434/v1")
    model: str | None = setting(None, about="the model's name there")
    timeout_s: float = setting(60.0, low=0.1, high=3600, about="seconds that it may be silent")
    retries: int = setting(3, low=0, high=10, about="tries after one that failed, each after a longer wait")
    max_tokens: int = setting(400, low=16, high=8192, about="longest text that it writes")
    context_tokens: int = setting(4096, low=512, high=262_144, about="what it can read and write together")


@dataclass(frozen=True, slots=True)
class Chat:
    """How a conversation goes on."""

    rewriter: Literal["auto", "rules", "writer"] = setting(
        "auto", about="who makes follow-ups whole; auto: the model that writes, if it is not small, else rules"
    )


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as it is in force: `text` is how its value is typed after `--set KEY=`."""

    key: str
    value: Value
    origin: str
    about: str

    @property
    def text(self) -> str:
        """Return the value as `--set` and the environment take it."""
        return value_text(self.key, self.value)


@dataclass(frozen=True, slots=True)
class Config:
    """All settings.

    `origins` names the place that each setting outside its default came from, `folders` the folder that its relative
    paths start at; at their default, they start at `folder`: the project file's, else the working directory.
    """

    articles: tuple[str, ...] = setting(("seeds",), about="files and folders that rag index reads")
    index: str = setting("index", about="folder of the built index")
    answerer: Literal["quotes", "writer", "endpoint"] = setting(
        "quotes", about="quotes: the articles' sentences; writer, endpoint: a model here or behind HTTP, and checked"
    )
    threads: int = setting(0, low=0, high=1024, about="processor cores to use; 0: all")
    encoder: Encoder = field(default_factory=Encoder)
    passages: Passages = field(default_factory=Passages)
    building: Building = field(default_factory=Building)
    retrieval: Retrieval = field(default_factory=Retrieval)
    reader: Reader = field(default_factory=Reader)
    answer: Answering = field(default_factory=Answering)
    writer: Writer = field(default_factory=Writer)
    endpoint: Endpoint = field(default_factory=Endpoint)
    chat: Chat = field(default_factory=Chat)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    folders: Mapping[str, Path] = field(default_factory=dict, compare=False, repr=False)
    folder: Path = field(default=Path(), compare=False, repr=False)

    def origin(self, key: str) -> str:
        """Return the place a setting's value came from: a flag, a variable, a file or `default`.

        Raises:
            ConfigError: there is no such setting.
        """
        return self.origins.get(known_key(key, where="settings"), "default")

    def value(self, key: str) -> Value:
        """Return a setting's value by its dotted key.

        Raises:
            ConfigError: there is no such setting.
        """
        holder: object = self
        for name in known_key(key, where="settings").split("."):
            holder = getattr(holder, name)
        return typing.cast("Value", holder)

    def settings(self) -> list[Setting]:
        """Return every setting, in the order of `config.yaml`."""
        return [Setting(key, self.value(key), self.origin(key), leaf.about) for key, leaf in leaves().items()]

    def article_paths(self) -> list[Path]:
        """Return the files and folders to index, each from the folder that its value was given in."""
        return [self._path("articles", name) for name in self.articles]

    def index_folder(self) -> Path:
        """Return the folder of the built index, from the folder that its value was given in."""
        return self._path("index", self.index)

    def calibration_file(self) -> Path | None:
        """Return the file of the reader's calibration, from the folder that its value was given in; None: the own."""
        name = self.reader.calibration
        return None if name is None else self._path("reader.calibration", name)

    def _path(self, key: str, name: str) -> Path:
        return self.folders.get(key, self.folder) / Path(name).expanduser()


def load_config(
    *,
    file: Path | None,
    overrides: Mapping[str, str],
    environment: Mapping[str, str],
    cwd: Path,
    flags: Mapping[str, str] = types.MappingProxyType({}),
) -> Config:
    """Return all settings, each from the first place that has it.

    The places are overrides, environment, project file, user file, default. The project file is `file`, else the
    `config.yaml` in `cwd` or the nearest folder above it. `overrides` are texts by dotted key, from `--set` or from the
    flag that `flags` names for the key. A variable that is set to nothing does not count. A relative path starts at the
    folder of the file it stands in, else at `cwd`.

    Raises:
        ConfigError: a setting does not exist or has a wrong value, or a file cannot be read; says where.
    """
    user = _user_file(environment)
    project = file if file is not None else _project_file(cwd)
    found: dict[str, tuple[Value, str, Path]] = {}
    # The weakest place first, so that each later one writes over it.
    for path in (user if user is not None and _is_file(user) else None, project):
        if path is not None:
            name = _shown(path, cwd=cwd) if path != file else str(file)
            for key, value in _read_file(cwd / path, name=name).items():
                found[key] = (value, name, (cwd / path).parent)
    for key, (value, variable) in _read_environment(environment).items():
        found[key] = (value, variable, cwd)
    for key, text in overrides.items():
        flag = flags.get(key, "--set")
        leaf = leaves()[known_key(key, where=flag)]
        found[key] = (leaf.parse(text, where=flag if key in flags else f"{flag} {key}"), flag, cwd)

    nested: dict[str, dict[str, Value]] = {}
    for key, (value, _, _) in found.items():
        section, _, name = key.rpartition(".")
        nested.setdefault(section, {})[name] = value
    # Values were parsed by their fields' types, which mypy cannot follow through the mapping.
    sections = {name: record(**nested.get(name, {})) for name, record in _sections().items()}
    return Config(
        **nested.get("", {}),  # type: ignore[arg-type]  # parsed by the fields' types, as above
        **sections,
        origins={key: origin for key, (_, origin, _) in found.items()},
        folders={key: folder for key, (_, _, folder) in found.items()},
        folder=(cwd / project).parent if project is not None else cwd,
    )


def known_key(key: str, *, where: str) -> str:
    """Return the key if it is a setting's.

    Raises:
        ConfigError: it is not; the hint names the setting that was probably meant.
    """
    if key in leaves():
        return key
    if key in _sections():
        names = ", ".join(f"{key}.{name}" for name in _section_names(key))
        raise ConfigError(f"{where}: {key} is a section, not a setting", hint=f"it holds {names}")
    raise ConfigError(f"{where}: there is no setting {key}", hint=_meant(key, list(leaves())))


def value_text(key: str, value: Value) -> str:
    """Return a value as `--set` and the environment take it: parsed again, it is the same."""
    return leaves()[known_key(key, where="settings")].text(value)


def default_file() -> str:
    """Return the text of a `config.yaml` that holds every setting at its default, with what it is about."""
    lines = [
        "# Every setting, at its default. What is left out here keeps it.",
        "# A flag beats the environment (RAG_RETRIEVAL_K=5), that beats this file, this the user's own file.",
        "# `rag config` shows what is in force and where it came from. Paths start at this file's folder.",
        "",
    ]
    section = ""
    for key, leaf in leaves().items():
        head, _, name = key.rpartition(".")
        if head != section:
            section = head
            lines += ["", f"# {(_sections()[head].__doc__ or '').strip()}", f"{head}:"]
        entry = f"{'  ' if head else ''}{name}: {leaf.yaml()}"
        lines.append(f"{entry:<34}  # {leaf.about}{leaf.bounds()}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a setting's field says of its values: the kind, whether null is one, the choices, the range."""

    key: str
    kind: type
    optional: bool
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    default: Value
    about: str

    def parse(self, text: str, *, where: str) -> Value:
        """Return the value that a text from a flag, a variable or an unquoted word of a file stands for.

        Raises:
            ConfigError: it stands for none; names `where` and what was expected.
        """
        if self.optional and text == "null":
            return None
        value: Value
        try:
            value = _PARSERS[self.kind](text)
        except ValueError as error:
            raise self.unexpected(text, where=where) from error
        return self.checked(value, text=text, where=where)

    def checked(self, value: Value, *, text: str, where: str) -> Value:
        """Return the value if it is one of the choices and in the range.

        Raises:
            ConfigError: it is not; names `where` and what was expected.
        """
        if self.choices and value not in self.choices:
            raise self.unexpected(text, where=where, hint=_meant(text, self.choices))
        if value in ("", ()) or (isinstance(value, tuple) and "" in value):
            raise self.unexpected(text, where=where)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            low = -math.inf if self.low is None else self.low
            high = math.inf if self.high is None else self.high
            if not (low <= value <= high and math.isfinite(value)):
                raise self.unexpected(text, where=where)
        return value

    def unexpected(self, got: str, *, where: str, hint: str | None = None) -> ConfigError:
        """Return the error that says what was expected instead of `got`."""
        shown = got if len(got) <= 60 else got[:60] + "…"  # noqa: PLR2004  # long enough to know it again
        return ConfigError(f"{where}: expected {self.expected()}, got {shown!r}", hint=hint)

    def expected(self) -> str:
        """Return the values that are allowed, in words."""
        words = " or ".join(self.choices) if self.choices else _NOUNS[self.kind]
        return words + self.range_words() + (" or null" if self.optional else "")

    def range_words(self) -> str:
        """Return the range in words, with a blank before it; nothing if there is none."""
        if self.low is None or self.high is None:
            return ""
        return f" from {self.low:,} to {self.high:,}"

    def bounds(self) -> str:
        """Return the choices or the range for a comment in `config.yaml`."""
        return f" ({self.range_words().strip()})" if self.low is not None else ""

    def text(self, value: Value) -> str:
        """Return the text that `parse` makes this value of."""
        if value is None:
            return "null"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, tuple):
            return ",".join(value) if _parse_names(",".join(value)) == value else json.dumps(value, ensure_ascii=False)
        if isinstance(value, str):
            plain = value != "null" and _parse_text(value) == value
            return value if plain else json.dumps(value, ensure_ascii=False)
        return repr(value)

    def yaml(self) -> str:
        """Return the default as `config.yaml` writes it."""
        if isinstance(self.default, tuple):
            return f"[{', '.join(self.default)}]"
        return self.text(self.default)


@functools.cache
def leaves() -> Mapping[str, Leaf]:
    """Return what is known of each setting, by its dotted key, in the order of `config.yaml`."""
    return {leaf.key: leaf for leaf in _leaves_of(Config, prefix="")}


def _leaves_of(record: type, *, prefix: str) -> Iterator[Leaf]:
    hints = typing.get_type_hints(record)
    nested = []
    for entry in fields(record):
        if is_dataclass(hints[entry.name]):
            nested.append(entry.name)
        elif "about" in entry.metadata:
            kind, optional, choices = _kind_of(hints[entry.name])
            yield Leaf(
                key=prefix + entry.name,
                kind=kind,
                optional=optional,
                choices=choices,
                low=entry.metadata["low"],
                high=entry.metadata["high"],
                default=typing.cast("Value", entry.default),
                about=entry.metadata["about"],
            )
    for name in nested:
        yield from _leaves_of(hints[name], prefix=f"{prefix}{name}.")


def _kind_of(hint: object) -> tuple[type, bool, tuple[str, ...]]:
    parts = [part for part in typing.get_args(hint) if part is not types.NoneType]
    if isinstance(hint, types.UnionType):
        kind, _, choices = _kind_of(parts[0])
        return kind, True, choices
    if typing.get_origin(hint) is Literal:
        return str, False, tuple(parts)
    if typing.get_origin(hint) is tuple:
        return tuple, False, ()
    if isinstance(hint, type) and hint in _PARSERS:
        return hint, False, ()
    raise TypeError(f"a setting cannot be {hint}")


@functools.cache
def _sections() -> Mapping[str, type]:
    hints = typing.get_type_hints(Config)
    return {entry.name: hints[entry.name] for entry in fields(Config) if is_dataclass(hints[entry.name])}


def _section_names(section: str) -> list[str]:
    return [key.removeprefix(f"{section}.") for key in leaves() if key.startswith(f"{section}.")]


def _meant(word: str, known: typing.Iterable[str]) -> str | None:
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if not close:
        # `k` for `retrieval.k`: the last part alone is what people remember.
        close = [name for name in known if name.rpartition(".")[2] == word.rpartition(".")[2]][:1]
    return f"did you mean {close[0]}?" if close else None


def _parse_bool(text: str) -> bool:
    if text.lower() in {"true", "yes", "on"}:
        return True
    if text.lower() in {"false", "no", "off"}:
        return False
    raise ValueError(f"neither true nor false: {text!r}")


def _parse_int(text: str) -> int:
    # int() alone takes underscores, blanks and any script's digits.
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(f"not a whole number: {text!r}")
    return int(text)


def _parse_float(text: str) -> float:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        raise ValueError(f"not a number: {text!r}")
    return float(text)


def _parse_text(text: str) -> str:
    if text.startswith('"'):
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            return text
        return str(value)
    return text


def _parse_names(text: str) -> tuple[str, ...]:
    if text.startswith("["):
        try:
            names = json.loads(text)
        except json.JSONDecodeError:
            names = None
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return tuple(names)
        if names is None and text.endswith("]"):  # as config.yaml has it: [seeds, ~/articles]
            return tuple(name.strip() for name in text[1:-1].split(","))
    return tuple(re.split(f"[,{re.escape(os.pathsep)}]", text))


_PARSERS: Mapping[type, typing.Callable[[str], Value]] = {
    bool: _parse_bool,
    int: _parse_int,
    float: _parse_float,
    str: _parse_text,
    tuple: _parse_names,
}
_NOUNS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "some text",
    tuple: "a list of names",
}


def _read_environment(environment: Mapping[str, str]) -> dict[str, tuple[Value, str]]:
    variables = {PREFIX + key.replace(".", "_").upper(): key for key in leaves()}
    prefixes = tuple(f"{PREFIX}{section.upper()}_" for section in _sections())
    found: dict[str, tuple[Value, str]] = {}
    for variable, text in sorted(environment.items()):
        if variable in variables and text:
            key = variables[variable]
            found[key] = (leaves()[key].parse(text, where=variable), variable)
        elif variable.startswith(prefixes) and variable not in variables and variable not in SECRETS:
            # Other RAG_ variables belong to other parts; these can only be misspelt settings.
            raise ConfigError(f"there is no setting for the variable {variable}", hint=_meant(variable, variables))
    return found


def _project_file(cwd: Path) -> Path | None:
    return next((folder / FILE_NAME for folder in (cwd, *cwd.parents) if _is_file(folder / FILE_NAME)), None)


def _user_file(environment: Mapping[str, str]) -> Path | None:
    base = Path(environment.get("XDG_CONFIG_HOME", ""))
    if base.is_absolute():  # the XDG specification: anything else does not count
        return base / "rag" / FILE_NAME
    home = environment.get("HOME") or environment.get("USERPROFILE")
    return Path(home) / ".config" / "rag" / FILE_NAME if home else None


def _is_file(path: Path) -> bool:
    # Path.is_file raises where another user's home cannot be entered, as under sudo.
    return os.path.isfile(path)  # noqa: PTH113  # for the reason above


def _shown(path: Path, *, cwd: Path) -> str:
    if path.parent == cwd or cwd.is_relative_to(path.parent):
        return os.path.relpath(path, cwd)
    return str(path)


def _read_file(path: Path, *, name: str) -> dict[str, Value]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {name}: {error.strerror}", hint="see every setting with: rag config") from error
    root = _compose(data, name=name)
    if root is None or _is_null(root):
        return {}
    found: dict[str, Value] = {}
    for key, node in _entries(root, name=name):
        if key not in _sections():
            found[key] = _value_of(node, key=key, name=name, line=node.start_mark.line + 1)
            continue
        if _is_null(node):  # a section whose every line is commented out
            continue
        for inner, leaf in _entries(node, name=name, section=key):
            dotted = f"{key}.{inner}"
            found[dotted] = _value_of(leaf, key=dotted, name=name, line=leaf.start_mark.line + 1)
    return found


def _compose(data: bytes, *, name: str) -> yaml.Node | None:
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML without aliases, anchors, tags and depth: what is left has one reading."""

        depth = 0

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it bare
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                _refuse(f"{name}:{event.start_mark.line + 1}: expected a plain value, got an anchor or alias")
            if getattr(event, "tag", None) is not None:
                _refuse(f"{name}:{event.start_mark.line + 1}: expected a plain value, got the tag {event.tag}")
            self.depth += 1
            if self.depth > 4:  # noqa: PLR2004  # the file, a section, a value, a list's item
                _refuse(f"{name}:{event.start_mark.line + 1}: expected a setting, got something nested deeper")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    try:
        return yaml.compose(data, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise ConfigError(f"{name}{line}: not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not YAML: {str(error).splitlines()[0]}") from error


def _refuse(message: str) -> NoReturn:
    raise ConfigError(message, hint="see every setting with: rag config")


def _entries(node: yaml.Node, *, name: str, section: str = "") -> Iterator[tuple[str, yaml.Node]]:
    import yaml

    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{name}:{line}: expected {section or 'settings'} as `key: value` lines, got {_shape(node)}")
    known = _section_names(section) if section else [key for key in leaves() if "." not in key] + list(_sections())
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(f"{name}:{line}: expected a setting's name, got {_shape(key_node)}")
        key = str(key_node.value)
        dotted = f"{section}.{key}" if section else key
        if key not in known:
            hint = _meant(key, known) or _meant(dotted, leaves())
            raise ConfigError(
                f"{name}:{line}: there is no setting {dotted}",
                hint=hint or "if the file is another program's, name yours with: --config FILE",
            )
        if key in seen:
            raise ConfigError(f"{name}:{line}: {dotted} is set twice, first on line {seen[key]}")
        seen[key] = line
        yield key, value_node


def _value_of(node: yaml.Node, *, key: str, name: str, line: int) -> Value:
    import yaml

    leaf = leaves()[key]
    where = f"{name}:{line}: {key}"
    if isinstance(node, yaml.ScalarNode):
        text = str(node.value)
        if node.style is None:  # unquoted: read by the setting's type, so that `no` can be a name and 1e-3 a number
            if leaf.optional and _is_null(node):
                return None
            if leaf.kind is str:
                return leaf.checked(text, text=text, where=where)
            if leaf.kind is not tuple:
                return leaf.parse(text, where=where)
            raise leaf.unexpected(text, where=where, hint=f"write it as a list: [{text}]" if text else None)
        if leaf.kind is str:
            return leaf.checked(text, text=text, where=where)
        raise leaf.unexpected(
            text, where=where, hint="leave out the quotation marks" if leaf.kind is not tuple else None
        )
    if leaf.kind is tuple and isinstance(node, yaml.SequenceNode):
        for item in node.value:
            if not isinstance(item, yaml.ScalarNode):
                raise leaf.unexpected(_shape(item), where=where)
        names = tuple(str(item.value) for item in node.value)
        return leaf.checked(names, text=", ".join(names), where=where)
    raise leaf.unexpected(_shape(node), where=where)


def _is_null(node: yaml.Node) -> bool:
    return node.tag == "tag:yaml.org,2002:null"


def _shape(node: yaml.Node) -> str:
    if node.tag.endswith(":map"):
        return "a section"
    return "a list" if node.tag.endswith(":seq") else repr(node.value)
