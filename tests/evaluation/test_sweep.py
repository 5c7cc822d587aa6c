import pytest

from rag.errors import ConfigError
from rag.evaluation.statistics import paired_difference
from rag.evaluation.sweep import combinations, rank_combinations, read_grid


def test_a_grid_is_read_from_sections_and_dotted_keys(tmp_path):
    file = tmp_path / "grid.yaml"
    file.write_text("retrieval:\n  k: [4, 8]\n  fusion: rrf\nencoder.max_tokens: [null, 128]\n")
    assert read_grid(file) == {
        "retrieval.k": ["4", "8"],
        "retrieval.fusion": ["rrf"],
        "encoder.max_tokens": ["null", "128"],
    }


@pytest.mark.parametrize("content", ["", "- 1\n", "retrieval.k: []\n", "a: [\n"])
def test_what_is_no_grid_is_refused(tmp_path, content):
    file = tmp_path / "grid.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError):
        read_grid(file)


def test_the_last_setting_changes_fastest():
    assert combinations({"a": ["1", "2"], "b": ["x", "y"]}) == [
        {"a": "1", "b": "x"},
        {"a": "1", "b": "y"},
        {"a": "2", "b": "x"},
        {"a": "2", "b": "y"},
    ]


def test_the_best_comes_first_and_the_others_are_measured_against_it():
    low, high = [0.0] * 12, [1.0] * 12
    worst, best = rank_combinations([({"k": "1"}, low), ({"k": "2"}, high)], measure="right")[::-1]
    assert (best.settings, best.difference, best.differs) == ({"k": "2"}, None, False)
    assert worst.difference == paired_difference(high, low)
    assert worst.differs


def test_of_a_measure_that_should_be_low_the_lowest_is_the_best():
    best, _ = rank_combinations([({"k": "1"}, [0.5]), ({"k": "2"}, [0.1])], measure="Brier")
    assert best.settings == {"k": "2"}
