import pytest
import pytrec_eval

from rag.errors import QuestionError
from rag.evaluation.measures import ranking_measures
from rag.evaluation.runs import read_run, run_lines


def written(tmp_path, rankings):
    file = tmp_path / "run.trec"
    file.write_text("".join(run_lines(rankings.items())), encoding="utf-8")
    return file


def test_a_line_has_six_columns_and_scores_fall_with_the_rank(tmp_path):
    file = written(tmp_path, {"q": [("b", 0.5), ("a", 0.5)]})
    assert file.read_text() == "q Q0 b 1 0.5000000 rag\nq Q0 a 2 0.4999990 rag\n"


def test_names_with_blanks_come_back(tmp_path):
    names = ["my article.md", "100%.md", "a%20b.md", "中 国.md", "x\u3000y"]
    file = written(tmp_path, {"a topic": [(name, 1.0 - place / 10) for place, name in enumerate(names)]})
    assert [len(line.split()) for line in file.read_text().splitlines()] == [6] * 5
    assert [name for name, _ in read_run(file)["a topic"]] == names


def test_trec_eval_says_the_same_of_the_file(tmp_path):
    qrels = {"q": {"a": 1, "c": 1}, "r": {"b": 1}}
    rankings = {"q": [("a", 0.5), ("z", 0.5), ("c", 0.5)], "r": [("x", 0.9), ("b", 0.9)]}
    ours = ranking_measures(["nDCG@10", "AP"], qrels=qrels, run=rankings)
    run = {}
    for line in written(tmp_path, rankings).read_text().splitlines():
        topic, _, article, _, score, _ = line.split()
        run.setdefault(topic, {})[article] = float(score)
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "map"}).evaluate(run)
    for topic in qrels:
        assert ours[topic]["nDCG@10"] == pytest.approx(theirs[topic]["ndcg_cut_10"], abs=1e-6)
        assert ours[topic]["AP"] == pytest.approx(theirs[topic]["map"], abs=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q Q0 a 1 0.5\n", "run.trec:1: expected six columns"),
        ("q Q0 a 1 0.5 t\nq Q0 b 2 nan t\n", "run.trec:2: expected six columns"),
        ("q Q0 a 1 0.5 t\nq Q0 a 2 0.4 t\n", "run.trec:2: topic q ranks a twice"),
        ("\n", "holds no ranking"),
    ],
)
def test_what_is_no_run_is_named_by_its_line(tmp_path, content, message):
    file = tmp_path / "run.trec"
    file.write_text(content)
    with pytest.raises(QuestionError, match=message):
        read_run(file)
