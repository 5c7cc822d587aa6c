import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ArticleMissing, IndexBroken
from rag.index.store import ArticleFilter, Store, StoredArticle, StoreWriter, date_range
from rag.records import Article, Passage, Span


def stored(article_id, text="One. Two.", **fields):
    article = Article(id=article_id, path=f"a/{article_id}", text=text, title=f"On {article_id}", **fields)
    passages = (Passage(article_id, 0, 0, len(text), (Span(0, len(text)),)),)
    return StoredArticle(article, f"/a/{article_id}", article_id, passages, passage_hashes=(text,), words=(text,))


def store_of(tmp_path, *articles):
    (tmp_path / "articles.sqlite").unlink(missing_ok=True)
    with StoreWriter(tmp_path / "articles.sqlite") as writer:
        for article in articles:
            writer.add(article)
        writer.finish()
    return Store(tmp_path / "articles.sqlite")


def allowed(tmp_path, wanted):
    store = store_of(
        tmp_path,
        stored("day", published="2023-11-17", source="Japan Times", language="en"),
        stored("month", published="2023-11", source="Élan", language="ja"),
        stored("year", published="2023"),
        stored("undated"),
    )
    return [name for name, mask in zip(store.article_ids(), store.allowed(wanted, size=4), strict=True) if mask]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (ArticleFilter(since="2023-11-18"), ["month", "year"]),
        (ArticleFilter(since="2023-11-17"), ["day", "month", "year"]),
        (ArticleFilter(until="2023-11-16"), ["month", "year"]),
        (ArticleFilter(until="2023-10"), ["year"]),
        (ArticleFilter(since="2024"), []),
        (ArticleFilter(until="2023"), ["day", "month", "year"]),
        (ArticleFilter(source="japan times"), ["day"]),
        (ArticleFilter(source="ÉLAN"), ["month"]),
        (ArticleFilter(language="JA"), ["month"]),
        (ArticleFilter(since="2023", source="Japan Times", language="en"), ["day"]),
    ],
)
def test_a_filter_keeps_the_articles_that_may_lie_in_it(tmp_path, wanted, names):
    assert allowed(tmp_path, wanted) == names


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ("2024", ("2024-01-01", "2024-12-31")),
        ("2024-02", ("2024-02-01", "2024-02-29")),
        ("2023-02", ("2023-02-01", "2023-02-28")),
        ("2023-11-17", ("2023-11-17", "2023-11-17")),
    ],
)
def test_a_date_is_the_days_that_it_names(published, expected):
    assert date_range(published) == expected


@pytest.mark.parametrize(
    "published", ["", "23", "2023-13", "2023-00", "2023-02-30", "2023-2", "yesterday", "2023-02-01-1", "0000"]
)
def test_what_names_no_day_is_refused(published):
    with pytest.raises(ValueError, match="date"):
        date_range(published)


def test_an_article_comes_back_as_it_was_stored(tmp_path):
    article = stored(
        "x.md",
        text="Été 🎌. 中日。",
        source="S",
        author="A",
        published="2023",
        language="en",
        url="u",
        first_line=7,
        furniture=(Span(0, 3),),
        origins={"title": "text"},
        metadata={"section": "World"},
    )
    store = store_of(tmp_path, article)
    assert store.article("x.md") == article.article
    assert store.stored("x.md") == article
    assert store.passage("x.md", 0) == article.passages[0]


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), data=st.data())
def test_a_passages_text_is_its_slice_of_the_article(tmp_path_factory, text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    article = Article(id="x", path="x", text=text, title="t")
    passage = Passage("x", 0, start, end, ())
    store = store_of(tmp_path_factory.mktemp("store"), StoredArticle(article, "x", "h", (passage,), ("h",), ("w",)))
    assert store.passages_with_texts([0, 0]) == ([passage] * 2, [text[start:end]] * 2)


def test_passages_come_back_in_the_order_asked_for(tmp_path):
    store = store_of(tmp_path, *(stored(f"{number:04}") for number in range(1200)))
    rows = [1100, 3, 700, 3]
    assert [passage.article for passage in store.passages_with_texts(rows)[0]] == [f"{row:04}" for row in rows]


def test_articles_and_texts_come_back_in_the_order_asked_for(tmp_path):
    names = [f"{number:04}" for number in range(1200)]
    store = store_of(tmp_path, *map(stored, names))
    wanted = [*reversed(names), "0003"]
    assert list(store.articles(wanted)) == wanted[:-1]
    assert store.articles(["0700"]) == {"0700": store.article("0700")}
    passages, texts = store.passages_with_texts([*range(1199, -1, -1), 3])
    assert [p.article for p in passages] == [*reversed(names), "0003"]
    assert texts == [store.article(p.article).text[p.start : p.end] for p in passages]
    assert (store.articles([]), store.passages_with_texts([])) == ({}, ([], []))


@pytest.mark.skipif(sqlite3.threadsafety < 3, reason="this SQLite was not built for threads")
def test_several_threads_may_read(tmp_path):
    names = [f"{number:04}" for number in range(300)]
    store = store_of(tmp_path, *map(stored, names))
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda name: store.articles([name])[name].id, names)) == names


def test_what_is_not_there_is_an_error_with_the_next_command(tmp_path):
    store = store_of(tmp_path, stored("x.md"))
    with pytest.raises(ArticleMissing, match=r"z\.md"):
        store.articles(["x.md", "z.md"])
    with pytest.raises(ArticleMissing, match=r"y\.md") as missing:
        store.article("y.md")
    assert "rag status" in missing.value.hint
    with pytest.raises(ArticleMissing, match=r"x\.md#9"):
        store.passage("x.md", 9)


def test_a_filter_holds_in_an_index_whose_generation_was_cleared_meanwhile(tmp_path):
    held, other = (store_of(tmp_path, stored("day", published="2023-11-17")) for _ in range(2))
    held.hold()
    (tmp_path / "facets.npy").unlink()
    assert held.allowed(ArticleFilter(since="2023"), size=1).tolist() == [True]
    with pytest.raises(IndexBroken, match="facets"):
        other.allowed(ArticleFilter(since="2023"), size=1)
