import contextlib
import csv
import io
import json
import threading
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag import answer_files
from rag.answering import Verdict
from rag.batch import answer_questions
from rag.building import index_articles
from rag.config import Answering, Config, Reader, Retrieval
from rag.engine import Engine
from rag.errors import AnswersError, ConfigError, IndexBroken, QuestionError
from rag.index import ArticleFilter
from rag.progress import Reporting
from rag.render import answer_record

ARTICLES = {
    "ban.md": '# Ban\n\nChina banned seafood in August. Japan "protested", 8.4% [1] said.\n',
    "talks.md": "---\npublished: 2023-11-17\nlanguage: en\n---\n"
    "# Talks\n\nThe ministers met in Beijing. 中国禁止水产品。\n",
}
QUESTIONS = [
    {"id": "why", "question": "Why did China ban seafood?"},
    {"question": "Who met in\nBeijing?"},
    {"id": "bad"},
    {"id": "ja", "question": '"水产品"?'},
]


class Failing:
    """An encoder that fails for one question, as a model may, or as our own code may."""

    def __init__(self, encoder, word, error):
        self.encoder, self.word, self.error = encoder, word, error

    def __getattr__(self, name):
        return getattr(self.encoder, name)

    def encode_queries(self, texts):
        if self.word in texts[0]:
            raise self.error
        return self.encoder.encode_queries(texts)


@pytest.fixture
def config(tmp_path, word_encoder):
    for name, text in ARTICLES.items():
        (tmp_path / "articles").mkdir(exist_ok=True)
        (tmp_path / "articles" / name).write_text(text, encoding="utf-8")
    made = Config(
        folder=tmp_path,
        articles=("articles",),
        reader=Reader(model="none"),
        answer=Answering(min_confidence=0.0),
    )
    index_articles(made, [], encoder=word_encoder)
    return made


@pytest.fixture
def questions(tmp_path):
    return write_questions(tmp_path / "questions.jsonl", QUESTIONS)


@pytest.fixture(params=[1, 3])
def answer(config, word_encoder, request):
    """Answer a set, one by one or three at once; what was told is in `answer.told`, what was asked in `.asked`."""

    def run(questions, output, *, config=config, encoder=word_encoder, wanted=None, emit=None):
        run.told, run.asked = [], []
        config = replace(config, threads=request.param)
        with Engine(config, encoder=encoder, reporting=Reporting(notify=run.told.append), many=True) as engine:
            assert engine.at_once == request.param
            ask = engine.ask

            def watched(question, **options):
                run.asked.append(question)
                return ask(question, **options)

            engine.ask = watched
            return answer_questions(engine, questions, output=output, wanted=wanted, emit=emit or (lambda _line: None))

    return run


def write_questions(file, rows):
    file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return file


def records(file):
    content = file.read_bytes()
    kind = file.suffix.removeprefix(".")
    lines = answer_files.split_lines(content.removeprefix(answer_files.head(kind)), kind=kind)
    return [answer_files.from_line(line, kind=kind) for line in lines]


def unbroken(file):
    """Return the records before the first line that is not finished."""
    found = []
    with contextlib.suppress(ValueError):
        kind = file.suffix.removeprefix(".")
        for line in answer_files.split_lines(file.read_bytes().removeprefix(answer_files.head(kind)), kind=kind):
            found += [answer_files.from_line(line, kind=kind)] if line.endswith(b"\n") else []
    return found


def timeless(file):
    """Return an answer file without what differs from run to run."""
    kind = file.suffix.removeprefix(".")
    return [answer_files.to_line(record | {"timings_ms": {}}, kind=kind) for record in records(file)]


def test_an_answer_per_question_in_their_order_under_their_ids(answer, questions, tmp_path):
    report = answer(questions, tmp_path / "a.jsonl")
    found = records(tmp_path / "a.jsonl")
    assert [record["id"] for record in found] == ["why", "2", "bad", "ja"]
    assert [record["question"] for record in found] == [row.get("question", "") for row in QUESTIONS]
    assert (report.questions, report.answered, report.failed, report.kept) == (4, 3, 1, 0)


def test_a_line_is_the_record_that_ask_gives_with_its_id_and_stamp(answer, config, questions, tmp_path, word_encoder):
    answer(questions, tmp_path / "a.jsonl")
    with Engine(config, encoder=word_encoder) as engine:
        asked = answer_record(engine.ask(QUESTIONS[0]["question"]).answer)
        stamp = engine.stamp(None)
    line = records(tmp_path / "a.jsonl")[0]
    assert line | {"timings_ms": {}} == asked | {"id": "why", **stamp, "timings_ms": {}}


def test_csv_holds_what_jsonl_holds(answer, questions, tmp_path):
    for name in ("a.jsonl", "a.csv"):
        answer(questions, tmp_path / name)
    plain, table = ([r | {"timings_ms": {}} for r in records(tmp_path / name)] for name in ("a.jsonl", "a.csv"))
    assert table == plain


def test_the_columns_of_a_csv_keep_their_order(answer, questions, tmp_path):
    answer(questions, tmp_path / "a.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text(encoding="utf-8"), newline="")))
    assert list(rows[0])[:9] == [
        "id", "question", "answered", "answer", "short_answer", "confidence", "reason", "citations", "error",
    ]  # fmt: skip
    assert rows[0]["answered"] == "true"
    assert json.loads(rows[0]["citations"])[0]["quote"] in rows[0]["answer"]
    assert rows[1]["question"] == "Who met in\nBeijing?"
    assert json.loads(rows[2]["error"])["message"].endswith("line 3: there is no question")


def test_without_a_file_each_line_is_given_out_as_jsonl(answer, questions):
    lines = []
    answer(questions, None, emit=lines.append)
    assert [json.loads(line)["id"] for line in lines] == ["why", "2", "bad", "ja"]
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)


@pytest.mark.parametrize("error", [QuestionError("no", hint="ask"), ZeroDivisionError("a secret of the article")])
def test_a_question_that_fails_is_a_line_and_the_rest_goes_on(answer, questions, tmp_path, word_encoder, error):
    report = answer(questions, tmp_path / "a.jsonl", encoder=Failing(word_encoder, "Beijing", error))
    failed = records(tmp_path / "a.jsonl")[1]
    assert report.failed == 2
    assert (failed["id"], failed["question"]) == ("2", "Who met in\nBeijing?")
    assert failed["error"].keys() == {"message", "hint"}
    assert "secret" not in json.dumps(failed)


def test_what_no_question_would_survive_ends_the_run(answer, questions, tmp_path, word_encoder):
    with pytest.raises(IndexBroken):
        answer(questions, tmp_path / "a.jsonl", encoder=Failing(word_encoder, "Beijing", IndexBroken("gone")))
    assert [record["id"] for record in records(tmp_path / "a.jsonl")] == ["why"]


def test_a_wrong_date_ends_the_run_before_it_begins(answer, questions, tmp_path):
    with pytest.raises(ConfigError, match="--since"):
        answer(questions, tmp_path / "a.jsonl", wanted=ArticleFilter(since="soon"))
    assert not (tmp_path / "a.jsonl").exists()


def test_a_filter_holds_for_every_question(answer, questions, tmp_path):
    answer(questions, tmp_path / "a.jsonl", wanted=ArticleFilter(since="2023"))
    cited = {c["article"] for record in records(tmp_path / "a.jsonl") for c in record.get("citations", [])}
    assert cited == {"talks.md"}


# Going on


def test_what_is_answered_is_not_asked_again(answer, questions, tmp_path):
    answer(questions, tmp_path / "a.jsonl")
    before = (tmp_path / "a.jsonl").read_bytes()
    report = answer(questions, tmp_path / "a.jsonl")
    assert (answer.asked, report.kept, report.failed) == ([], 3, 1)
    assert (tmp_path / "a.jsonl").read_bytes() == before
    assert any("3 of 4 answers already" in line for line in answer.told)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["a.jsonl", "a.csv"]), st.floats(0, 1))
def test_a_run_killed_at_any_byte_ends_as_an_uninterrupted_one(answer, questions, tmp_path, name, place):
    file = tmp_path / name
    file.unlink(missing_ok=True)
    answer(questions, file)
    whole, content = timeless(file), file.read_bytes()
    file.write_bytes(content[: int(place * len(content))])
    finished = sum("error" not in record for record in unbroken(file))
    answer(questions, file)
    assert timeless(file) == whole
    assert len(answer.asked) == 3 - finished


@pytest.mark.parametrize("harm", ["order", "duplicate", "hole", "garbage", "stranger"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_file_that_was_changed_ends_as_an_uninterrupted_one(answer, questions, tmp_path, harm, name):
    file = tmp_path / name
    kind = name.partition(".")[2]
    answer(questions, file)
    whole, head = timeless(file), answer_files.head(kind)
    lines = list(answer_files.split_lines(file.read_bytes().removeprefix(head), kind=kind))
    harmed = {
        "order": lines[::-1],
        "duplicate": [lines[0], *lines],
        "hole": [*lines[:1], *lines[2:]],
        "garbage": [lines[0], b"what,is{this\n", *lines[1:]],
        "stranger": [*lines, answer_files.to_line(records(file)[0] | {"id": "other"}, kind=kind)],
    }
    file.write_bytes(head + b"".join(harmed[harm]))
    answer(questions, file)
    assert timeless(file) == whole
    assert len(answer.asked) == (1 if harm == "hole" else 0)
    assert not list(tmp_path.glob("*.partial"))


def test_an_interrupted_run_keeps_what_it_answered(answer, questions, tmp_path, word_encoder):
    file = tmp_path / "a.jsonl"
    with pytest.raises(KeyboardInterrupt):
        answer(questions, file, encoder=Failing(word_encoder, "水产品", KeyboardInterrupt))
    assert [record["id"] for record in records(file)] == ["why", "2", "bad"]
    answer(questions, file)
    assert answer.asked == ['"水产品"?']


def test_answers_to_other_questions_alone_are_not_thrown_away(answer, questions, tmp_path):
    file = tmp_path / "a.jsonl"
    answer(questions, file)
    kept = file.read_bytes()
    others = tmp_path / "others.jsonl"
    write_questions(others, [{"id": "other", "question": "Who met?"}])
    with pytest.raises(AnswersError, match="answers to other questions alone"):
        answer(others, file)
    assert file.read_bytes() == kept
    write_questions(questions, QUESTIONS[:1])
    answer(questions, file)
    assert len(records(file)) == 1


def test_another_question_under_the_same_id_is_asked(answer, questions, tmp_path):
    file = tmp_path / "a.jsonl"
    answer(questions, file)
    write_questions(questions, [QUESTIONS[0] | {"question": "Who protested?"}, *QUESTIONS[1:]])
    answer(questions, file)
    assert answer.asked == ["Who protested?"]
    assert [record["question"] for record in records(file)][:2] == ["Who protested?", "Who met in\nBeijing?"]
    assert any("another question" in line for line in answer.told)


def test_another_setting_asks_again_and_says_so(answer, config, questions, tmp_path):
    file = tmp_path / "a.jsonl"
    answer(questions, file)
    changed = Config(
        folder=config.folder, reader=config.reader, answer=config.answer, retrieval=Retrieval(k=1), threads=1
    )
    answer(questions, file, config=changed)
    assert len(answer.asked) == 3
    assert any("other settings, answered again: 3" in line for line in answer.told)


def test_another_filter_asks_again(answer, questions, tmp_path):
    answer(questions, tmp_path / "a.jsonl")
    answer(questions, tmp_path / "a.jsonl", wanted=ArticleFilter(language="en"))
    assert len(answer.asked) == 3


def test_what_changes_no_answer_asks_nothing_again(answer, config, questions, tmp_path):
    answer(questions, tmp_path / "a.jsonl")
    changed = Config(folder=config.folder, reader=config.reader, answer=config.answer, threads=3, articles=("other",))
    answer(questions, tmp_path / "a.jsonl", config=changed)
    assert answer.asked == []


def test_another_index_asks_again(answer, config, questions, tmp_path, word_encoder):
    answer(questions, tmp_path / "a.jsonl")
    (tmp_path / "articles" / "new.md").write_text("# New\n\nChina lifted the ban.\n", encoding="utf-8")
    index_articles(config, [], encoder=word_encoder)
    answer(questions, tmp_path / "a.jsonl")
    assert len(answer.asked) == 3


def test_a_longer_set_asks_what_is_new(answer, questions, tmp_path):
    answer(questions, tmp_path / "a.jsonl")
    write_questions(questions, [{"id": "new", "question": "What fell?"}, *QUESTIONS])
    answer(questions, tmp_path / "a.jsonl")
    # A question that had no id was called after its line, which is another one now.
    assert answer.asked == ["What fell?", "Who met in\nBeijing?"]
    assert [record["id"] for record in records(tmp_path / "a.jsonl")] == ["new", "why", "3", "bad", "ja"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"id": "note", "text": "mine"}\n'),
        ("a.jsonl", "my notes"),
        ("a.csv", "id,question\nq1,Who?\n"),
        ("a.csv", "my,notes"),
    ],
)
def test_a_file_that_holds_something_else_is_left_alone(answer, questions, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(AnswersError, match="something else"):
        answer(questions, tmp_path / name)
    assert (tmp_path / name).read_text() == content


def test_the_questions_are_not_overwritten(answer, questions):
    with pytest.raises(AnswersError, match="holds the questions"):
        answer(questions, questions)
    assert questions.read_text(encoding="utf-8").startswith('{"id": "why"')


@pytest.mark.parametrize(("bad", "more"), [(1, None), (5, None), (7, 2)])
def test_the_first_that_failed_are_told_with_their_reasons(answer, tmp_path, bad, more):
    rows = [{"id": f"q{number}", "question": ""} for number in range(bad)]
    file = write_questions(tmp_path / "q.jsonl", [*rows, {"id": "why", "question": "Why was the bridge closed?"}])
    report = answer(file, tmp_path / "a.jsonl")
    assert report.failed == bad
    reasons = [line for line in answer.told if "the question is empty" in line]
    assert reasons == [f"q{n}: {file}: line {n + 1}: the question is empty" for n in range(min(bad, 5))]
    assert [line for line in answer.told if line.startswith("and ")] == (
        [f"and {more} more, each told in its record’s “error”"] if more else []
    )


@pytest.mark.parametrize(
    ("name", "told"), [("a.txt", "written as .jsonl or .csv"), ("none/a.jsonl", "cannot be written")]
)
def test_a_file_that_cannot_be_written_is_told(answer, questions, tmp_path, name, told):
    with pytest.raises(AnswersError, match=told):
        answer(questions, tmp_path / name)


def test_the_answers_of_a_link_go_where_it_leads(answer, questions, tmp_path):
    (tmp_path / "real.jsonl").touch()
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "real.jsonl")
    answer(questions, tmp_path / "a.jsonl")
    answer(questions, tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").is_symlink()
    assert len(records(tmp_path / "real.jsonl")) == 4


def test_a_question_gets_the_same_answer_alone_and_in_a_set(config, word_encoder):
    """What an encoder makes of a text may depend on what it is encoded with; an answer may not."""

    class Drifting:
        def __getattr__(self, name):
            return getattr(word_encoder, name)

        def encode_passages(self, texts, **options):
            return word_encoder.encode_passages(texts, **options) * (1 + 1e-4 * (len(texts) - 1))

    with Engine(config, encoder=Drifting()) as engine:
        in_a_set = [answer_record(engine.ask(question).answer) for question in ("Who met?", "Why ban seafood?")]
    with Engine(config, encoder=Drifting()) as engine:
        alone = answer_record(engine.ask("Why ban seafood?").answer)
    assert in_a_set[1] | {"timings_ms": {}} == alone | {"timings_ms": {}}


def test_questions_answered_at_once_get_the_answers_that_they_get_one_by_one(config, word_encoder, tmp_path):
    config = replace(config, reader=Reader())
    rows = [{"question": f"Who met in Beijing with {number} ministers?"} for number in range(12)]
    questions = write_questions(tmp_path / "many.jsonl", rows)
    written = []
    for many, threads in ((False, 2), (True, 1), (True, 4)):
        file = tmp_path / f"{many}-{threads}.jsonl"
        with Engine(replace(config, threads=threads), encoder=word_encoder, many=many) as engine:
            answer_questions(engine, questions, output=file, emit=lambda _line: None)
        written.append(timeless(file))
    assert written[0] == written[1] == written[2]
    assert len(written[0]) == 12


def test_a_long_question_keeps_its_place(config, word_encoder, tmp_path):
    """The first one is answered last, and is written first."""
    last_begun, asked = threading.Event(), []

    class Judge:
        name, model, revision = "waiting", "none", "1"

        def judge(self, question, _readings, **_):
            if question == "0?":
                assert last_begun.wait(30)
            asked.append(question)
            if len(asked) == 3:
                last_begun.set()
            return Verdict((), 0.0)

    questions = write_questions(tmp_path / "q.jsonl", [{"question": f"{number}?"} for number in range(4)])
    with Engine(replace(config, threads=2), encoder=word_encoder, many=True) as engine:
        engine.judge = Judge()
        answer_questions(engine, questions, output=tmp_path / "a.jsonl", emit=lambda _line: None)
    assert asked == ["1?", "2?", "3?", "0?"]
    assert [record["question"] for record in records(tmp_path / "a.jsonl")] == ["0?", "1?", "2?", "3?"]


@pytest.mark.parametrize("answerer", ["writer", "endpoint"])
def test_what_a_model_writes_is_written_one_by_one(config, word_encoder, answerer):
    with Engine(replace(config, answerer=answerer), encoder=word_encoder, many=True) as engine:
        assert engine.at_once == 1


def test_a_long_cell_is_read_again(answer, tmp_path):
    rows = write_questions(tmp_path / "long.jsonl", [{"id": "a", "question": f"Who met in Beijing? {'x ' * 80_000}"}])
    answer(rows, tmp_path / "a.csv")
    answer(rows, tmp_path / "a.csv")
    assert answer.asked == []


def test_a_file_is_written_by_one_run_at_a_time(answer, questions, config, word_encoder, tmp_path):
    output, refused = tmp_path / "a.jsonl", []

    class Meanwhile:
        def __getattr__(self, name):
            return getattr(word_encoder, name)

        def encode_queries(self, texts):
            if not refused:
                with Engine(config, encoder=word_encoder) as engine, pytest.raises(AnswersError) as told:
                    answer_questions(engine, questions, output=output, emit=print)
                refused.append(str(told.value))
            return word_encoder.encode_queries(texts)

    answer(questions, output, encoder=Meanwhile())
    assert refused[0] == f"{output} is being written by another rag batch"
    assert len(records(output)) == len(QUESTIONS)
