from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from training.tokens import TokenisedExamples, locate_tokens, make_batch, plan_batches


def make_examples(sizes: list[int]) -> TokenisedExamples:
    n = len(sizes)
    zeros = np.zeros(n, dtype=np.int32)
    return TokenisedExamples(
        ids=np.arange(sum(sizes), dtype=np.int32) + 1,
        offsets=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        breaks=np.full(n, 2, dtype=np.int32),
        starts=zeros - 1, ends=zeros - 1, answerable=zeros, support=zeros, inside=zeros, groups=zeros,
        names=("s · k",),
    )  # fmt: skip


def test_batches_hold_every_row_once_within_the_limit():
    sizes = np.array([5, 9, 3, 7, 7, 2, 12, 4])
    batches = plan_batches(sizes, max_batch_tokens=20, bucket=8, seed=1)
    assert sorted(np.concatenate(batches).tolist()) == list(range(8))
    assert all(len(rows) * sizes[rows].max() <= 20 for rows in batches)


def test_same_seed_gives_the_same_batches():
    sizes = np.arange(1, 40)
    plans = [plan_batches(sizes, max_batch_tokens=60, bucket=16, seed=5) for _ in range(2)]
    assert [rows.tolist() for rows in plans[0]] == [rows.tolist() for rows in plans[1]]


def test_batch_is_padded_and_typed():
    batch = make_batch(make_examples([4, 3]), rows=np.array([0, 1]))
    assert batch.ids.tolist() == [[1, 2, 3, 4], [5, 6, 7, 0]]
    assert batch.mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch.types.tolist() == [[0, 0, 1, 1], [0, 0, 1, 0]]


def test_examples_survive_the_disk(tmp_path):
    examples = make_examples([4, 3])
    examples.save(tmp_path / "e.npz")
    loaded = TokenisedExamples.load(tmp_path / "e.npz")
    assert loaded.names == examples.names
    assert loaded.ids.tolist() == examples.ids.tolist()


def test_as_many_as_asked_are_drawn_each_once_and_the_same_each_time():
    examples = make_examples([4, 3, 5, 2])
    assert sorted(examples.draw(2).sizes.tolist()) == sorted(examples.draw(2).sizes.tolist())
    assert len(examples.draw(3)) == 3
    assert sorted(examples.draw(9).sizes.tolist()) == [2, 3, 4, 5]
    assert examples.draw(0) is examples


def test_small_sources_are_drawn_whole_and_large_ones_alike():
    examples = make_examples([3] * 16)
    groups = np.array([0] * 2 + [1] * 3 + [2] * 2 + [3] * 9, dtype=np.int32)
    drawn = replace(examples, groups=groups, names=("few · a", "some · a", "some · b", "many · a")).draw(8)
    counts = Counter(drawn.names[group].split(" · ")[0] for group in drawn.groups)
    assert counts == {"few": 2, "some": 3, "many": 3}


@pytest.mark.parametrize(("span", "expected"), [((0, 3), (0, 0)), ((2, 6), (0, 1)), ((3, 4), None)])
def test_located_tokens_overlap_the_span(span, expected):
    assert locate_tokens([(0, 3), (4, 8)], span=span) == expected
