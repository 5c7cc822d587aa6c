import pytest

from rag.errors import QuestionError
from rag.evaluation.compare import ScoredTopic, compare_files, compare_sides
from rag.evaluation.statistics import holm, paired_difference


def side(**values):
    return {topic: ScoredTopic("?", {"right": value, "F1": 0.5}, (topic,)) for topic, value in values.items()}


A = side(q1=0.0, q2=1.0, q3=0.0, q4=0.0)
B = side(q1=1.0, q2=0.0, q3=1.0, q5=1.0)


def compared(measure=None, most=10):
    return compare_sides(A, B, names=("a", "b"), measure=measure, most=most)


def test_differences_are_paired_and_corrected_for_the_number_of_measures():
    found = compared()
    right, f1 = found.rows
    expected = paired_difference([0, 1, 0], [1, 0, 1])
    assert (right.measure, right.a, right.b, right.difference) == ("right", 1 / 3, 2 / 3, expected)
    assert (right.p, f1.p) == tuple(holm([expected.p, 1.0]))


def test_questions_of_one_side_alone_are_told():
    assert (compared().topics, compared().unpaired) == (3, ("q4", "q5"))


def test_the_questions_that_moved_most_come_first_with_what_each_side_shows():
    found = compared(most=2)
    assert [(topic.id, topic.a, topic.b) for topic in found.moved] == [("q1", 0, 1), ("q2", 1, 0)]
    assert (found.measure, found.moved[0].shown_a) == ("right", ("q1",))
    assert compared(measure="F1").moved == ()


def test_a_measure_that_only_one_side_has_cannot_be_looked_at():
    with pytest.raises(QuestionError, match="AP is not in both"):
        compared(measure="AP")


def test_sides_without_a_common_question_are_not_compared():
    with pytest.raises(QuestionError, match="no question in common"):
        compare_sides(A, side(q9=1.0), names=("a", "b"), measure=None, most=1)


def test_another_question_under_the_same_id_is_an_error():
    other = {"q1": ScoredTopic("Another?", {"right": 1.0}, ())}
    with pytest.raises(QuestionError, match="question q1 is not the same"):
        compare_sides(A, other, names=("a", "b"), measure=None, most=1)


def test_runs_are_scored_by_their_qrels_and_a_missing_topic_is_zero(tmp_path):
    one, other = tmp_path / "a.trec", tmp_path / "b.trec"
    one.write_text("q1 Q0 x 1 0.9 t\n")
    other.write_text("q1 Q0 x 1 0.9 t\nq2 Q0 y 1 0.9 t\n")
    qrels = {"q1": {"x": 1}, "q2": {"y": 1}}
    found = compare_files(one, other, qrels=qrels, questions={"q2": "Why?"}, measure="nDCG@10", most=5)
    assert [(t.id, t.question, t.a, t.b, t.shown_a, t.shown_b) for t in found.moved] == [
        ("q2", "Why?", 0, 1, (), ("y",))
    ]


def test_runs_need_gold_and_answers_need_scores(tmp_path):
    run, answers = tmp_path / "a.trec", tmp_path / "a.jsonl"
    run.write_text("q1 Q0 x 1 0.9 t\n")
    answers.write_text('{"schema": "rag.answer/1", "id": "q1"}\n')
    with pytest.raises(QuestionError, match="needs its gold"):
        compare_files(run, run, qrels=None, questions={}, measure=None, most=1)
    with pytest.raises(QuestionError, match=r"a\.jsonl:1 is no scored answer"):
        compare_files(answers, answers, qrels=None, questions={}, measure=None, most=1)
