"""Zip files of XML, which is what `.docx` and `.epub` are: opened, measured and parsed without trusting them."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from rag.articles.contents import MOST_MEGABYTES
from rag.errors import ArticleError

if TYPE_CHECKING:
    from lxml.etree import _Element

_MEGABYTE = 2**20
# For every parser of XML: nothing is fetched, nothing is filled in, and there are ends to depth and length.
GUARDED: Final = {"resolve_entities": False, "load_dtd": False, "no_network": True, "huge_tree": False}


def open_archive(content: bytes, *, most_megabytes: int = MOST_MEGABYTES) -> zipfile.ZipFile:
    """Return a zip file that unpacks to no more than the limit.

    What its directory says about sizes can be relied on: `zipfile` stops unpacking a member at its declared size.

    Raises:
        ArticleError: it is no zip file, or unpacks to too much.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ArticleError(f"it is no zip file: {error}") from error
    if sum(member.file_size for member in archive.infolist()) > most_megabytes * _MEGABYTE:
        raise ArticleError(f"it unpacks to more than {most_megabytes} MB")
    return archive


def read_member(archive: zipfile.ZipFile, name: str) -> bytes | None:
    """Return a file of the archive, or None if there is none of that name.

    Raises:
        ArticleError: it is broken, encrypted, or packed in a way that is not known.
    """
    try:
        return archive.read(name)
    except KeyError:
        return None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        raise ArticleError(f"{name} in it cannot be unpacked: {error}") from error


def read_xml(archive: zipfile.ZipFile, name: str) -> _Element | None:
    """Return the root of an XML file in the archive, or None if there is none of that name.

    Raises:
        ArticleError: it is broken, or declares entities, which no such file needs and a bomb is made of.
    """
    from lxml import etree

    content = read_member(archive, name)
    if content is None:
        return None
    parser = etree.XMLParser(**GUARDED)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ArticleError(f"{name} in it is not XML: {error}") from error
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and any(True for _ in dtd.iterentities()):
        raise ArticleError(f"{name} in it declares XML entities, which is refused")
    return root
