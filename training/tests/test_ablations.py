import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from training.ablations import BASE, compare_with, list_ablations, load_scores, save_scores, write_table  # noqa: E402
from training.answerability import DevScores, score_dev  # noqa: E402  # after the skip: they import torch
from training.reference import Logits  # noqa: E402
from training.tokens import TokenisedExamples  # noqa: E402
from training.train import select_examples  # noqa: E402

N = 80


def make_dev():
    rng = np.random.default_rng(3)
    sizes = rng.integers(8, 20, N)
    names = ("news · answerable", "news · written", "squad2_train_rebuilt · answerable", "altered · true")
    groups = np.arange(N) % 4
    answerable = np.array([(1, 0, 1, -1)[group] for group in groups])
    spans = np.where(answerable == 1, 5, -1)
    return TokenisedExamples(
        ids=np.arange(sizes.sum(), dtype=np.int32) % 40, offsets=np.concatenate(([0], np.cumsum(sizes))),
        breaks=np.full(N, 4), starts=spans, ends=spans, answerable=answerable, support=np.where(groups == 3, 1, 0),
        inside=np.zeros(N, int), groups=groups, names=names,
    )  # fmt: skip


class ByTheTokens:
    """A scorer whose logits depend on each pair's own tokens alone."""

    def __call__(self, ids, mask, types):
        start = (ids * 7 % 11 + types).astype(np.float32)
        return Logits((ids * mask).sum(1).astype(np.float32), start, start, np.zeros((len(ids), 3), np.float32))


def scores_with(gap):
    """Scores whose answerable pairs lie so far above the others."""
    dev = make_dev()
    rng = np.random.default_rng(1)
    answerable = dev.answerable.astype(np.int64)
    return DevScores(
        features=rng.normal(size=(N, 3)) + gap * answerable[:, None],
        answerable=answerable,
        spans_right=np.where(answerable == 1, 1.0, np.nan),
        overlaps=np.ones(N),
        support=np.ones((N, 3)) / 3,
        bits=dev.support.astype(np.int64),
        names=tuple(dev.names[group] for group in dev.groups),
    )


def test_a_run_comes_after_those_that_it_needs():
    done = set()
    for ablation in list_ablations(max_examples=10):
        needed = {*ablation.average_of, *([ablation.after] if ablation.after else ()), *([BASE] if done else ())}
        assert needed <= done
        assert ablation.name not in done
        done.add(ablation.name)


def test_all_see_as_many_examples_in_as_many_steps():
    assert {a.settings.max_examples for a in list_ablations(max_examples=70)} == {70}
    assert {a.settings.batches_per_step for a in list_ablations(max_examples=70)} == {2}


def test_pairs_are_scored_alike_one_by_one_and_in_batches():
    dev = make_dev()
    one_by_one, in_batches = (score_dev(ByTheTokens(), dev=dev, max_batch_tokens=most) for most in (1, 90))
    assert np.array_equal(one_by_one.features, in_batches.features)
    assert np.array_equal(one_by_one.spans_right, in_batches.spans_right, equal_nan=True)


def test_longer_pairs_and_named_kinds_are_left_out():
    dev = make_dev()
    kept = select_examples(dev, without="news · ", longest=12)
    assert len(kept) == sum(dev.sizes[i] <= 12 and dev.groups[i] >= 2 for i in range(N))
    assert kept.sizes.max() <= 12


def test_a_run_is_no_different_from_itself():
    base = scores_with(1.0)
    for _, gain in compare_with(base, base).values():
        assert (gain.value, gain.low, gain.high) == (0, 0, 0)


def test_only_a_difference_beyond_chance_is_bold():
    first, second, *_ = list_ablations(max_examples=10)
    rows = write_table([(first, scores_with(1.0)), (second, scores_with(1.0))], max_examples=10, pairs=N).splitlines()
    assert "**" not in rows[-1]
    rows = write_table([(first, scores_with(0.3)), (second, scores_with(3.0))], max_examples=10, pairs=N).splitlines()
    assert "**+" in rows[-1]


def test_the_table_names_what_is_not_run():
    first, second, *_ = list_ablations(max_examples=10)
    text = write_table([(first, scores_with(1.0))], max_examples=10, pairs=N, missing=[second.name])
    assert text.splitlines()[-1] == f"Not run yet: `{second.name}`. The same command goes on with them."
    assert "Not run" not in write_table([(first, scores_with(1.0))], max_examples=10, pairs=N)


def test_kept_scores_are_read_back(tmp_path):
    scored = score_dev(ByTheTokens(), dev=make_dev(), max_batch_tokens=90)
    save_scores(tmp_path / "s.npz", scored)
    read = load_scores(tmp_path / "s.npz", dev=make_dev())
    assert np.array_equal(read.features, scored.features)
    assert read.names == scored.names
