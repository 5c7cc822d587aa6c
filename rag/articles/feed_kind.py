"""Tells a feed by the first bytes of its file, as the name `.xml` alone says nothing of what it holds."""

from __future__ import annotations

import codecs
import re

from rag.articles.contents import HEAD_BYTES

RSS_NAMESPACES = frozenset(
    {
        "http://purl.org/rss/1.0/",
        "http://my.netscape.com/rdf/simple/0.9/",
        "http://channel.netscape.com/rdf/simple/0.9/",
        "http://backend.userland.com/rss2",
        "http://blogs.law.harvard.edu/tech/rss",
    }
)
ATOM_NAMESPACES = frozenset({"http://www.w3.org/2005/Atom", "http://purl.org/atom/ns#"})

# What may stand before the root: the declaration and other instructions, comments, and a document type.
_BEFORE = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>", re.DOTALL | re.IGNORECASE)
_ROOT = re.compile(r"<(?:[\w.-]+:)?(?P<name>[\w.-]+)(?P<attributes>[^<>]*)")
_WIDE = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}


def is_feed(content: bytes) -> bool:
    """Tell whether the root of an XML file, of which the beginning is enough, is that of RSS or Atom."""
    head = content[:HEAD_BYTES]
    # Of the other encodings, all that matters here is ASCII.
    encoding = next((name for mark, name in _WIDE.items() if head.startswith(mark)), "latin-1")
    text = head.removeprefix(codecs.BOM_UTF8).decode(encoding, errors="replace").removeprefix("\ufeff")
    start = 0
    while before := _BEFORE.match(text, start):
        start = before.end()
    root = _ROOT.match(text, start)
    if root is None:
        return False
    attributes = root["attributes"]
    match root["name"].lower():
        case "rss":
            return True
        case "rdf":
            return any(f'"{name}"' in attributes or f"'{name}'" in attributes for name in RSS_NAMESPACES)
        case "feed":
            return any(f'"{name}"' in attributes or f"'{name}'" in attributes for name in ATOM_NAMESPACES)
    return False
