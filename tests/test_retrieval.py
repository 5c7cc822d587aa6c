import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag.index import open_index
from rag.index.build import BuildSettings, build_index
from rag.index.copies import numbers, shingles
from rag.index.lexical import terms
from rag.index.store import ArticleFilter
from rag.records import Passage
from rag.retrieval import RetrievalSettings, Shown, min_max, reciprocal_rank_fusion, retrieve

SETTINGS = RetrievalSettings(k=3, candidates=10, fusion="minmax", dense_weight=0.5, rrf_k=60, duplicate_similarity=0.8)
SCORES = arrays(np.float32, 6, elements=st.floats(-1, 1, width=32))


@pytest.fixture
def index(tmp_path, word_encoder):
    folder = tmp_path / "articles"
    folder.mkdir()
    texts = {
        "ban.md": "China banned all Japanese seafood in August after the water release began.",
        "copy.md": "China banned all Japanese seafood in August after the water release began.",
        "trade.md": "Trade between China and Japan fell by 10.7% in 2023.",
        "visit.md": "The minister visited Beijing in April.",
        "水.md": "日本开始排放处理水,中国禁止进口水产品。",
    }
    for number, (name, text) in enumerate(texts.items()):
        published = f"---\npublished: 2023-0{number + 1}-01\n---\n"
        (folder / name).write_text(f"{published}# Title\n\n{text}\n", encoding="utf-8")
    settings = BuildSettings(max_tokens=60, overlap_sentences=0, k1=0.9, b=0.4)
    target = tmp_path / "index"
    build_index(
        [folder],
        index=target,
        encoder=word_encoder,
        settings=settings,
        add=False,
        rebuild=False,
        progress=lambda *_: None,
    )
    return open_index(target)


def ranked(index, encoder, question, *, settings=SETTINGS, wanted=None, explain=False):
    return retrieve(
        encoder.encode_queries([question])[0],
        terms(question),
        index=index,
        settings=settings,
        allowed=None if wanted is None else index.store.allowed(wanted, size=index.manifest.passages),
        explain=explain,
    )


def articles(ranking):
    return [hit.passage.article for hit in ranking.hits]


def test_the_passage_about_the_question_comes_first(index, word_encoder):
    assert articles(ranked(index, word_encoder, "How far did trade between China and Japan fall?"))[0] == "trade.md"


def test_two_characters_find_a_chinese_passage(index, word_encoder):
    by_words = dataclasses.replace(SETTINGS, dense_weight=0.1)
    assert articles(ranked(index, word_encoder, "水产", settings=by_words))[0] == "水.md"


def test_hits_are_ranked_from_one_by_falling_score(index, word_encoder):
    hits = ranked(index, word_encoder, "seafood ban August").hits
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_hit_tells_the_cosine_of_question_and_passage(index, word_encoder):
    ranking = ranked(index, word_encoder, "trade between China and Japan", explain=True)
    cosines = {candidate.rank: candidate.dense for candidate in ranking.candidates if candidate.rank}
    assert [hit.similarity for hit in ranking.hits] == [cosines[hit.rank] for hit in ranking.hits]
    assert ranking.hits[0].similarity > ranking.hits[-1].similarity


def test_a_copy_is_shown_once_and_said_to_be_dropped(index, word_encoder):
    ranking = ranked(index, word_encoder, "China banned seafood in August")
    assert {"ban.md", "copy.md"} - set(articles(ranking)) == {"copy.md"}
    assert "near-duplicate of ban.md#0" in [candidate.dropped for candidate in ranking.candidates]


def test_a_filter_counts_before_the_cut(index, word_encoder):
    one = RetrievalSettings(k=1, candidates=1, fusion="minmax", dense_weight=0.5, rrf_k=60, duplicate_similarity=0.8)
    wanted = ArticleFilter(since="2023-04", until="2023-04")
    assert articles(ranked(index, word_encoder, "China banned seafood", settings=one, wanted=wanted)) == ["visit.md"]


def test_a_filter_that_nothing_passes_finds_nothing(index, word_encoder):
    assert ranked(index, word_encoder, "seafood", wanted=ArticleFilter(since="2030")).hits == ()


def test_every_candidate_is_kept_or_says_why_not(index, word_encoder):
    ranking = ranked(index, word_encoder, "China seafood", explain=True)
    for candidate in ranking.candidates:
        assert (candidate.rank is None) == (candidate.dropped is not None)
    assert [c.rank for c in ranking.candidates if c.rank] == [hit.rank for hit in ranking.hits]


def rank_the_plain_way(index, vector, words, *, settings, allowed):
    """Return hits as (id, score, text): all scores computed and sorted, all candidates' passages and texts read."""
    size = index.manifest.passages
    passing = np.ones(size, np.bool_) if allowed is None else allowed
    dense_rows, _ = index.vectors.search(vector, k=settings.candidates, allowed=allowed)
    lexical = index.lexical.scores(words)
    lexical_rows = [row for row in np.lexsort((np.arange(size), -lexical)) if lexical[row] > 0 and passing[row]]
    lexical_rows = lexical_rows[: settings.candidates]
    rows = np.array(sorted({*dense_rows.tolist(), *map(int, lexical_rows)}), np.int64)
    if settings.fusion == "rrf":
        by_row = reciprocal_rank_fusion([dense_rows.tolist(), lexical_rows], k=settings.rrf_k)
        fused = np.array([by_row[row] for row in rows.tolist()])
    else:
        dense = np.vecdot(index.vectors.rows(rows), vector)
        fused = min_max(dense, lexical[rows], dense_weight=settings.dense_weight)
    order = np.lexsort((rows, -fused))
    passages, _ = index.store.passages_with_texts(rows[order].tolist())
    kept = []
    for passage, score in zip(passages, fused[order].tolist(), strict=True):
        text = index.store.article(passage.article).text[passage.start : passage.end]
        seen = [(other, other_text) for other, _, other_text in kept]
        if (
            len(kept) < settings.k
            and copied_the_plain_way(
                passage, text, seen, similarity=settings.duplicate_similarity, copies=index.store.copies
            )
            is None
        ):
            kept.append((passage, score, text))
    return [(passage.id, score, text) for passage, score, text in kept]


def copied_the_plain_way(passage, text, seen, *, similarity, copies):
    """Return the id of the passage that this one copies, each pair's shingles being compared."""
    own = shingles(text)
    for other, other_text in seen:
        others = shingles(other_text)
        alike = len(own & others) >= similarity * len(own | others) and numbers(text) == numbers(other_text)
        same_report = copies.get(other.article, other.article) == copies.get(passage.article, passage.article)
        contained = len(own & others) >= similarity * len(own) and set(numbers(text)) <= set(numbers(other_text))
        if (text and other_text and alike) or (other.article != passage.article and same_report and contained):
            return other.id
    return None


@pytest.fixture(scope="module")
def news(tmp_path_factory, shared_encoder):
    """Return an index of a hundred short articles out of few words, among them copies."""
    folder = tmp_path_factory.mktemp("news")
    rng = np.random.default_rng(5)
    nouns = [
        "ban",
        "trade",
        "fish",
        "talks",
        "port",
        "China",
        "Japan",
        "tariff",
        "2021",
        "2023",
        "visit",
        "水产",
        "ship",
    ]
    for number in range(100):
        if number % 9 == 8:
            text = (folder / f"{number - 1:03}.md").read_text(encoding="utf-8").split("---\n")[-1]
        else:
            picked = rng.choice(nouns, size=(6, 5), p=(weights := 1 / np.arange(1, 14)) / weights.sum())
            text = "".join(f"The {' '.join(words)} of day {rng.integers(30)}.\n\n" for words in picked)
        head = f"---\ntitle: Report\npublished: {2020 + number % 4}-01-01\n---\n"
        (folder / f"{number:03}.md").write_text(head + text, encoding="utf-8")
    target = tmp_path_factory.mktemp("index")
    build_index(
        [folder],
        index=target,
        encoder=shared_encoder,
        settings=BuildSettings(max_tokens=16, overlap_sentences=1, k1=0.9, b=0.4),
        add=False,
        rebuild=False,
        progress=lambda *_: None,
    )
    return open_index(target)


@given(
    st.lists(st.sampled_from(["ban", "trade", "fish", "China", "2023", "水产", "unheard"]), min_size=1, max_size=6),
    st.builds(
        RetrievalSettings,
        k=st.integers(1, 12),
        candidates=st.integers(12, 120),
        fusion=st.sampled_from(["minmax", "rrf"]),
        dense_weight=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        rrf_k=st.just(60),
        duplicate_similarity=st.sampled_from([0.3, 0.8]),
    ),
    st.sampled_from([None, ArticleFilter(since="2023"), ArticleFilter(since="2030")]),
)
def test_hits_are_to_the_bit_those_of_reading_every_candidate(news, shared_encoder, words, settings, wanted):
    question = " ".join(words)
    allowed = None if wanted is None else news.store.allowed(wanted, size=news.manifest.passages)
    expected = rank_the_plain_way(
        news, shared_encoder.encode_queries([question])[0], terms(question), settings=settings, allowed=allowed
    )
    for explain in (False, True):
        ranking = ranked(news, shared_encoder, question, settings=settings, wanted=wanted, explain=explain)
        found = [(hit.passage.id, hit.score, ranking.texts[hit.passage.id]) for hit in ranking.hits]
        assert found == expected


def test_passages_below_the_last_hit_are_not_read(news, shared_encoder, monkeypatch):
    read = []
    plain = type(news.store).passages_with_texts
    monkeypatch.setattr(
        type(news.store), "passages_with_texts", lambda self, rows: read.extend(rows) or plain(self, rows)
    )
    settings = dataclasses.replace(SETTINGS, candidates=100)
    short = ranked(news, shared_encoder, "fish trade", settings=settings)
    assert len(short.hits) == 3
    assert len(read) <= len(short.candidates) + settings.k
    read.clear()
    whole = ranked(news, shared_encoder, "fish trade", settings=settings, explain=True)
    assert len(read) == len(whole.candidates) >= 100
    assert whole.candidates[: len(short.candidates)] == short.candidates


def test_reciprocal_rank_fusion_can_be_chosen(index, word_encoder):
    by_rank = RetrievalSettings(k=3, candidates=10, fusion="rrf", dense_weight=0.5, rrf_k=60, duplicate_similarity=0.8)
    best = ranked(index, word_encoder, "trade between China and Japan fell", settings=by_rank).hits[0]
    assert best.passage.article == "trade.md"
    assert best.score == pytest.approx(1 / 61 + 1 / 61)


def test_rrf_adds_reciprocal_ranks():
    assert reciprocal_rank_fusion([[1, 2], [2]])[2] == pytest.approx(1 / 62 + 1 / 61)


def test_rrf_refuses_a_ranking_that_names_a_row_twice():
    with pytest.raises(ValueError, match="twice"):
        reciprocal_rank_fusion([[1, 1]])


def test_min_max_is_the_weighted_mean_of_both_ranges():
    fused = min_max(np.array([0.2, 0.4, 0.6], np.float32), np.array([9, 0, 3], np.float32), dense_weight=0.25)
    assert fused == pytest.approx([0.75 * 1, 0.25 * 0.5, 0.25 * 1 + 0.75 / 3])


@given(SCORES, SCORES, st.floats(0, 1))
def test_min_max_stays_between_nought_and_one(dense, lexical, weight):
    fused = min_max(dense, lexical, dense_weight=weight)
    assert ((fused >= 0) & (fused <= 1)).all()


@given(SCORES, SCORES)
def test_min_max_of_one_scoring_keeps_its_order(dense, lexical):
    fused = min_max(dense, lexical, dense_weight=1)
    assert all((fused[i] >= fused[j]) for i in range(6) for j in range(6) if dense[i] > dense[j])


def test_a_scoring_that_tells_nothing_apart_counts_as_nothing():
    fused = min_max(np.array([0.5, 0.5], np.float32), np.array([1, 2], np.float32), dense_weight=0.5)
    assert fused.tolist() == [0, 0.5]


def copies(*texts, similarity, of=None):
    """Return, for each text, the place of the one before it that it copies; each is a passage of an article."""
    shown = Shown(similarity=similarity, copies=of or {})
    found = [shown.copied(Passage(str(place), 0, 0, len(text), ()), text) for place, text in enumerate(texts)]
    return [None if name is None else int(name.removesuffix("#0")) for name in found]


def test_texts_with_other_figures_are_no_copies():
    text = "Trade between the two countries reached {} billion dollars, the ministry of commerce said in its report."
    assert copies(text.format(318), text.format(318), similarity=0.8) == [None, 0]
    assert copies(text.format(318), text.format(357), similarity=0.5) == [None, None]


@given(st.text(min_size=1), st.text(min_size=1))
def test_being_a_copy_goes_both_ways_and_holds_for_oneself(one, other):
    assert copies(one, one, similarity=1) == [None, 0]
    assert copies(one, other, similarity=0.8) == copies(other, one, similarity=0.8)


@given(
    st.lists(st.lists(st.sampled_from(["a b c d", "a b c", "b c d e", "2023", "x", "水产"])).map(" ".join), max_size=9),
    st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]),
    st.dictionaries(st.sampled_from("12345678"), st.just("0")),
)
def test_what_is_a_copy_is_what_comparing_each_pair_says(texts, similarity, of):
    seen, expected = [], []
    for place, text in enumerate(texts):
        passage = Passage(str(place), 0, 0, len(text), ())
        found = copied_the_plain_way(passage, text, seen, similarity=similarity, copies=of)
        expected.append(None if found is None else int(found.removesuffix("#0")))
        if found is None:
            seen.append((passage, text))
    assert copies(*texts, similarity=similarity, of=of) == expected


def test_a_passage_within_a_copy_of_its_article_is_found_once(tmp_path, word_encoder):
    report = " ".join(f"The ministry told of step {number} in its talks on fish and trade." for number in range(8))
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "agency.md").write_text(f"# Steps\n\n{report}\n")
    (folder / "echo.md").write_text(f"# Steps\n\nAGENCY, Tokyo, Friday: {report}\n")
    build_index(
        [folder],
        index=tmp_path / "index",
        encoder=word_encoder,
        settings=BuildSettings(max_tokens=60, overlap_sentences=0, k1=0.9, b=0.4),
        add=False,
        rebuild=False,
        progress=lambda *_: None,
    )
    opened = open_index(tmp_path / "index")
    ranking = ranked(opened, word_encoder, "Which steps did the ministry tell of?", settings=SETTINGS)
    assert opened.store.copies == {"echo.md": "agency.md"}
    for hit in ranking.hits:
        others = [other for other in ranking.hits if other.passage.article != hit.passage.article]
        sentences = ranking.texts[hit.passage.id].split(". ")
        held = [sum(part.strip(".") in ranking.texts[other.passage.id] for part in sentences) for other in others]
        assert all(count < len(sentences) for count in held)
