"""Examples of several sets in one: how many of which source, and that each stays what it was."""

import numpy as np
import pytest

from training.mix import Part, main
from training.prepare import is_named
from training.tokens import TokenisedExamples


def make_examples(*names, each=40, first=0):
    count = each * len(names)
    numbers = np.arange(first, first + count)
    none = np.full(count, -1)
    return TokenisedExamples(
        ids=np.repeat(numbers, 2).astype(np.int32), offsets=2 * np.arange(count + 1), breaks=np.ones(count, dtype=int),
        starts=none, ends=none, answerable=numbers % 2, support=none, inside=none,
        groups=np.repeat(np.arange(len(names)), each).astype(np.int32), names=names,
    )  # fmt: skip


def test_sources_are_drawn_by_share_and_by_number(tmp_path):
    for folder, examples in (("one", make_examples("squad · a", "entries · b", "other", each=400)),
                             ("two", make_examples("news · c", "entries · d", each=400, first=5000))):  # fmt: skip
        (tmp_path / folder).mkdir()
        examples.save(tmp_path / folder / "train.npz")
        (tmp_path / folder / "dev.npz").write_bytes(folder.encode())
    parts = [f"{tmp_path}/one=squad:1,*:.5", f"{tmp_path}/two=news:100"]
    assert main(["--seed", "3", "--out", str(tmp_path / "mixed"), *parts]) == 0
    mixed = TokenisedExamples.load(tmp_path / "mixed" / "train.npz")
    sources = np.array(mixed.names)[mixed.groups]
    counts = {name: int((sources == name).sum()) for name in mixed.names}
    assert counts["squad · a"] == 400
    assert 150 < counts["other"] < 250
    assert 150 < counts["entries · b"] < 250
    assert 60 < counts["news · c"] < 140
    assert counts["entries · d"] == 0
    assert (tmp_path / "mixed" / "dev.npz").read_bytes() == b"one"
    first_ids = mixed.ids[mixed.offsets[:-1]]
    assert (first_ids % 2 == mixed.answerable).all()
    assert (mixed.ids[mixed.offsets[:-1] + 1] == first_ids).all()
    assert ((first_ids >= 5000) == (sources == "news · c")).all()


def test_a_joined_set_has_the_examples_of_both():
    both = make_examples("a", each=2).join(make_examples("b", each=3, first=7))
    assert np.array(both.names)[both.groups].tolist() == ["a", "a", "b", "b", "b"]
    assert both.ids.tolist() == [0, 0, 1, 1, 7, 7, 8, 8, 9, 9]
    assert both.sizes.tolist() == [2] * 5


@pytest.mark.parametrize("written", ["folder", "folder=", "folder=squad", "folder=squad:0", "folder=:1"])
def test_what_names_no_amounts_is_refused(written):
    with pytest.raises(ValueError, match=r"FOLDER|could not"):
        Part.parse(written)


@pytest.mark.parametrize(
    ("letters", "named"), [("", "AGh"), ("Gh", "Gh"), ("A91-99", "A"), ("A92-99,G1-58", "G"), ("h58-58", "h")]
)
def test_articles_are_named_by_letters_and_ranges(letters, named):
    assert "".join(name[0] for name in ("A91", "G58", "h58") if is_named(name, letters)) == named
