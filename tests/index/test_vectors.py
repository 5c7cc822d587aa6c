import errno
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import IndexBroken
from rag.index.arrays import save_array
from rag.index.vectors import VectorIndex


def unit_rows(count, dim=8, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(count=st.integers(1, 40), k=st.integers(1, 50), seed=st.integers(0, 1000))
def test_search_agrees_with_numpy_best_first(count, k, seed):
    rows, query = unit_rows(count, seed=seed), unit_rows(1, seed=seed + 1)[0]
    found, scores = VectorIndex.build(rows).search(query, k=k)
    expected = np.argsort(-(rows @ query), kind="stable")[:k]
    assert found.tolist() == expected.tolist()
    assert scores == pytest.approx((rows @ query)[expected], abs=1e-6)


@given(allowed=st.lists(st.booleans(), min_size=12, max_size=12))
def test_a_filter_counts_before_the_cut(allowed):
    mask = np.array(allowed)
    rows, query = unit_rows(12), unit_rows(1, seed=9)[0]
    found, _ = VectorIndex.build(rows).search(query, k=5, allowed=mask)
    expected = [row for row in np.argsort(-(rows @ query)) if mask[row]][:5]
    assert found.tolist() == expected


def test_the_nearest_is_the_row_itself_and_the_farthest_its_opposite():
    rows = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    found, scores = VectorIndex.build(rows).search(rows[0], k=3)
    assert found.tolist() == [0, 1, 2]
    assert scores.tolist() == [1, 0, -1]


def test_rows_that_are_not_of_unit_length_are_refused():
    with pytest.raises(ValueError, match="length 1"):
        VectorIndex.build(np.array([[1, 1]], np.float32))


def test_rows_that_are_not_of_unit_length_are_refused_when_opened(tmp_path):
    np.save(tmp_path / "vectors.npy", 2 * unit_rows(3))
    with pytest.raises(IndexBroken, match="length 1"):
        VectorIndex.load(tmp_path)


@pytest.mark.parametrize("content", [b"no array", b"\x93NUMPY"])
def test_a_file_that_is_no_array_is_refused(tmp_path, content):
    (tmp_path / "vectors.npy").write_bytes(content)
    with pytest.raises(IndexBroken, match="cannot be read"):
        VectorIndex.load(tmp_path)


def test_an_array_of_other_numbers_is_refused(tmp_path):
    np.save(tmp_path / "vectors.npy", unit_rows(3).astype(np.float64))
    with pytest.raises(IndexBroken, match="float64"):
        VectorIndex.load(tmp_path)


def test_rows_come_back_as_they_were_after_a_round_trip(tmp_path):
    rows = unit_rows(5)
    VectorIndex.build(rows).save(tmp_path)
    loaded = VectorIndex.load(tmp_path)
    assert np.array_equal(loaded.rows(np.array([4, 0], np.int64)), rows[[4, 0]])
    assert loaded.rows(np.array([], np.int64)).shape == (0, 8)


def test_a_full_disk_is_told_with_the_systems_error():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match=r".") as error:
        save_array(Path("/dev/full"), unit_rows(2000))
    assert error.value.errno == errno.ENOSPC


def test_an_empty_index_finds_nothing():
    found, scores = VectorIndex.build(np.empty((0, 8), np.float32)).search(unit_rows(1)[0], k=3)
    assert len(found) == len(scores) == 0
