import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.index import lists, vectors
from rag.index.vectors import VectorIndex

DIM = 48


class Rows:
    """Vectors in memory, that tell how many are asked for at once."""

    def __init__(self, rows):
        self._rows = rows
        self.size, self.dim = rows.shape
        self.most = 0

    def take(self, numbers):
        self.most = max(self.most, len(numbers))
        return self._rows[numbers]


def clustered(count, *, seed=0, around=40):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(around, DIM))[rng.integers(0, around, count)] + 0.4 * rng.normal(size=(count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def write(rows, folder, *, memory_bytes=2**20, lists_from=100, progress=lambda *_: None):
    return lists.write_vectors(rows, folder=folder, memory_bytes=memory_bytes, lists_from=lists_from, progress=progress)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    # Small enough that a few thousand rows show what a million do.
    monkeypatch.setattr(vectors, "_EXACT_ROWS", 50)
    monkeypatch.setattr(vectors, "_WHOLE_ROWS", 40)
    monkeypatch.setattr(vectors, "_COPIED_ROWS", 64)
    monkeypatch.setattr(lists, "_measure", lambda *arguments: (measure(*arguments)[0], 0.0))


measure = lists._measure
ROWS, QUERIES = np.split(clustered(3100), [3000])


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "_measure", lambda *arguments: (measure(*arguments)[0], 0.0))
        found = write(Rows(ROWS), folder)
    assert found.kind == "lists"
    assert found.recall_at_10 >= 0.99
    assert found.compared < len(ROWS)
    return VectorIndex.load(folder)


def nearest(query, *, k=10, allowed=None):
    scores = np.where(True if allowed is None else allowed, ROWS @ query, -np.inf)
    return np.argsort(-scores, kind="stable")[:k]


def test_lists_find_nearly_all_that_a_comparison_with_every_row_finds(indexed):
    recall = np.mean([len(np.intersect1d(indexed.search(q, k=10)[0], nearest(q))) / 10 for q in QUERIES])
    assert recall > 0.95


def test_rows_and_cosines_are_exact_with_lists_too(indexed):
    assert np.array_equal(indexed.rows(np.arange(3000)), ROWS)
    found, scores = indexed.search(ROWS[7], k=20)
    assert found[0] == 7
    assert scores == pytest.approx(ROWS[found] @ ROWS[7], abs=1e-6)
    assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("share", [0.5, 0.1, 0.03])
def test_a_filter_leaves_recall_and_fills_the_answer(indexed, share):
    mask = np.random.default_rng(3).random(3000) < share
    right = []
    for query in QUERIES:
        found, _ = indexed.search(query, k=10, allowed=mask)
        assert len(found) == 10
        assert mask[found].all()
        right.append(len(np.intersect1d(found, nearest(query, allowed=mask))) / 10)
    assert np.mean(right) > 0.95


@given(st.integers(0, 99), st.integers(1, 20), st.sampled_from([1, 0.6, 0.2, 0.05]))
def test_a_search_walks_the_nearest_lists_until_it_has_seen_enough_rows_that_pass(indexed, number, k, share):
    query, mask, found = QUERIES[number], np.random.default_rng(k).random(3000) < share, indexed._lists
    whole = vectors._WHOLE_ROWS + vectors._WHOLE_ROWS_EACH * k
    wanted = max(int(found.compared * (mask.sum() / 3000) ** 0.5), whole)
    seen = []
    for place in np.argsort(-(found.centres @ query), kind="stable"):
        if len(seen) >= wanted:
            break
        seen += [row for row in found.order[found.bounds[place] : found.bounds[place + 1]] if mask[row]]
    heads = found.heads[found.places[seen]] @ (query @ found.directions)
    best = np.array(seen)[np.argsort(-heads)[:whole]]
    expected = best[np.lexsort((best, -(ROWS[best] @ query)))][:k]
    assert indexed.search(query, k=k, allowed=None if share == 1 else mask)[0].tolist() == expected.tolist()


@given(st.lists(st.integers(0, 2999), max_size=50, unique=True), st.integers(1, 60))
def test_a_filter_that_few_pass_makes_the_search_exact(indexed, passing, k):
    mask = np.zeros(3000, np.bool_)
    mask[passing] = True
    found, scores = indexed.search(ROWS[0], k=k, allowed=mask)
    expected = np.sort(ROWS[passing] @ ROWS[0])[::-1][:k]
    assert mask[found].all()
    assert scores == pytest.approx(expected, abs=1e-6)


def test_what_all_rows_of_one_place_pass_is_found_from_afar(indexed):
    mask = np.zeros(3000, np.bool_)
    mask[np.argsort(ROWS @ ROWS[0])[:200]] = True  # the farthest of all
    assert len(indexed.search(ROWS[0], k=200, allowed=mask)[0]) == 200


def test_little_memory_takes_few_rows_at_once_and_keeps_them_all(tmp_path):
    rows = Rows(ROWS)
    write(rows, tmp_path, memory_bytes=100_000)
    assert rows.most <= max(100_000 // (12 * DIM), round(4 * 3000**0.5), lists._QUESTIONS)
    assert np.array_equal(VectorIndex.load(tmp_path).rows(np.arange(3000)), ROWS)


def test_where_lists_take_no_less_time_every_row_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(lists, "_measure", lambda *_: (1.0, float("inf")))
    found = write(Rows(ROWS), tmp_path)
    assert (found.kind, found.recall_at_10) == ("flat", 1.0)
    query = QUERIES[0]
    assert VectorIndex.load(tmp_path).search(query, k=10)[0].tolist() == nearest(query).tolist()


def test_a_larger_share_is_tried_only_where_a_smaller_one_finds_too_little(tmp_path, monkeypatch):
    tried = iter([(0.5, 0.0), (0.99, 5e3), (1.0, 0.0)])  # the second takes longer than all rows, the third need not be
    monkeypatch.setattr(lists, "_measure", lambda *_: next(tried))
    assert write(Rows(ROWS), tmp_path).kind == "flat"
    assert len(list(tried)) == 1


def test_where_lists_find_too_little_every_row_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(lists, "_measure", lambda *_: (0.5, 0.0))
    assert write(Rows(ROWS), tmp_path).kind == "flat"
    monkeypatch.setattr(vectors, "_near_places", None)  # heads and lists are not looked at
    index = VectorIndex.load(tmp_path)
    passing = np.arange(len(ROWS)) % 3 == 0
    for query in QUERIES[:20]:
        assert index.search(query, k=10)[0].tolist() == nearest(query).tolist()
        assert index.search(query, k=10, allowed=passing)[0].tolist() == nearest(query, allowed=passing).tolist()


def test_few_rows_have_no_lists(tmp_path):
    found = write(Rows(ROWS[:99]), tmp_path)
    assert (found.kind, found.compared, found.flat_ms) == ("flat", 99, None)
    assert {file.name for file in tmp_path.iterdir()} == {"vectors.npy"}


def test_rows_that_are_not_of_unit_length_are_refused(tmp_path):
    with pytest.raises(ValueError, match="length 1"):
        write(Rows(2 * ROWS[:50]), tmp_path)


@pytest.mark.parametrize("name", ["heads", "directions", "centres", "bounds", "order", "places"])
def test_lists_that_lack_a_file_are_refused(tmp_path, name):
    write(Rows(ROWS[:300]), tmp_path)
    (tmp_path / f"{name}.npy").unlink()
    with pytest.raises(vectors.IndexBroken, match="cannot be read"):
        VectorIndex.load(tmp_path)


def test_every_step_that_sorts_vectors_into_lists_tells_how_far_it_is(tmp_path):
    told = []
    write(Rows(ROWS), tmp_path, progress=lambda *step: told.append(step))
    assert list(dict.fromkeys(stage for stage, _, _ in told)) == ["sorting", "listing", "vectors", "measuring"]
    for stage in ("sorting", "listing", "vectors", "measuring"):
        steps = [(done, total) for name, done, total in told if name == stage]
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]


def test_centres_found_round_by_round_are_those_of_one_call():
    import faiss

    found, _ = lists._learn(Rows(ROWS), memory_bytes=2**20, progress=lambda *_: None)
    whole = faiss.Kmeans(
        DIM, len(found), niter=lists._ROUNDS, seed=lists._SEED, spherical=True, min_points_per_centroid=1,
        max_points_per_centroid=len(ROWS),
    )  # fmt: skip
    learnt_from = min(len(ROWS), max(len(found), 2**20 // (12 * DIM)), lists._ROWS_PER_CENTRE * len(found))
    whole.train(ROWS[np.linspace(0, len(ROWS) - 1, learnt_from).astype(np.int64)])
    np.testing.assert_array_equal(found, whole.centroids)
