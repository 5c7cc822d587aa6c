"""The benchmark of the budget: a pair is read once, and every budget is charged for it."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from benchmarks.budget import TOKENS, Charging, Outcome, budgets, cells, curve, row_from, row_of
from rag.answering.reading import Budget
from rag.models.reader import Page, PassageReading


class CountingReader:
    """A reader whose logit is the length of the page."""

    name = "counting"
    revision = "1"

    def __init__(self):
        self.read_pages = []

    def read(self, _question, passages):
        self.read_pages += passages
        nothing = np.zeros(0, np.float32)
        return [PassageReading(float(len(page.text)), nothing, nothing, np.zeros((0, 2), int)) for page in passages]

    def sizes(self, _question, passages):
        return [len(page.text) for page in passages]


def test_a_pair_is_read_once_and_charged_each_time():
    counting = CountingReader()
    reader = Charging(counting)
    pages = [Page("one"), Page("three")]
    assert [one.answerable for one in reader.read("q", pages)] == [3.0, 5.0]
    assert [one.answerable for one in reader.read("q", pages[::-1])] == [5.0, 3.0]
    reader.read("another question", pages[:1])
    assert sorted(page.text for page in counting.read_pages) == ["one", "one", "three"]
    assert [one.tokens for one in reader.taken] == [3, 5, 5, 3, 3]


def test_every_budget_but_the_wider_ones_is_the_default_with_fewer_tokens():
    compared = budgets(Budget())
    whole = compared["no bound"]
    assert [compared[f"{tokens} tokens"].tokens for tokens in TOKENS] == list(TOKENS)
    assert {budget.sentences for budget in list(compared.values())[: len(TOKENS) + 1]} == {whole.sentences}


def outcome(answerable, right, confidence, *, tokens):
    return Outcome(answerable, right, confidence, pairs=tokens // 10, tokens=tokens, ms=tokens / 40)


def test_a_row_compares_the_answerable_pair_by_pair():
    answerable, right = (True, True, False), (True, False, False)
    whole = [outcome(one, one, 0.9, tokens=40) for one in answerable]
    sure = (0.9, 0.1, 0.5)
    bounded = [outcome(*three, tokens=20) for three in zip(answerable, right, sure, strict=True)]
    row = row_of("few", bounded, whole=whole)
    assert (row.pairs, row.tokens, row.ms) == (2.0, 20.0, 0.5)
    assert (row.right.mean, row.right.n) == (0.5, 2)
    assert row.less.mean == pytest.approx(-0.5)
    assert row.answerable.value == pytest.approx(1 / 2)


@pytest.mark.parametrize(("answerable", "told"), [((True,), 1), ((False,), 3), ((True, True), 1), ((True, False), 0)])
def test_what_a_small_sample_cannot_tell_is_said_to_be_too_few(answerable, told):
    outcomes = [outcome(one, one, 0.5, tokens=10) for one in answerable]
    assert cells(row_of("few", outcomes, whole=outcomes), tokens_a_ms=10.0).count("too few") == told


def kept_row(name):
    outcomes = [outcome(*three, tokens=20) for three in ((True, True, 0.9), (True, False, 0.1), (False, False, 0.5))]
    return row_of(name, outcomes, whole=outcomes)


def test_a_row_is_the_same_when_it_was_kept():
    row = kept_row("700 tokens")
    assert row_from(json.loads(json.dumps(asdict(row)))) == row


def test_a_budget_in_tokens_is_shown_in_milliseconds_too():
    assert cells(kept_row("700 tokens"), tokens_a_ms=14.0)[:2] == ["700 tokens", "50"]
    assert cells(kept_row("share .8"), tokens_a_ms=14.0)[:2] == ["share .8", "–"]


def test_the_curve_holds_the_budgets_in_tokens_of_each_set_and_no_others():
    rows = [asdict(kept_row(name)) for name in ("no bound", "300 tokens", "700 tokens", "share .8")]
    kept = {"when": "2026-01-02T03:04:05+00:00", "tokens_a_ms": 10.0, "sets": {"seeds": {"n": 3, "rows": rows}}}
    found = [(record["set"], record["bound"], record["budget_ms"]) for record in curve(kept)]
    assert found == [("seeds", 300, 30.0), ("seeds", 700, 70.0)]
    assert list(curve({})) == []
