import ir_measures
import numpy as np
import pytest

from rag.evaluation.measures import (
    Gold,
    answer_measures,
    aurc,
    best_passages,
    calibration,
    contains,
    correct,
    exact_match,
    expected_calibration_error,
    f1,
    ranking_measures,
    risk_coverage,
    strictly_falling,
)
from rag.records import Answer, Answerer, Article, Citation, Claim, Passage, Span

ARTICLE = Article(id="a.md", path="a.md", text="It opened in 1999. Ada designed it. It is long.", title="A")
PASSAGE = Passage("a.md", 0, 0, 46, ())


def answer_of(*spans, confidence=0.8, short_answer=None):
    citations = tuple(Citation.of(ARTICLE, PASSAGE, span, marker=i) for i, span in enumerate(spans, start=1))
    return Answer(
        question="When?",
        answer=" ".join(f"{c.quote} [{c.marker}]" for c in citations),
        claims=tuple(Claim(c.quote, (c.marker,), 1.0) for c in citations),
        citations=citations,
        hits=(),
        confidence=confidence,
        reason=None if spans else "none",
        answerer=Answerer("quotes", "m", "r"),
        index="i",
        short_answer=short_answer,
    )


OPENED, DESIGNED, LONG = Span(0, 18), Span(19, 35), Span(36, 47)
GOLD = Gold("When did it open?", ("1999", "in 1999"), (("a.md", (OPENED,)),), answerable=True)
NO_GOLD = Gold("Who paid for it?", answerable=False)


# Rankings


def test_measures_are_those_of_ir_measures():
    generator = np.random.default_rng(5)
    names = ("nDCG@10", "RR@10", "AP", "R@10", "Success@5")
    qrels = {f"q{q}": {f"d{d}": int(generator.integers(0, 3)) for d in range(0, 40, 3)} for q in range(20)}
    run = {
        f"q{q}": sorted(((f"d{d}", float(generator.random())) for d in range(40)), key=lambda item: -item[1])[:25]
        for q in range(20)
    }
    ours = ranking_measures(names, qrels=qrels, run=run)
    measures = [ir_measures.parse_measure(name) for name in names]
    theirs = ir_measures.iter_calc(measures, qrels, {topic: dict(ranking) for topic, ranking in run.items()})
    for value in theirs:
        assert ours[value.query_id][str(value.measure)] == pytest.approx(value.value, abs=1e-12)


def test_ndcg_is_linear_gain_over_the_logarithm_of_the_rank():
    found = ranking_measures(["nDCG@10"], qrels={"q": {"a": 2, "b": 1}}, run={"q": [("b", 0.9), ("a", 0.8)]})
    assert found["q"]["nDCG@10"] == pytest.approx((1 + 2 / np.log2(3)) / (2 + 1 / np.log2(3)))


def test_a_question_that_found_nothing_counts_as_zero():
    found = ranking_measures(["nDCG@10", "RR@10"], qrels={"q": {"a": 1}, "r": {"b": 1}}, run={"q": [("a", 1.0)]})
    assert found == {"q": {"nDCG@10": 1.0, "RR@10": 1.0}, "r": {"nDCG@10": 0.0, "RR@10": 0.0}}


def test_ties_keep_the_order_of_the_ranking_not_that_of_names():
    # trec_eval would put z first: equal scores go by name, the last in the alphabet first.
    found = ranking_measures(["RR@10", "AP"], qrels={"q": {"a": 1}}, run={"q": [("a", 0.5), ("z", 0.5)]})
    assert found["q"] == {"RR@10": 1.0, "AP": 1.0}


def test_an_unknown_measure_is_refused():
    with pytest.raises(ValueError, match="no such measure"):
        ranking_measures(["Nonsense@3"], qrels={"q": {"a": 1}}, run={})


def test_falling_scores_move_only_where_they_must():
    falling = strictly_falling([("a", 0.9), ("b", 0.5), ("c", 0.5), ("d", 0.5), ("e", 0.1)])
    assert [score for _, score in falling] == pytest.approx([0.9, 0.5, 0.5 - 1e-6, 0.5 - 2e-6, 0.1], abs=1e-9)
    singles = np.array([score for _, score in falling], dtype=np.float32)
    assert (np.diff(singles) < 0).all()


def test_an_article_scores_its_best_passage():
    assert best_passages([("a", 0.9), ("b", 0.8), ("a", 0.7)]) == [("a", 0.9), ("b", 0.8)]


# Answers


@pytest.mark.parametrize(
    ("said", "gold", "em", "shared"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1, 1),
        ("in 1999", "1999", 0, 2 * 1 / (2 + 1)),
        ("a b c", "b c d", 0, 2 * 2 / (2 + 3)),  # "a" is an article
        ("red red blue", "red", 0, 2 * 1 / (3 + 1)),
        ("", "", 1, 1),
        ("", "x", 0, 0),
        ("the", "", 1, 1),
        ("U.S.", "US", 1, 1),
        ("$3.5 billion", "3.5 billion", 1, 1),
        ("“quoted”", "quoted", 0, 0),  # the published rule knows ASCII punctuation alone
    ],
)
def test_em_and_f1_follow_the_published_rules(said, gold, em, shared):
    assert exact_match(said, gold, unspaced=False) == em
    assert f1(said, gold, unspaced=False) == pytest.approx(shared)


@pytest.mark.parametrize(
    ("said", "gold", "em", "shared"),
    [
        ("２０１９年。", "2019年", 1, 1),
        ("小笠原諸島", "小笠原", 0, 2 * 3 / (5 + 3)),
        ("「北京」", "北京", 1, 1),
    ],
)
def test_chinese_and_japanese_are_compared_by_character(said, gold, em, shared):
    assert exact_match(said, gold, unspaced=True) == em
    assert f1(said, gold, unspaced=True) == pytest.approx(shared)


def test_a_repeated_word_counts_as_often_as_both_answers_have_it():
    assert f1("new new york", "new york york", unspaced=False) == pytest.approx(2 / 3)
    assert f1("new new new", "new", unspaced=False) == pytest.approx(1 / 2)
    assert f1("york new", "new york new york", unspaced=False) == pytest.approx(2 / 3)
    assert f1("new york new york", "new york new york", unspaced=False) == 1


def test_an_answer_to_what_the_articles_do_not_say_is_wrong():
    gold = Gold("Who paid for it?", (), (("a.md", (OPENED,)),), answerable=False)
    assert not correct(answer_of(OPENED), gold)
    assert answer_measures(answer_of(OPENED), gold)["right"] == 0


def test_an_answer_contains_whole_words_only():
    assert contains("It opened in 1999.", "the 1999", unspaced=False) == 1
    assert contains("It cost 19990 francs.", "1999", unspaced=False) == 0
    assert contains("它于1999年开放", "1999年", unspaced=True) == 1
    assert contains("anything", "", unspaced=False) == 0


def test_a_right_answer_cites_gold():
    found = answer_measures(answer_of(OPENED, LONG, short_answer="1999"), GOLD)
    assert found == {
        "declined_answerable": 0,
        "characters": 18 + 11,
        "sentences": 2,
        "EM": 1,
        "F1": 1,
        "contains": 1,
        "evidence_cited": 1,
        "citation_recall": 1,
        "articles_cited": 1,
        "citation_precision": 1 / 2,
        "right": 1,
        "Brier": pytest.approx((0.8 - 1) ** 2),
    }


def test_citing_another_sentence_is_wrong_though_it_is_the_right_article():
    found = answer_measures(answer_of(DESIGNED), GOLD)
    assert (found["right"], found["evidence_cited"], found["citation_precision"]) == (0, 0, 0)


def test_one_of_several_gold_quotes_is_a_share_of_the_recall():
    gold = Gold("?", (), (("a.md", (OPENED,)), ("a.md", (LONG,)), ("b.md", (OPENED,))), answerable=True)
    found = answer_measures(answer_of(OPENED), gold)
    assert (found["citation_recall"], found["articles_cited"], found["evidence_cited"]) == (1 / 3, 1 / 2, 1)


def test_a_declined_question_is_right_exactly_when_the_articles_do_not_say():
    declined = answer_of(confidence=0.2)
    wrongly = answer_measures(declined, GOLD, withheld=answer_of(OPENED, confidence=0.2))
    assert (wrongly["right"], wrongly["declined_answerable"], wrongly["refusal_precision"], wrongly["F1"]) == (
        0,
        1,
        0,
        0,
    )
    assert wrongly["Brier"] == pytest.approx((0.2 - 1) ** 2)
    assert "citation_precision" not in wrongly
    rightly = answer_measures(declined, NO_GOLD, withheld=answer_of(LONG, confidence=0.2))
    assert (rightly["right"], rightly["refusal_recall"], rightly["refusal_precision"], rightly["F1"]) == (1, 1, 1, 1)
    assert rightly["Brier"] == pytest.approx(0.2**2)


def test_without_gold_quotes_the_gold_answer_decides():
    assert correct(answer_of(OPENED), Gold("When?", ("1999",), answerable=True))
    assert not correct(answer_of(LONG), Gold("When?", ("1999",), answerable=True))


def test_where_nothing_is_known_nothing_is_right_or_wrong():
    found = answer_measures(answer_of(LONG), Gold("When?"))
    assert found.keys() == {"characters", "sentences"}


# Confidence


def test_risk_is_the_share_of_errors_among_the_most_confident():
    curve = risk_coverage([0.9, 0.8, 0.7, 0.6], [True, False, True, False])
    assert curve == [
        (1 / 4, 0, 0.9),
        (2 / 4, pytest.approx(1 / 2), 0.8),
        (3 / 4, pytest.approx(1 / 3), 0.7),
        (4 / 4, pytest.approx(2 / 4), 0.6),
    ]
    assert aurc([0.9, 0.8, 0.7, 0.6], [True, False, True, False]) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_equal_confidences_share_their_errors_whatever_their_order():
    assert aurc([0.5, 0.5], [True, False]) == aurc([0.5, 0.5], [False, True]) == pytest.approx(1 / 2)


def test_calibration_bins_hold_equally_many_and_keep_ties_together():
    bins = calibration([0.1, 0.2, 0.3, 0.4], [False, False, True, True], bins=2)
    assert [(b.n, b.confidence, b.right) for b in bins] == [(2, pytest.approx(0.15), 0), (2, pytest.approx(0.35), 1)]
    assert expected_calibration_error(bins) == pytest.approx((0.15 + 0.65) / 2)
    assert [b.n for b in calibration([0.5, 0.5, 0.5, 0.9], [True] * 4, bins=2)] == [3, 1]
