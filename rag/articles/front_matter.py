"""The YAML block between two lines of `---` on top of an article."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from rag.errors import ArticleError

_BLOCK = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_OPENED = re.compile(r"\A---[ \t]*\n[A-Za-z_][\w-]*:(?:\s|\Z)")
_LEADING_BLANK_LINES = re.compile(r"\A(?:[^\S\n]*\n)+")
_MOST_CHARACTERS = 65_536
_MOST_DEPTH = 16


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """An article's text below its front matter, the line it begins on, and the keys with their values as written."""

    text: str
    first_line: int
    values: dict[str, str] = field(default_factory=dict)


def split_front_matter(content: str) -> FrontMatter:
    """Return the text and the front matter of an article; blank lines around the text belong to neither.

    Values stay as they are written: `2023-11-17` is no date yet, `no` is a language and no boolean. Lists are joined
    by ", ", and a key without a value has an empty one. A block that holds no keys, such as two thematic breaks around
    a sentence, is text.

    Raises:
        ArticleError: the block is not closed, is not YAML, or uses what YAML has for programs: anchors, aliases, tags.
    """
    block = _BLOCK.match(content)
    if block is None:
        if _OPENED.match(content):
            raise ArticleError("the front matter that opens on line 1 is never closed by a line of ---")
        return _strip(content, consumed=0, values={})
    values = _read(block[1])
    if values is None:
        return _strip(content, consumed=0, values={})
    return _strip(content, consumed=block.end(), values=values)


def _strip(content: str, *, consumed: int, values: dict[str, str]) -> FrontMatter:
    if blank := _LEADING_BLANK_LINES.match(content[consumed:]):
        consumed += blank.end()
    return FrontMatter(text=content[consumed:].rstrip(), first_line=1 + content.count("\n", 0, consumed), values=values)


def _read(block: str) -> dict[str, str] | None:
    """Return the keys of a block, or None where it holds something else than keys."""
    if len(block) > _MOST_CHARACTERS:
        raise ArticleError(f"the front matter is longer than {_MOST_CHARACTERS} characters")
    import yaml

    class Loader(yaml.SafeLoader):
        """A safe loader that leaves every scalar but null as it is written."""

        yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML reads this from the class
            first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    try:
        _refuse_programs(block)
        node = yaml.compose(block, Loader=Loader)
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            return None
        _refuse_repeated_keys(node)
        loaded: dict[object, object] = yaml.load(block, Loader=Loader)  # noqa: S506 - Loader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f" on line {mark.line + 2}"
        raise ArticleError(f"the front matter is not YAML{where}: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the latter two of \U escapes beyond Unicode
        raise ArticleError(f"the front matter is not YAML: {error}") from error
    return {_written(str(key)): _written(value) for key, value in loaded.items()}


def _refuse_programs(block: str) -> None:
    """Raise ArticleError for anchors, aliases and tags (a billion laughs in nine lines) and for bottomless nesting."""
    import yaml

    opening = (
        yaml.BlockMappingStartToken,
        yaml.BlockSequenceStartToken,
        yaml.FlowMappingStartToken,
        yaml.FlowSequenceStartToken,
    )
    closing = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
    depth = 0
    for token in yaml.scan(block, Loader=yaml.SafeLoader):
        line = token.start_mark.line + 2
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken | yaml.TagToken):
            raise ArticleError(f"the front matter uses a YAML anchor, alias or tag on line {line}, which is refused")
        depth += isinstance(token, opening) - isinstance(token, closing)
        if depth > _MOST_DEPTH:
            raise ArticleError(f"the front matter is nested more than {_MOST_DEPTH} deep on line {line}")


def _refuse_repeated_keys(node: object) -> None:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                raise ArticleError(f"the front matter has {key.value!r} twice, again on line {key.start_mark.line + 2}")
            seen.add(key.value)


def _written(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(text for item in value if (text := _written(item)))
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value).strip()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ArticleError(f"the front matter holds {text!r}, which is not valid Unicode") from error
    return text
