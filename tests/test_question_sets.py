import io
import json

import pytest

from rag.errors import QuestionError
from rag.question_sets import BadRow, read_questions, read_rows
from rag.records import Evidence


@pytest.fixture
def written(tmp_path):
    def write(name, text):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


def jsonl(*rows):
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def ids(rows):
    return [row.id for row in rows]


def test_a_jsonl_row_is_a_question_with_its_gold(written):
    row = {
        "id": "q1",
        "question": "Who met?",
        "answers": ["Wang"],
        "evidence": [{"article": "a.md", "quote": "Wang met."}],
        "answerable": True,
        "kind": "factoid",
        "hops": 2,
    }
    (question,) = read_questions(written("q.jsonl", jsonl(row)))
    assert (question.id, question.question, question.answers) == ("q1", "Who met?", ("Wang",))
    assert question.evidence == (Evidence("a.md", "Wang met."),)
    assert question.answerable is True
    assert question.metadata == {"kind": "factoid", "hops": "2"}


def test_a_csv_row_is_the_same_question(written):
    text = (
        "id,question,answers,evidence,answerable,kind\n"
        'q1,"Who, then?","[""Wang"", ""Li""]","[{""article"": ""a.md"", ""quote"": ""Wang met.""}]",no,who\n'
    )
    (question,) = read_questions(written("q.csv", text))
    assert (question.id, question.question, question.answers) == ("q1", "Who, then?", ("Wang", "Li"))
    assert question.evidence == (Evidence("a.md", "Wang met."),)
    assert question.answerable is False
    assert question.metadata == {"kind": "who"}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("head", ["id{0}question", '"Id"{0}"Question"'])
def test_a_csv_may_be_as_a_spreadsheet_of_any_language_writes_it(written, mark, head):
    text = f'\ufeff{head.format(mark)}\r\nq1{mark}"Who met,\r\nand; where\t?"\r\n'
    (question,) = read_questions(written("q.csv", text))
    assert (question.id, question.question) == ("q1", "Who met,\r\nand; where\t?")


def test_a_plain_answer_of_a_csv_stands_for_itself(written):
    (question,) = read_questions(written("q.csv", "question,answers,evidence\nHow many?,888,\n"))
    assert (question.answers, question.evidence, question.answerable) == (("888",), (), None)


def test_every_line_of_a_text_is_a_question_but_blank_ones(written):
    rows = read_rows(written("q.txt", "Who?\n\n  Why?  \r\n"))
    assert [(row.line, row.id, row.question.question) for row in rows] == [(1, "1", "Who?"), (3, "3", "Why?")]


def test_a_row_without_an_id_is_called_after_the_line_it_begins_on(written):
    assert ids(read_rows(written("q.jsonl", jsonl({"question": "a"}, {"id": 7, "question": "b"})))) == ["1", "7"]
    assert ids(read_rows(written("q.csv", 'question\n"Who\nor what?"\nWhy?\n'))) == ["2", "4"]


def test_line_separators_inside_a_question_end_no_line(written):
    assert len(read_rows(written("q.jsonl", jsonl({"question": "a\u2028b\x85c"})))) == 1


@pytest.mark.parametrize("name", ["q.jsonl", "q.csv", "q.txt"])
def test_a_byte_order_mark_is_no_part_of_a_set(written, name):
    text = {"q.jsonl": jsonl({"question": "Who?"}), "q.csv": "question\nWho?\n", "q.txt": "Who?\n"}[name]
    (question,) = read_questions(written(name, b"\xef\xbb\xbf" + text.encode()))
    assert question.question == "Who?"


@pytest.mark.parametrize(("text", "found"), [('\n{"question": "Who?"}\n', "Who?"), ("Who {met}?\n", "Who {met}?")])
def test_standard_input_is_jsonl_when_it_begins_with_a_brace(monkeypatch, text, found):
    from rag.question_sets import STANDARD_INPUT

    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert [question.question for question in read_questions(STANDARD_INPUT)] == [found]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "no JSON object|not a JSON object"),
        ('{"id": "q"}', "there is no question"),
        ('{"question": " "}', "empty"),
        ('{"question": 5}', "no text"),
        ('{"question": "\\ud800"}', "half a character"),
        ('{"question": "Who?", "id": 1.5}', "neither text nor a whole number"),
        ('{"question": "Who?", "id": true}', "neither text nor a whole number"),
        ('{"question": "Who?", "answers": [1]}', "answers"),
        ('{"question": "Who?", "evidence": "a.md"}', "evidence is no list"),
        ('{"question": "Who?", "evidence": [{"article": "a.md"}]}', "no quote"),
        ('{"question": "Who?", "answerable": "perhaps"}', "neither true nor false"),
    ],
)
def test_a_bad_row_says_its_line_and_what_is_wrong_and_spares_the_others(written, row, told):
    file = written("q.jsonl", f"{jsonl({'question': 'Who?'})}{row}\n{jsonl({'question': 'Why?'})}")
    first, bad, last = read_rows(file)
    assert (first.question.question, last.question.question) == ("Who?", "Why?")
    assert isinstance(bad, BadRow)
    assert bad.error.message.startswith(f"{file}: line 2")
    with pytest.raises(QuestionError, match=told):
        read_questions(file)


@pytest.mark.parametrize(
    ("cells", "told"),
    [("a,b,c", "3 cells"), (",x", "no question"), ('Who?,"[1"', "answers is not JSON")],
)
def test_a_bad_row_of_a_csv_is_told_too(written, cells, told):
    (row,) = read_rows(written("q.csv", f"question,answers\n{cells}\n"))
    assert isinstance(row, BadRow)
    assert told in row.error.message
    assert "line 2" in row.error.message


def test_two_rows_with_one_id_are_an_error_that_names_both(written):
    file = written("q.jsonl", jsonl({"id": "q", "question": "a"}, {"question": "b"}, {"id": "q", "question": "c"}))
    with pytest.raises(QuestionError, match="lines 1 and 3 have the same id 'q'"):
        read_rows(file)


def test_a_line_number_that_is_another_rows_id_is_an_error(written):
    with pytest.raises(QuestionError, match="lines 1 and 2"):
        read_rows(written("q.jsonl", jsonl({"id": "2", "question": "a"}, {"question": "b"})))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("q.jsonl", "\n \n", "holds no questions"),
        ("q.csv", "question\n", "holds no questions"),
        ("q.csv", "id;query\n", "no column named question, only: id, query"),
        ("q.csv", "question,question\n", "two columns named question"),
        ("q.csv", 'question\n"Who?\n', "begins on line 2"),
        ("q.txt", b"\xff\xfe", "not UTF-8"),
        ("q.json", "{}", "in no format"),
    ],
)
def test_what_is_no_question_set_is_told(written, name, content, told):
    with pytest.raises(QuestionError, match=told) as error:
        read_rows(written(name, content))
    assert error.value.hint


def test_a_missing_set_is_told(tmp_path):
    with pytest.raises(QuestionError, match="cannot be read"):
        read_rows(tmp_path / "none.txt")


def test_a_bad_row_takes_no_other_rows_id(written):
    rows = read_rows(written("q.csv", "id,question\n1,Who?\n2,What?,else\n3,Where?\n"))
    assert ids(rows) == ["1", "line:3", "3"]
    assert isinstance(rows[1], BadRow)


def test_a_cell_may_be_as_long_as_a_question(written):
    (row,) = read_rows(written("q.csv", f"id,question\nq1,{'why ' * 40_000}\n"))
    assert len(row.question.question) > 150_000
