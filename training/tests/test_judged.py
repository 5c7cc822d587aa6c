import gzip
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.judging import Finding, Verdict
from rag.records import Span
from training.answerability import best_threshold
from training.examples import pick_share, start_before
from training.judged import NOTHING, evaluate_squad_judged, judge_questions, lay_out, read_dev
from training.prepare import Recipe
from training.sources import SourcePassage
from training.squad import Question, measure_answers, sentence_around
from training.twins import make_judge, open_reader

PARAGRAPH = SourcePassage(0, "Ferries", "The harbour is old. A ferry leaves at nine. It costs two crowns.")


def span_of(words: str) -> Span:
    start = PARAGRAPH.text.index(words)
    return Span(start, start + len(words))


class PointingJudge:
    """Finds the first of its words that a question holds, surer of the answers to longer questions."""

    name = model = revision = "pointing"

    def __init__(self, spans, *, short=True):
        self.spans = spans
        self.short = short

    def judge(self, question, readings, *, part=1):  # noqa: ARG002
        for word, span in self.spans.items():
            if word in question:
                sentence = next(one for one, _ in readings[0].sentences() if one.start <= span.start < one.end)
                finding = Finding(readings[0], sentence, 0.5, short_answer=span if self.short else None)
                return Verdict((finding,), len(question) / 100)
        return Verdict((), 0.0)


def test_a_paragraph_is_laid_out_as_whole_sentences_that_cover_it():
    long = SourcePassage(1, "Ferries", " ".join([PARAGRAPH.text] * 20))
    readings = lay_out(long)
    assert len(readings) > 1
    assert {reading.hit.score for reading in readings} == {1.0}
    texts = [text for reading in readings for _, text in reading.sentences()]
    assert set(texts) == {"The harbour is old.", "A ferry leaves at nine.", "It costs two crowns."}
    assert readings[0].hit.passage.start == 0
    assert readings[-1].hit.passage.end == len(long.text)


def test_an_answer_is_the_short_one_or_else_the_sentence_and_nothing_where_nothing_is_found():
    questions = [Question(text, 0, (), ()) for text in ("When?", "Who else?")]
    spans = {"When": span_of("nine")}
    short = judge_questions(PointingJudge(spans), [PARAGRAPH], questions)
    assert short.spans == [span_of("nine"), NOTHING]
    assert short.confidences.tolist() == [0.05, 0.0]
    whole = judge_questions(PointingJudge(spans, short=False), [PARAGRAPH], questions)
    assert whole.spans[0] == span_of("A ferry leaves at nine.")


def write_training_data(folder, rows):
    """Write rows of (source, title, question, answer) as the training data are laid out."""
    (folder / "train").mkdir(parents=True)
    passages = [{"id": n, "title": title, "text": PARAGRAPH.text} for n, (_, title, _, _) in enumerate(rows)]
    spans = [
        {"src": source, "question": question, "passage_id": n, "answerable": bool(answer), "kind": "span",
         "answers": [{"start": span_of(answer).start, "text": answer}] if answer else []}
        for n, (source, _, question, answer) in enumerate(rows)
    ]  # fmt: skip
    for name, lines in (("passages", passages), ("span", spans)):
        with gzip.open(folder / "train" / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(line)}\n" for line in lines)


def titles(*, kept_apart):
    names = (f"Article {number}" for number in itertools.count())
    return (name for name in names if (pick_share(name.lower()) < Recipe().dev_share) is kept_apart)


def test_questions_kept_apart_are_of_squad_and_of_articles_that_no_training_saw(tmp_path):
    apart, trained = next(titles(kept_apart=True)), next(titles(kept_apart=False))
    rows = [
        ("squad2_train_rebuilt", trained, "Where?", "harbour"),
        ("squad2_train_rebuilt", apart, "When?", "nine"),
        ("nq_open_oracle", apart, "What?", "ferry"),
        ("squad2_train_rebuilt", apart, "Who?", ""),
    ]
    write_training_data(tmp_path, rows)
    paragraphs, questions = read_dev(tmp_path)
    assert [paragraph.title for paragraph in paragraphs] == [apart, apart]
    assert questions == [
        Question("When?", 0, ("nine",), (span_of("nine").start,)),
        Question("Who?", 1, (), ()),
    ]


def test_the_threshold_comes_from_questions_kept_apart(tmp_path):
    # Where those without an answer are the surer ones, nothing is worth answering, whatever the file says.
    apart = next(titles(kept_apart=True))
    near = "When does the ferry sink that costs three crowns?"
    write_training_data(
        tmp_path, [("squad2_train_rebuilt", apart, "When?", ""), ("squad2_train_rebuilt", apart, near, "")]
    )
    rows = [
        {"question": "When does it leave?", "answers": [{"text": "nine", "answer_start": span_of("nine").start}]},
        {"question": "When?", "answers": [], "is_impossible": True},
    ]
    data = {"data": [{"title": "Ferries", "paragraphs": [{"context": PARAGRAPH.text, "qas": rows}]}]}
    (tmp_path / "squad.json").write_text(json.dumps(data))
    judge = PointingJudge({"When": span_of("nine")})
    figures = evaluate_squad_judged(judge, data=tmp_path, path=tmp_path / "squad.json")
    assert figures["answerable_f1"].value == figures["auroc"].value == 1.0
    assert figures["declined_answerable"].value == 1.0
    assert figures["overall_f1"].value == 0.5


def test_the_answerer_itself_finds_the_words():
    questions = [Question("What does it cost?", 0, ("two crowns",), (span_of("two").start,))]
    judged = judge_questions(make_judge(open_reader("shipped")), [PARAGRAPH], questions)
    assert judged.spans == [span_of("two crowns")]
    assert 0 < judged.confidences[0] < 1


def test_declining_counts_as_right_where_there_is_no_answer():
    answered = Question("When?", 0, ("nine",), (PARAGRAPH.text.index("nine"),))
    near = Question("Where to?", 0, (), ())

    def measured(threshold):
        spans = [span_of("nine"), span_of("old")]
        return measure_answers([PARAGRAPH], [answered, near], spans, scores=np.array([1.0, -1.0]), threshold=threshold)

    assert measured(0.0)["overall_f1"].value == measured(0.0)["auroc"].value == 1.0
    assert measured(0.0)["sentence_right"].value == 1.0
    assert measured(-2.0)["overall_f1"].value == pytest.approx(0.5)
    assert measured(-2.0)["declined_unanswerable"].value == 0.0


def test_nothing_found_is_no_right_sentence():
    asked = [Question("What is old?", 0, ("The harbour",), (0,)), Question("Who?", 0, (), ())]
    figures = measure_answers([PARAGRAPH], asked, [NOTHING, NOTHING], scores=np.array([0.5, 0.0]), threshold=0.1)
    assert figures["sentence_right"].value == 0.0


def test_no_threshold_parts_questions_of_one_score():
    asked = [Question("When?", 0, ("nine",), (span_of("nine").start,)), Question("Who?", 0, (), ())]
    spans = [span_of("nine")] * 2
    figures = measure_answers([PARAGRAPH], asked, spans, scores=np.zeros(2), threshold=0.0)
    assert figures["overall_f1_at_best_threshold"] == 0.5


@given(st.integers(0, len(PARAGRAPH.text) - 1))
def test_a_place_lies_in_its_sentence_and_behind_the_one_before(place):
    start, end = sentence_around(PARAGRAPH.text, place)
    assert start <= place <= end
    assert start_before(PARAGRAPH.text, start) <= start


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.booleans(), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=12)
)
def test_no_threshold_is_worth_more_than_the_best(rows):
    odds = np.array([float(odd) for odd, _, _ in rows])
    answerable = np.array([flag for _, flag, _ in rows])
    f1 = np.array([value for _, _, value in rows])

    def worth(threshold):
        kept = odds > threshold
        gained = f1[kept & answerable].sum() / max(1, answerable.sum())
        return gained + (~kept & ~answerable).sum() / max(1, (~answerable).sum())

    best = worth(best_threshold(odds, answerable, f1))
    assert best == pytest.approx(max(worth(threshold) for threshold in [*odds, odds.min() - 1]))
