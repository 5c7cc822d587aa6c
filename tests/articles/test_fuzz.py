import contextlib
import gzip
import tempfile
from pathlib import Path

import pytest
from documents import SEEDS, Words
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.articles import SUFFIXES, ArticleFile, read_articles
from rag.errors import ArticleError
from rag.passages import split_passages


def seed_of(suffix):
    return SEEDS.get(suffix.removesuffix(".gz"), SEEDS[".html"])


@st.composite
def spoilt(draw, content):
    """Return bytes of any kind, or a good file with a slice of it replaced."""
    noise = draw(st.binary(max_size=60))
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(len(content), start + 60)))
    return draw(st.sampled_from([noise, content[:start] + noise + content[end:], content[:start]]))


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(st.data())
@settings(max_examples=30)
def test_any_bytes_end_as_articles_or_as_an_article_error(suffix, data):
    content = data.draw(spoilt(seed_of(suffix)))
    if suffix.endswith(".gz") and data.draw(st.booleans()):
        content = gzip.compress(content, mtime=0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"x{suffix}"
        file.write_bytes(content)
        articles = []
        with contextlib.suppress(ArticleError):
            articles, _ = read_articles(ArticleFile(id=file.name, path=file.name, file=file))
    for article in articles:
        article.text.encode()
        passages = split_passages(article, tokenizer=Words(), max_tokens=200, overlap_sentences=1)
        assert all(0 <= passage.start < passage.end <= len(article.text) for passage in passages)
