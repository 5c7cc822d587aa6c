"""What holds for every test: examples are the same in every run, and nothing reaches the network."""

import ipaddress
import os
import re
import sys
import tempfile
import zlib

import numpy as np
import pytest
from hypothesis import settings

# The same examples everywhere: a red test must mean the code changed. Deadlines only measure the machine.
settings.register_profile("rag", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("rag")

_watching = False


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    if not _watching or event not in {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"}:
        return
    address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(address, (str, bytes)) and event != "socket.getaddrinfo":
        return  # a Unix socket's path
    if host in {None, "", "localhost", b"localhost"} or _is_loopback(host):
        return
    raise RuntimeError(f"a test reached for the network: {event} {address!r}")


def _is_loopback(host: object) -> bool:
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host)).is_loopback
    except ValueError:
        return False


# A hook sees what C code opens through Python too, which replacing socket.socket does not; it cannot be removed again.
sys.addaudithook(_refuse_network)


@pytest.fixture(autouse=True)
def _no_network():
    global _watching  # noqa: PLW0603  # an audit hook has no other way to be switched
    _watching = True
    yield
    _watching = False


def pytest_configure(config):
    """Have what is kept for later (fonts, graphs, exported models) lie with pytest's own cache, and not in the home."""
    kept = config.rootpath / ".pytest_cache" / "d"
    for variable, folder in (("XDG_CACHE_HOME", kept / "cache"), ("TORCHINDUCTOR_CACHE_DIR", kept / "torchinductor")):
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[variable] = str(folder)


@pytest.fixture(scope="session", autouse=True)
def temporary(tmp_path_factory):
    """The temporary folder of all tests and of what they start: below pytest's own, so that it goes with them."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", None)  # what was asked for before is asked for again
        yield folder


@pytest.fixture(scope="session")
def model_cache(pytestconfig):
    """The folder of exported models, kept between runs: what is in it is called after the hash of the weights."""
    if hasattr(pytestconfig, "cache"):
        return pytestconfig.cache.mkdir("rag-models")
    # Without its cache plugin (-p no:cacheprovider), pytest's folder is as good a place.
    folder = pytestconfig.rootpath / ".pytest_cache" / "d" / "rag-models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class WordEncoder:
    """A small encoder without weights: a text's vector counts its words, hashed into `dim` places."""

    name = "words"
    revision = "0" * 64
    fingerprint = "words-1"
    backend = "counting"
    dim = 64
    passage_tokens = 62

    def __init__(self):
        self.encoded: list[str] = []

    def token_spans(self, texts):
        return [[match.span() for match in re.finditer(r"\w+|[^\w\s]", text)] for text in texts]

    def encode_passages(self, texts, *, progress=None):
        self.encoded += texts
        if progress is not None:
            progress(len(texts))
        return self._encode(texts)

    def encode_series(self, series):
        return map(self.encode_passages, series)

    def encode_queries(self, texts):
        return self._encode(texts)

    def for_index(self, *_, **__):
        return self

    def _encode(self, texts):
        rows = np.full((len(texts), self.dim), 1e-3, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.casefold()):
                row[zlib.crc32(word.encode()) % self.dim] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def word_encoder():
    return WordEncoder()


@pytest.fixture(scope="session")
def shared_encoder():
    """A word encoder for tests that do not look at what it has encoded."""
    return WordEncoder()
