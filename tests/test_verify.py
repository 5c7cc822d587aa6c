import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag import answer_files, formats
from rag.batch import answer_questions
from rag.building import index_articles
from rag.config import Answering, Config, Reader
from rag.engine import Engine
from rag.errors import AnswersError, IndexMissing
from rag.formats import Style
from rag.pipeline import verify as verify_file

BAN = "# Ban\n\nChina banned seafood in August [12]. Japan protested. It fell by 8.4%.\n"
TALKS = "---\npublished: 2023-11\nsource: Times\n---\n# Talks\n\nThe ministers met in Beijing. They spoke of seafood.\n"
ROWS = [
    {"id": "row:1", "title": "One", "text": "Hokkaido lost its market."},
    {"title": "Two", "text": "Prices of scallops rose."},
]
QUESTIONS = ["Why did China ban seafood?", "Who met in Beijing?", "Who lost the market of Hokkaido?", "scallops prices"]
CITATION = {"marker": 1, "article": "ban.md", "quote": "Japan protested.", "start": 44, "end": 60, "line": 3}
RECORD = {
    "schema": "rag.answer/1",
    "id": "q1",
    "answered": True,
    "answer": "Japan protested. [1]",
    "claims": [{"text": "Japan protested.", "citations": [1]}],
    "citations": [CITATION],
    "passages": [],
    "reason": None,
    "answerer": {"name": "quotes"},
}


@pytest.fixture
def config(tmp_path, word_encoder):
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "ban.md").write_text(BAN, encoding="utf-8")
    (folder / "talks.md").write_text(TALKS, encoding="utf-8")
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS), encoding="utf-8")
    made = Config(
        folder=tmp_path, articles=("articles",), reader=Reader(model="none"), answer=Answering(min_confidence=0.0)
    )
    index_articles(made, [], encoder=word_encoder)
    return made


@pytest.fixture
def verify(config, tmp_path):
    """Verify records, or bytes, written to a file."""

    def check(content, name="a.jsonl"):
        if not isinstance(content, bytes):
            content = b"".join(answer_files.to_line(record, kind="jsonl") for record in content)
        (tmp_path / name).write_bytes(content)
        return verify_file(config, tmp_path / name)

    return check


@pytest.fixture
def honest(config, tmp_path, word_encoder):
    (tmp_path / "q.txt").write_text("\n".join([*QUESTIONS, ""]))
    for name in ("a.jsonl", "a.csv"):
        with Engine(config, encoder=word_encoder) as engine:
            answer_questions(engine, tmp_path / "q.txt", output=tmp_path / name, emit=print)
    return [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]


def problems(found):
    return [failure.problem for failure in found.failures]


def changed(**fields):
    return RECORD | fields


def cited(**fields):
    return RECORD | {"citations": [CITATION | fields]}


def test_honest_answers_hold(config, honest, tmp_path):
    for name in ("a.jsonl", "a.csv"):
        found = verify_file(config, tmp_path / name)
        assert (found.holds, found.answers, found.notes, found.gone) == (True, len(QUESTIONS), (), ())
        assert found.citations == sum(len(record["citations"]) for record in honest) >= len(QUESTIONS)


@pytest.mark.parametrize(
    ("sides", "told"),
    [
        ([{"party": "Japan", "citations": [1]}, {"party": "China", "citations": []}], None),
        ([{"party": "Japan", "citations": []}], "the sides cite [], the citations are [1]"),
        ([{"party": "Japan", "citations": [1, 2]}], "the sides cite [1, 2], the citations are [1]"),
        ([{"party": "Japan", "citations": ["1"]}], "malformed: sides[0].citations are no markers"),
        ([{"citations": [1]}], "malformed: sides[0].party is missing"),
        ("Japan", 'malformed: sides is "Japan"'),
    ],
)
def test_the_sides_of_an_answer_share_its_citations_between_them(verify, sides, told):
    assert problems(verify([changed(sides=sides)])) == ([] if told is None else [told])


def test_a_written_record_that_is_so_holds(verify):
    assert BAN.index("Japan protested.") == 44
    assert problems(verify([RECORD])) == []


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"path": "elsewhere/other.md"}, "not at elsewhere/other.md"),
        ({"path": "ban.md.md"}, "not at ban.md.md"),
        ({"passage": "talks.md#0"}, "not in the passage talks.md#0"),
        ({"passage": "ban.md#9"}, "not in the passage ban.md#9"),
        ({"passage": "ban.md"}, "not in the passage ban.md"),
    ],
)
def test_a_citation_names_the_file_and_the_passage_that_hold_its_quote(verify, honest, named, told):
    record = next(record for record in honest if record["citations"][0]["article"] == "ban.md")
    problem, *others = problems(verify([record | {"citations": [record["citations"][0] | named]}]))
    assert told in problem
    assert all("not among those that were looked at" in other for other in others)


def test_another_index_may_lie_elsewhere_and_have_cut_the_text_otherwise(verify, honest):
    record = next(record for record in honest if record["citations"][0]["article"] == "ban.md")
    citation = record["citations"][0] | {"path": "/home/another/articles/ban.md", "passage": "ban.md#9"}
    there = [passage | {"id": f"{passage['article']}#{9 - n}"} for n, passage in enumerate(record["passages"])]
    assert record["passages"][0]["id"] == record["citations"][0]["passage"]
    assert problems(verify([record | {"citations": [citation], "passages": there, "index": "another"}])) == []


def test_markers_stand_behind_the_claims_that_cite_them(verify):
    quote = "It fell by 8.4%."
    start = BAN.index(quote)
    second = CITATION | {"marker": 2, "quote": quote, "start": start, "end": start + len(quote)}
    claims = [{"text": "Japan protested.", "citations": [1]}, {"text": quote, "citations": [2]}]
    both = changed(answer=f"Japan protested. [1] {quote} [2]", claims=claims, citations=[CITATION, second])
    assert problems(verify([both])) == []
    crossed = problems(verify([both | {"answer": f"Japan protested. [2] {quote} [1]"}]))
    assert crossed == [
        "the answer does not show [1] behind a claim: 'Japan protested.'",
        f"the answer does not show [2] behind a claim: '{quote}'",
    ]
    reordered = problems(verify([both | {"answer": f"{quote} [2] Japan protested. [1]"}]))
    assert reordered == [f"the answer does not say a claim where it comes: '{quote}'"]


@pytest.mark.parametrize("fields", [{"confidence": 1.5}, {"claims": [{**RECORD["claims"][0], "support": -0.1}]}])
def test_a_number_that_is_no_probability_is_told(verify, fields):
    (problem,) = problems(verify([changed(**fields)]))
    assert "not from 0 to 1" in problem


def test_an_error_hides_no_answer(verify):
    record = changed(error={"message": "it failed", "hint": None})
    assert problems(verify([record])) == [f"a failed question has {name}" for name in ("answer", "claims", "citations")]


def test_a_mark_at_the_beginning_belongs_to_no_answer(verify):
    assert problems(verify(b"\xef\xbb\xbf" + answer_files.to_line(RECORD, kind="jsonl"))) == []


def test_a_row_that_moved_is_told_with_its_line(config, verify, honest):
    rows = config.folder / "articles" / "rows.jsonl"
    rows.write_text('{"id": "new", "text": "A new first row."}\n' + rows.read_text())
    record = next(record for record in honest if record["citations"][0]["article"] == "row:1")
    (problem,) = problems(verify([record]))
    assert "the quote is now on line 2 of" in problem


def test_one_character_of_any_quote_or_one_offset_changed_fails(verify, honest):
    for place, record in enumerate(honest):
        for number, citation in enumerate(record["citations"]):
            quote = citation["quote"]
            for change in (
                {"quote": quote[:-1] + "!"},
                {"quote": "x" + quote[1:]},
                {"quote": quote[:-1]},
                {"start": citation["start"] + 1},
                {"end": citation["end"] - 1},
                {"start": citation["start"] - 1, "end": citation["end"] - 1},
            ):
                tampered = [*record["citations"]]
                tampered[number] = citation | change
                lines = [*honest]
                lines[place] = record | {"citations": tampered}
                found = verify(lines)
                assert not found.holds, change
                assert {(f.line, f.id) for f in found.failures} == {(place + 1, record["id"])}
                assert citation["marker"] in {failure.marker for failure in found.failures}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_changed_in_a_citation_is_found_in_its_line(verify, honest, data):
    place = data.draw(st.sampled_from([i for i, record in enumerate(honest) if record["citations"]]))
    citations = [*honest[place]["citations"]]
    number = data.draw(st.integers(0, len(citations) - 1))
    citation = citations[number]
    field = data.draw(st.sampled_from(["quote", "start", "end"]))
    if field == "quote":
        at = data.draw(st.integers(0, len(citation["quote"]) - 1))
        other = data.draw(st.characters(exclude_categories=["Cs"]).filter(lambda c: c != citation["quote"][at]))
        changed_to = citation["quote"][:at] + other + citation["quote"][at + 1 :]
    else:
        changed_to = citation[field] + data.draw(st.integers(-99, 99).filter(bool))
    citations[number] = citation | {field: changed_to}
    found = verify([*honest[:place], honest[place] | {"citations": citations}, *honest[place + 1 :]])
    assert {(failure.line, failure.id) for failure in found.failures} == {(place + 1, honest[place]["id"])}
    assert citation["marker"] in {failure.marker for failure in found.failures}


def nearest(**fields):
    """Return the changed first passage of a record, and the second as it is."""
    return lambda passages: [passages[0] | fields, *passages[1:]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (nearest(start=1), "the passage {id} is at {start}:{end}, not at 1:{end}"),
        (nearest(end=10**30), "the passage {id} is at {start}:{end}, not at {start}:"),
        (nearest(article="rows.jsonl"), "the passage {id} is none of rows.jsonl"),
        (nearest(id="{id}9"), "the index holds no passage {id}9 of"),
        (nearest(text="What it does not say."), "the text of the passage {id} is not what stands"),
        (nearest(title="Another"), "title of the passage {id} changed: 'Another' is now '{title}'"),
        (nearest(score=-1.0), "the passage {second} scores"),
        (nearest(score=-(10**400)), "the passage {second} scores"),
        (nearest(rank=2), "passages are not ranked from 1 without gaps: [2, 2"),
        (nearest(rank="1"), 'malformed: passages[0].rank is "1"'),
        (lambda passages: [passages[0], *passages], "the passage {id} is listed twice"),
        (lambda passages: [*reversed(passages)], "passages are not ranked from 1"),
        (lambda passages: passages[1:], "passages are not ranked from 1"),
        (lambda _: [], "the passage {id} is not among those"),
        (lambda _: None, "malformed: passages is null"),
    ],
)
def test_the_passages_of_a_record_are_those_of_the_index(verify, honest, change, told):
    record = next(r for r in honest if r["answered"] and r["citations"][0]["passage"] == r["passages"][0]["id"])
    first, second = record["passages"][:2]
    names = first | {"second": second["id"], "title": record["citations"][0]["title"]}
    passages = change(record["passages"])
    if passages and "{id}" in passages[0]["id"]:
        passages = [passages[0] | {"id": passages[0]["id"].format(**names)}, *passages[1:]]
    found = problems(verify([record | {"passages": passages}]))
    assert any(problem.startswith(told.format(**names)) for problem in found), found


def test_what_another_index_cut_otherwise_is_no_failure(verify, honest):
    record = next(record for record in honest if record["answered"])
    moved = [passage | {"start": passage["start"] + 1} for passage in record["passages"]]
    assert problems(verify([record | {"passages": moved, "index": "another"}])) == []
    assert problems(verify([record | {"passages": moved}])) != []


def leaves(value, path=()):
    """Yield the path of every number and text in a record."""
    if isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, (*path, name))
    else:
        yield path


# Of these nothing else in a record, and no index, can tell that they are others than they were.
FREE = {"question", "id", "confidence", "support", "answerer", "index", "settings", "timings_ms", "score", "path"}


def is_checked(path):
    return not FREE & {part for part in path if part != "id" or len(path) == 1} and path != ("schema",)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_one_thing_that_is_changed_in_a_record_is_found(verify, honest, data):
    place = data.draw(st.sampled_from([i for i, record in enumerate(honest) if record["citations"]]))
    path = data.draw(st.sampled_from([path for path in leaves(honest[place]) if is_checked(path)]))
    changed_record = json.loads(json.dumps(honest[place]))
    holder = changed_record
    for part in path[:-1]:
        holder = holder[part]
    old = holder[path[-1]]
    kinds = {str: st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1)}
    kinds |= {
        int: st.integers(-2000, 2000),
        bool: st.booleans(),
        type(None): st.text(min_size=1).map(lambda t: f"x{t}"),
    }
    holder[path[-1]] = data.draw(kinds[type(old)].filter(lambda new: new not in {old, f"{old}"}))
    found = verify([*honest[:place], changed_record, *honest[place + 1 :]])
    assert {failure.line for failure in found.failures} == {place + 1}, path


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (cited(start=45, end=61), "quote changed: the quote is now at 44:60 of ban.md as indexed, not at 45:61"),
        (cited(start=-20, end=-4), "quote changed: the quote is now at 44:60"),
        (cited(start=44, end=10**30), "quote changed"),
        (cited(article="gone.md"), "article missing: the index holds no gone.md"),
        (cited(line=4), "the quote begins on line 3 of ban.md, not 4"),
        (cited(title="Another"), "title changed: 'Another' is now 'Ban'"),
        (cited(published="2020"), "published changed: '2020' is now None"),
        (cited(marker=2), "citations are not numbered from 1 without gaps: [2]"),
        (cited(quote=""), "the quote is empty"),
        (changed(answer="Japan protested."), "the answer shows the markers [], and has 1 citations"),
        (changed(answer="Japan protested. [1] [2]"), "the answer shows the markers [1, 2], and has 1 citations"),
        (changed(answer="Japan protested loudly. [1]"), "the answer says what no citation does"),
        (changed(claims=[{"text": "Japan left.", "citations": [1]}]), "a claim says what its citations do not"),
        (changed(claims=[{"text": "Japan protested.", "citations": []}]), "a claim is cited by nothing"),
        (changed(claims=[{"text": "Japan protested.", "citations": [1, 2]}]), "the claims cite [1, 2]"),
        (changed(claims=[]), "answered is true with 0 claims"),
        (changed(answered=False, reason="no"), "answered is false with 1 claims"),
        (changed(reason="because"), "an answer has a reason"),
        (changed(short_answer="Korea"), "the short answer is in no quote"),
        (changed(answered=False, answer="", claims=[], citations=[]), "no reason says why"),
        (cited(start="44"), 'malformed: citations[0].start is "44"'),
        (cited(start=True), "malformed: citations[0].start is true"),
        (changed(citations=[7]), "malformed: citations[0] is no object"),
        (changed(claims=[{"text": "Japan protested.", "citations": ["1"]}]), "malformed: claims[0].citations"),
        ({key: value for key, value in RECORD.items() if key != "answer"}, "malformed: answer is missing"),
    ],
)
def test_what_does_not_hold_is_told(verify, record, told):
    assert any(problem.startswith(told) for problem in problems(verify([record])))


def test_numbers_in_brackets_that_the_article_has_are_no_markers(verify):
    quote = "China banned seafood in August [12]."
    record = changed(
        answer=f"{quote} [1]",
        claims=[{"text": quote, "citations": [1]}],
        citations=[CITATION | {"quote": quote, "start": 7, "end": 7 + len(quote)}],
    )
    assert problems(verify([record])) == []


def test_a_writers_own_words_are_not_held_to_the_quotes(verify):
    record = changed(
        answer="There was a protest. [1]",
        claims=[{"text": "There was a protest.", "citations": [1]}],
        answerer={"name": "writer"},
    )
    assert problems(verify([record])) == []


def test_a_line_that_is_no_json_is_told_to_be_none(verify):
    assert problems(verify(b"hello\n")) == ["no answer: it is not JSON: Expecting value, at character 1"]
    assert problems(verify(b"\xff\n")) == ["no answer: it is not UTF-8 text"]


def test_lines_that_are_no_answers_are_failures_of_their_line(verify):
    lines = [json.dumps(RECORD), "{", '{"schema": "rag.search/1"}', "[]", json.dumps(RECORD)]
    found = verify("\n".join(lines).encode())
    assert [failure.line for failure in found.failures] == [2, 3, 4]
    assert found.answers == 5


def test_a_csv_with_other_columns_is_a_failure(verify):
    assert [failure.line for failure in verify(b"id,question\nq1,Who?\n", name="a.csv").failures] == [1, 2]


def test_a_failed_question_holds_nothing_to_check(verify):
    failed = {"schema": "rag.answer/1", "id": "2", "question": "", "error": {"message": "no", "hint": None}}
    found = verify([RECORD, failed])
    assert (found.holds, found.answers, found.skipped) == (True, 2, 1)


def test_a_single_answer_may_be_laid_out_over_lines(verify):
    assert verify(json.dumps(RECORD, indent=2).encode()).answers == 1
    assert not verify(json.dumps(cited(start=1), indent=2).encode()).holds


def test_another_index_is_a_note_and_no_failure(verify):
    found = verify([changed(index="another")])
    assert (found.holds, found.notes) == (True, ("the index has changed since the answers were made",))


# The files


def test_a_quote_that_moved_in_its_file_is_told_with_its_place(config, honest, tmp_path):
    (tmp_path / "articles" / "ban.md").write_text(BAN.replace("# Ban\n", "# The ban\n"), encoding="utf-8")
    found = verify_file(config, tmp_path / "a.jsonl")
    assert {problem.partition(": ")[0] for problem in problems(found)} == {"article changed on disk"}
    (note,) = found.notes
    assert note.startswith("bring the index up to date with: rag index ")
    citation = next(c for record in honest for c in record["citations"] if c["article"] == "ban.md")
    assert any(f"the quote is now at {citation['start'] + 4}:{citation['end'] + 4}" in p for p in problems(found))


@pytest.mark.usefixtures("honest")
def test_a_quote_that_left_its_file_is_told(config, tmp_path):
    (tmp_path / "articles" / "talks.md").write_text("# Talks\n\nNobody met anybody at all in this year.\n")
    assert any("nowhere in the text of" in problem for problem in problems(verify_file(config, tmp_path / "a.jsonl")))


def test_a_change_elsewhere_in_the_file_breaks_no_quote(verify, tmp_path):
    (tmp_path / "articles" / "ban.md").write_text(BAN + "\nMore was said later.\n", encoding="utf-8")
    assert verify([RECORD]).holds


def test_a_row_of_a_file_is_held_to_its_row(config, honest, tmp_path):
    assert {"row:1", "rows.jsonl:2"} <= {c["article"] for record in honest for c in record["citations"]}
    (tmp_path / "articles" / "rows.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    found = verify_file(config, tmp_path / "a.jsonl")
    assert any("no row of the file" in problem for problem in problems(found))
    assert not any("Hokkaido" in problem for problem in problems(found))


@pytest.mark.usefixtures("honest")
def test_a_file_that_is_gone_is_a_note(config, tmp_path):
    (tmp_path / "articles" / "talks.md").unlink()
    found = verify_file(config, tmp_path / "a.jsonl")
    assert (found.holds, found.gone) == (True, ("talks.md",))


@pytest.mark.usefixtures("honest")
def test_a_file_that_cannot_be_read_any_more_is_told(config, tmp_path):
    (tmp_path / "articles" / "talks.md").write_bytes(b"\x00\x01\x02" * 100)
    assert any(
        problem.startswith("article changed on disk") for problem in problems(verify_file(config, tmp_path / "a.jsonl"))
    )


# What is said


def test_the_report_names_line_id_marker_and_what_differs(verify):
    found = verify([RECORD, cited(start=45, end=61)])
    text = formats.verification(found, style=Style(format="text", width=80, color=False, terminal=True))
    assert text.splitlines() == [
        "line 2 (q1) [1]: quote changed: the quote is now at 44:60 of ban.md as indexed, not at 45:61",
        "note: the index has changed since the answers were made",
        "2 answers with 2 citations checked: 1 failure",
    ]
    record = json.loads(formats.verification(found, style=Style(format="json", width=80, color=False, terminal=False)))
    assert (record["schema"], record["holds"], record["failures"][0]["line"]) == ("rag.verify/1", False, 2)


def test_what_an_answer_file_says_cannot_move_the_cursor(verify):
    found = verify([cited(article="\x1b[2J\nx")])
    for kind in ("text", "json", "markdown"):
        text = formats.verification(found, style=Style(format=kind, width=80, color=False, terminal=True))
        assert "\x1b" not in text
        assert "\nx" not in text


def test_no_answers_and_no_file_are_told(verify, tmp_path, config):
    with pytest.raises(AnswersError, match="holds no answers"):
        verify(b"\n")
    with pytest.raises(AnswersError, match="cannot be read"):
        verify_file(config, tmp_path / "none.jsonl")


def test_without_an_index_nothing_can_be_checked(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps(RECORD))
    with pytest.raises(IndexMissing):
        verify_file(Config(folder=tmp_path), tmp_path / "a.jsonl")


@pytest.mark.usefixtures("honest")
def test_a_file_of_rows_is_read_once(config, tmp_path, monkeypatch):
    from rag import verify

    read, read_articles = [], verify.read_articles
    monkeypatch.setattr(verify, "read_articles", lambda file: (read.append(file.file.name), read_articles(file))[1])
    assert verify_file(config, tmp_path / "a.jsonl").holds
    assert read.count("rows.jsonl") == 1
