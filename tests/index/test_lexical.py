import gc
import json
import math
import re
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import bm25s
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from opencc import OpenCC

from rag.index import postings
from rag.index.lexical import LexicalIndex, terms

DRCD = Path(__file__).parents[3] / "shared" / "data" / "zh" / "DRCD_dev.json"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("China's exports", ["china", "export"]),
        ("1,300,000 tonnes", ["1300000", "tonn"]),
        ("fell by 8.4%", ["fell", "8.4"]),
        ("the U.S. election", ["us", "elect"]),
        ("Élysée ＡＢＣ", ["elyse", "abc"]),
        ("中日关系", ["中", "日", "关", "系", "中日", "日关", "关系"]),
        ("RCEP协定", ["rcep", "协", "定", "协定"]),
        ("關係 発展", ["关", "系", "关系", "发", "展", "发展"]),
        ("日本の水", ["日", "本", "の", "水", "日本", "本の", "の水"]),
        ("is it the", []),
        ("", []),
    ],
)
def test_terms_are_words_stems_and_pairs_of_characters(text, expected):
    assert terms(text) == expected


def index_of(*texts, folder=None):
    with tempfile.TemporaryDirectory() as temporary:
        return LexicalIndex.build(texts, k1=0.9, b=0.4, folder=folder or Path(temporary))


@given(st.text(alphabet="中日关系経済協力会談海产品", min_size=2, max_size=30), st.data())
def test_any_two_neighbouring_characters_of_a_chinese_or_japanese_sentence_find_it(sentence, data):
    at = data.draw(st.integers(0, len(sentence) - 2))
    scores = index_of(terms(sentence), terms("an English sentence")).scores(terms(sentence[at : at + 2]))
    assert scores[0] > 0
    assert scores[1] == 0


@pytest.mark.parametrize(
    ("one", "other"), [("臺灣經濟發展", "台湾经济发展"), ("図書館の経済", "圖書館の經濟"), ("気候変動", "气候变动")]
)
def test_a_question_finds_articles_in_the_other_form_of_its_characters(one, other):
    assert terms(one) == terms(other)


def test_text_without_han_characters_does_without_their_table():
    code = "import sys; from rag.index.lexical import terms; terms('Plain, かな'); sys.exit('opencc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not DRCD.exists(), reason=f"{DRCD} is not there")
def test_questions_in_simplified_characters_find_traditional_paragraphs_as_well(tmp_path):
    paragraphs = [p for article in json.loads(DRCD.read_bytes())["data"] for p in article["paragraphs"]]
    index = index_of(*(terms(paragraph["context"]) for paragraph in paragraphs), folder=tmp_path)
    asked = [(row, paragraph["qas"][0]["question"]) for row, paragraph in enumerate(paragraphs)]

    def found(convert):
        return np.mean([index.scores(terms(convert(question))).argmax() == row for row, question in asked])

    as_written, simplified = found(str), found(OpenCC("t2s").convert)
    assert as_written > 0.9
    assert abs(as_written - simplified) <= 0.005


@given(st.text())
def test_terms_hold_no_space_and_the_same_text_has_the_same_terms(text):
    found = terms(text)
    assert all(term and not re.search(r"\s", term) for term in found)
    assert terms(text) == found


def test_scores_are_bm25_by_lucenes_formula():
    k1, b, mean = 0.9, 0.4, (3 + 3 + 1) / 3
    rarity = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    expected = rarity * 2 / (2 + k1 * (1 - b + b * 3 / mean))
    index = index_of(["ban", "ban", "seafood"], ["seafood", "trade", "export"], ["visit"])
    assert index.scores(["ban"]) == pytest.approx([expected, 0, 0])


WORDS = st.lists(st.sampled_from(["ban", "trade", "水", "8.4", "visit", "fish"]), max_size=8)


@given(st.lists(WORDS, min_size=1, max_size=8), WORDS)
def test_scores_are_those_of_bm25s(texts, words):
    assume(any(texts))
    engine = bm25s.BM25(method="lucene", k1=0.9, b=0.4)
    engine.index(texts, show_progress=False)
    known = [engine.vocab_dict[word] for word in words if word in engine.vocab_dict]
    expected = engine.get_scores_from_ids(known) if known else np.zeros(len(texts))
    assert index_of(*texts).scores(words) == pytest.approx(expected, abs=1e-6)


@given(st.lists(WORDS, min_size=1, max_size=12), st.integers(1, 2000))
def test_a_matrix_made_in_many_runs_is_that_of_bm25s_to_the_last_bit(texts, memory_bytes):
    assume(any(texts))
    engine = bm25s.BM25(method="lucene", k1=0.9, b=0.4)
    engine.index(texts, show_progress=False)
    with tempfile.TemporaryDirectory() as folder:
        index = LexicalIndex.build(texts, k1=0.9, b=0.4, folder=Path(folder), memory_bytes=memory_bytes)
        assert {path.name for path in Path(folder).iterdir() if path.is_dir()} == set()
        for word, number in engine.vocab_dict.items():
            if word:
                assert index.scores([word]).tolist() == engine.get_scores_from_ids([number]).tolist()


def test_the_memory_for_counting_does_not_grow_with_the_passages(tmp_path):
    def peak(passages):
        texts = ([f"w{(7 * row + place * place) % 500}" for place in range(40)] for row in range(passages))
        tracemalloc.start()
        LexicalIndex.build(texts, k1=0.9, b=0.4, folder=tmp_path / str(passages), memory_bytes=500_000)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    # What is counted takes 40 bytes a word, and a passage here has 40 words.
    assert peak(2400) - peak(600) < 1800 * 40 * 40 / 8


def test_words_that_were_counted_are_let_go_at_once(tmp_path):
    def peak(passages):
        texts = ([f"w{row}x{place}" for place in range(40)] for row in range(passages))
        folder = tmp_path / str(passages)
        folder.mkdir()
        tracemalloc.start()
        postings._count(texts, folder, memory_bytes=100_000)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    # All words are different here, and one takes some 200 bytes while it is counted. Whoever waits for the collector
    # of cycles to free them waits for long.
    gc.disable()
    try:
        assert peak(300) - peak(100) < 200 * 40 * 20
    finally:
        gc.enable()


ZIPF = 1 / np.arange(1, 41)


def many_passages(seed):
    """Return passages of words as common as those of a language: the first is in nearly each, the last in few."""
    drawn = np.random.default_rng(seed).choice(40, size=(600, 12), p=ZIPF / ZIPF.sum())
    return [[f"w{number}" for number in row] for row in drawn]


MANY = index_of(*many_passages(0))


@given(st.lists(st.integers(0, 42), max_size=9), st.integers(1, 40), st.sampled_from([None, 0.5, 0.1, 0.01, 0]))
def test_a_search_finds_to_the_bit_what_sorting_all_scores_finds(words, k, share):
    asked = [f"w{number}" for number in words]
    allowed = None if share is None else np.random.default_rng(k).random(600) < share
    scores = MANY.scores(asked)
    passing = np.where(True if allowed is None else allowed, scores, 0)
    order = np.lexsort((np.arange(600), -passing))[:k]
    expected = order[passing[order] > 0]
    rows, found = MANY.search(asked, k=k, allowed=allowed)
    assert rows.tolist() == expected.tolist()
    assert found.tolist() == scores[expected].tolist()


def test_a_search_does_not_add_up_the_columns_of_common_words(monkeypatch):
    added = []
    add = LexicalIndex._add

    def counted(self, number, scores):
        added.append(number)
        add(self, number, scores)

    monkeypatch.setattr(LexicalIndex, "_add", counted)
    MANY.search(["w39", "w38", "w37", "w0", "w1"], k=3)
    assert len(added) == 3


def test_a_search_looks_into_a_common_column_only_for_passages_that_it_could_lift_among_the_best(monkeypatch):
    # "rare" stands once in one passage, twice in another, up to 150 times; "common" in nine of ten of 3000.
    times = {20 * (61 * number % 150): number + 1 for number in range(150)}
    texts = [["rare"] * times.get(row, 0) + ["common"] * (row % 10 > 0) for row in range(3000)]
    index = index_of(*[text + ["filling"] * (160 - len(text)) for text in texts])
    looked_up = []
    values_at = LexicalIndex._values_at

    def counted(self, number, rows):
        looked_up.append(len(rows))
        return values_at(self, number, rows)

    monkeypatch.setattr(LexicalIndex, "_values_at", counted)
    found, _ = index.search(["rare", "common"], k=10)
    rare = index.scores(["rare"])
    most = math.log(1 + (3000 - 2700 + 0.5) / (2700 + 0.5))  # what "common" adds if it stands there endlessly often
    assert looked_up[0] == (rare >= np.sort(rare)[-10] - most).sum()
    assert len(found) < looked_up[0] < 150


@given(st.lists(WORDS, min_size=1, max_size=12), WORDS, st.integers(1, 12))
def test_few_passages_are_searched_as_rightly_as_many(texts, words, k):
    index = index_of(*texts)
    scores = index.scores(words)
    order = np.lexsort((np.arange(len(texts)), -scores))[:k]
    assert index.search(words, k=k)[0].tolist() == order[scores[order] > 0].tolist()


def test_unknown_words_and_no_words_score_nothing():
    index = index_of(["ban"], ["trade"])
    assert index.scores(["zebra"]).tolist() == [0, 0]
    assert index.scores([]).tolist() == [0, 0]


def test_passages_without_words_are_indexed_all_the_same(tmp_path):
    index_of([], [], folder=tmp_path)
    assert LexicalIndex.load(tmp_path).scores(["ban"]).tolist() == [0, 0]


def test_nothing_on_disk_is_a_pickle(tmp_path):
    index_of(terms("seafood ban"), folder=tmp_path)
    for file in tmp_path.glob("*.npy"):
        np.load(file, allow_pickle=False)
    assert {file.suffix for file in tmp_path.iterdir()} <= {".npy", ".json", ".txt"}


def test_rarity_falls_with_the_number_of_passages_that_hold_a_word():
    common, rare, unknown = index_of(["trade", "ban"], ["trade"], ["trade"]).rarity(["trade", "ban", "zebra"])
    assert 0 < common < rare < unknown
    assert unknown == pytest.approx(1)
