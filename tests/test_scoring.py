"""The verbs that score, from files to tables, over a small index and an encoder without weights."""

import json
from dataclasses import replace

import pytest
import pytrec_eval

from rag import formats, sweeping
from rag.batch import answer_questions
from rag.building import index_articles
from rag.config import Answering, Config, Retrieval
from rag.config import Reader as ReaderSettings
from rag.engine import Engine
from rag.errors import ConfigError, QuestionError
from rag.evaluation.evaluate import declined_below
from rag.formats import Style
from rag.models.reader import Reader
from rag.scoring import Selection, below_bars, compare, evaluate_dataset, read_bars, with_settings
from rag.sweeping import sweep

JSON = Style(format="json", width=80, color=False, terminal=False)
TEXT, MARKDOWN = replace(JSON, format="text"), replace(JSON, format="markdown")
ARTICLES = {
    "bridge.md": "# The bridge\n\nThe old bridge opened in 1999. Ada Marsh designed it.",
    "ferry.md": "# The ferry\n\nThe ferry crosses the river at noon. A ticket costs 4 euros.",
    "tower.md": "# The tower\n\nThe tower of the town hall is closed.",
}
QUESTIONS = [
    {
        "id": "q1",
        "question": "When did the old bridge open?",
        "answers": ["1999"],
        "evidence": [{"article": "bridge.md", "quote": "The old bridge opened in 1999."}],
        "answerable": True,
        "kind": "fact",
        "split": "dev",
    },
    {
        "id": "q2",
        "question": "What does a ticket of the ferry cost?",
        "answers": ["4 euros"],
        "evidence": [{"article": "ferry.md", "quote": "A ticket costs 4 euros."}],
        "answerable": True,
        "kind": "fact",
        "split": "test",
    },
    {"id": "q3", "question": "Who sells umbrellas?", "answerable": False, "kind": "none", "split": "dev"},
]


@pytest.fixture
def config(tmp_path, monkeypatch, word_encoder):
    monkeypatch.setenv("RAG_CACHE", str(tmp_path / "cache"))
    for name, text in ARTICLES.items():
        (tmp_path / "articles").mkdir(exist_ok=True)
        (tmp_path / "articles" / name).write_text(text + "\n", encoding="utf-8")
    config = Config(folder=tmp_path, articles=("articles",), reader=ReaderSettings(model="none"))
    index_articles(config, [], encoder=word_encoder)
    return config


@pytest.fixture
def questions(tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS), encoding="utf-8")
    return file


@pytest.fixture
def scored(config, questions, word_encoder):
    def score(dataset=questions, config=config, **options):
        files = {name: options.pop(name, None) for name in ("run", "answers", "report")}
        emit = options.pop("emit", print)
        selection = Selection(**{"by": None, **options, "answers": options.get("scored_answers")})
        return evaluate_dataset(config, dataset, selection=selection, emit=emit, encoder=word_encoder, **files)

    return score


def test_rankings_evidence_and_answers_are_scored(scored):
    measures = scored().measures
    assert measures["nDCG@10"].n == measures["evidence:RR@10"].n == 2
    assert measures["right"].n == 3
    assert measures["Success@1"].mean == 1


def test_the_same_questions_give_the_same_scores(scored):
    first, again = (json.loads(formats.evaluation(scored(), style=JSON)) for _ in range(2))
    assert first.pop("times_ms").keys() == again.pop("times_ms").keys()
    assert first == again


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_an_evaluated_answer_is_the_one_that_ask_gives(scored, config, word_encoder, threshold):
    strict = replace(config, answer=Answering(min_confidence=threshold))
    for result in scored(config=strict).results:
        with Engine(strict, encoder=word_encoder) as engine:
            asked = engine.ask(result.question.question).answer
        assert replace(result.answer, timings_ms={}, reason=None if asked.answered else asked.reason) == replace(
            asked, timings_ms={}
        )


def test_what_several_parties_say_is_declined_below_the_bar_too(config, tmp_path, word_encoder):
    (tmp_path / "articles" / "ban.md").write_text("China said the ban stays.\n\nJapan said the ban is unfair.\n")
    index_articles(config, [], encoder=word_encoder)
    bold = replace(config, answer=Answering(min_confidence=0.0))
    with Engine(bold, encoder=word_encoder) as engine:
        asked = engine.ask("What do China and Japan say about the ban?").answer
    assert asked.sides is not None
    declined = declined_below(replace(asked, dropped=1, quoted_because="none held"), 1.01)
    assert (declined.answered, declined.sides, declined.citations) == (False, None, ())
    assert (declined.dropped, declined.quoted_because) == (None, None)


def test_of_several_parties_those_are_scored_whom_ask_quotes(scored, config, tmp_path, word_encoder):
    text = "China said the ban on fish stays for a year.\n\nJapan said that it is unfair.\n"
    (tmp_path / "articles" / "ban.md").write_text(text, encoding="utf-8")
    index_articles(config, [], encoder=word_encoder)
    question = "What do China and Japan say about the ban on fish?"
    file = tmp_path / "sides.jsonl"
    gold = [{"article": "ban.md", "quote": "China said the ban on fish stays for a year."}]
    file.write_text(json.dumps({"id": "q1", "question": question, "evidence": gold}) + "\n", encoding="utf-8")
    quoted = set()
    for bar in (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0):
        strict = replace(config, answer=Answering(min_confidence=bar))
        with Engine(strict, encoder=word_encoder) as engine:
            asked = engine.ask(question).answer
        (result,) = scored(dataset=file, config=strict).results
        assert (result.answer.sides, result.answer.citations) == (asked.sides, asked.citations)
        quoted.add(len(asked.citations))
    assert quoted >= {0, 1, 2}


def test_refusals_do_not_hide_the_risk_coverage_curve(scored, config):
    strict = replace(config, answer=Answering(min_confidence=1.0))
    evaluation = scored(config=strict)
    assert evaluation.measures["declined_answerable"].mean == 1
    assert evaluation.confidence.curve == scored().confidence.curve
    assert len(evaluation.confidence.curve) == 3


def test_the_run_file_scores_the_same_in_trec_eval(scored, tmp_path):
    evaluation = scored(run=tmp_path / "run.trec")
    run = {}
    for line in (tmp_path / "run.trec").read_text().splitlines():
        topic, _, article, _, score, _ = line.split()
        run.setdefault(topic, {})[article] = float(score)
    qrels = {"q1": {"bridge.md": 1}, "q2": {"ferry.md": 1}}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    mean = sum(scores["ndcg_cut_10"] for scores in theirs.values()) / len(theirs)
    assert evaluation.measures["nDCG@10"].mean == pytest.approx(mean, abs=1e-4)


def test_scored_answers_are_answer_records_with_gold_and_measures(scored, tmp_path):
    scored(answers=tmp_path / "answers.jsonl")
    records = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [record["id"] for record in records] == ["q1", "q2", "q3"]
    assert {record["schema"] for record in records} == {"rag.answer/1"}
    gold = records[0]["gold"]
    start, end = gold["evidence"][0]["places"][0]
    assert ARTICLES["bridge.md"][start:end] == "The old bridge opened in 1999." == gold["evidence"][0]["quote"]
    assert records[0]["measures"]["nDCG@10"] == 1
    assert records[0]["ranking"][0]["article"] == "bridge.md"


def test_a_report_shows_every_question_and_where_it_came_from(scored, tmp_path):
    pytest.importorskip("matplotlib")
    scored(report=tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(row["question"] in page for row in QUESTIONS)
    assert "reader.model" in page


def test_groups_are_the_values_of_a_key_or_of_the_gold_articles(scored):
    assert scored(by="kind").groups["fact"]["right"].n == 2
    assert set(scored(by="language").groups) == {"en", "none"}
    with pytest.raises(QuestionError, match="have no mood") as caught:
        scored(by="mood")
    assert "kind, split" in caught.value.hint


def test_gold_that_stands_nowhere_is_told_and_counts_as_missed(scored, questions):
    row = {**QUESTIONS[0], "id": "q4", "evidence": [{"article": "gone.md", "quote": "Not there."}]}
    questions.write_text(json.dumps(row) + "\n")
    evaluation = scored()
    assert evaluation.lost == ("q4",)
    assert evaluation.measures["nDCG@10"].mean == evaluation.measures["evidence:RR@10"].mean == 0


@pytest.fixture
def beir(tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": name.removesuffix(".md"), "title": "", "text": text} for name, text in ARTICLES.items()]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    (folder / "queries.jsonl").write_text('{"_id": "7", "text": "the old bridge"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n7\tbridge\t1\n")
    return folder


def test_a_dataset_with_articles_is_indexed_in_the_cache_once(scored, beir, tmp_path, word_encoder):
    evaluation = scored(beir)
    assert evaluation.measures["nDCG@10"].mean == 1
    assert evaluation.results[0].answer is None
    assert list((tmp_path / "cache" / "datasets").glob("*/index-*/CURRENT"))
    word_encoder.encoded.clear()
    assert scored(beir).index == evaluation.index
    assert word_encoder.encoded == []


def test_a_damaged_index_in_the_cache_is_made_again(scored, beir, tmp_path):
    first = scored(beir)
    (current,) = (tmp_path / "cache" / "datasets").glob("*/index-*/CURRENT")
    current.write_text("gone")
    assert scored(beir).index == first.index


def test_the_users_index_stays_as_it_is(scored, beir, config):
    before = sorted(path.name for path in (config.folder / "index").rglob("*"))
    scored(beir)
    assert sorted(path.name for path in (config.folder / "index").rglob("*")) == before


def test_bars_are_read_and_missed(scored):
    evaluation = scored()
    assert below_bars(evaluation, read_bars(["nDCG@10=.5"])) == []
    assert below_bars(evaluation, {"nDCG@10": 1.1}) == ["nDCG@10 is 1.0000, and 1.1 was asked for"]
    assert below_bars(evaluation, {"Brier": -1.0})
    for text in ("nDCG@10", "=.5", "nDCG@10=high"):
        with pytest.raises(QuestionError, match="MEASURE=NUMBER"):
            read_bars([text])
    with pytest.raises(QuestionError, match="AUC was not measured"):
        below_bars(evaluation, {"AUC": 1.0})


def test_two_files_of_scored_answers_are_compared(scored, config, tmp_path):
    scored(answers=tmp_path / "a.jsonl")
    scored(answers=tmp_path / "b.jsonl", config=replace(config, answer=Answering(min_confidence=1.0)))
    found = compare(config, tmp_path / "a.jsonl", tmp_path / "b.jsonl", dataset=None, selection=Selection())
    declined = {row.measure: row for row in found.rows}["declined_answerable"]
    assert (declined.b, declined.difference.n) == (1, 2)
    assert json.loads(formats.comparison(found, style=JSON))["measures"].keys() == {row.measure for row in found.rows}


def test_two_runs_are_compared_by_the_gold_of_a_dataset(scored, config, questions, tmp_path):
    scored(run=tmp_path / "a.trec")
    scored(run=tmp_path / "b.trec", config=replace(config, retrieval=Retrieval(dense_weight=0.0)))
    found = compare(config, tmp_path / "a.trec", tmp_path / "b.trec", dataset=questions, selection=Selection())
    assert found.rows[0].measure == "nDCG@10"
    assert found.topics == 2


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_two_files_of_a_batch_are_compared_by_the_gold_of_a_dataset(scored, config, questions, word_encoder, suffix):
    files = [questions.with_name(f"{name}.{suffix}") for name in "ab"]
    for file, confidence in zip(files, (0.0, 1.0), strict=True):
        settings = replace(config, answer=Answering(min_confidence=confidence))
        scored(answers=file.with_suffix(".scored.jsonl"), config=settings)
        with Engine(settings, encoder=word_encoder) as engine:
            answer_questions(engine, questions, output=file, emit=print)
    found = compare(config, *files, dataset=questions, selection=Selection())
    scores = [file.with_suffix(".scored.jsonl") for file in files]
    expected = compare(config, *scores, dataset=None, selection=Selection())
    # What is said and cited is judged alike; a refusal's record holds nothing of what was withheld, nor a ranking.
    ours = {row.measure: (row.a, row.b) for row in found.rows if row.measure != "Brier"}
    assert ours == {row.measure: (row.a, row.b) for row in expected.rows if row.measure in ours}
    assert {"right", "evidence_cited", "declined_answerable"} <= ours.keys()
    assert ours["right"][0] > ours["right"][1]


def test_a_batch_without_its_gold_is_told_what_it_needs(config, questions, tmp_path, word_encoder):
    with Engine(config, encoder=word_encoder) as engine:
        answer_questions(engine, questions, output=tmp_path / "a.jsonl", emit=print)
    with pytest.raises(QuestionError) as caught:
        compare(config, tmp_path / "a.jsonl", tmp_path / "a.jsonl", dataset=None, selection=Selection())
    assert "--dataset DATASET" in caught.value.hint


def test_a_dataset_is_indexed_where_index_names_if_nothing_lies_there(scored, beir, config, tmp_path):
    named = replace(config, index=str(tmp_path / "named"), origins={"index": "--index"})
    first = scored(beir, config=named)
    built = sorted((tmp_path / "named" / "generations").iterdir())
    assert len(built) == 1
    assert scored(beir, config=named).measures == first.measures
    assert sorted((tmp_path / "named" / "generations").iterdir()) == built
    assert not (tmp_path / "cache" / "datasets").is_dir() or not list(
        (tmp_path / "cache" / "datasets").rglob("generations")
    )


def test_a_sweep_scores_every_combination_on_the_dev_split(config, questions, tmp_path, word_encoder):
    grid = tmp_path / "grid.yaml"
    grid.write_text("retrieval.dense_weight: [0, 1]\npassages.max_tokens: [16, 40]\n")
    word_encoder.encoded.clear()
    found = sweep(config, grid, questions, selection=Selection(), encoder=word_encoder)
    assert (found.measure, found.questions, len(found.rows)) == ("right", 2, 4)
    assert {frozenset(row.settings.items()) for row in found.rows} == {
        frozenset({("retrieval.dense_weight", weight), ("passages.max_tokens", size)})
        for weight in "01"
        for size in ("16", "40")
    }
    # Only the cut makes another index, and no text is encoded twice.
    assert len(list((tmp_path / "cache" / "datasets" / "own").glob("index-*"))) == 2
    assert len(word_encoder.encoded) == len(set(word_encoder.encoded))
    assert "best" in formats.sweep(found, style=TEXT)


@pytest.fixture
def asked(monkeypatch):
    questions = []
    ask = Engine.ask
    monkeypatch.setattr(Engine, "ask", lambda self, question: questions.append(question) or ask(self, question))
    return questions


def test_what_a_sweep_scored_is_not_asked_again(config, questions, tmp_path, word_encoder, asked):
    grid = tmp_path / "grid.yaml"
    grid.write_text("retrieval.dense_weight: [0, 1]\n")
    first = sweep(config, grid, questions, selection=Selection(), encoder=word_encoder)
    asked.clear()
    assert sweep(config, grid, questions, selection=Selection(), encoder=word_encoder) == first
    assert asked == []
    grid.write_text("retrieval.dense_weight: [0, 0.5, 1]\n")
    wider = sweep(config, grid, questions, selection=Selection(), encoder=word_encoder)
    assert len(asked) == wider.questions == 2  # the new weight alone


@pytest.fixture
def swept(config, questions, tmp_path, word_encoder):
    grid = tmp_path / "grid.yaml"
    grid.write_text("retrieval.dense_weight: [1]\n")
    return lambda: sweep(config, grid, questions, selection=Selection(), encoder=word_encoder)


@pytest.mark.parametrize("change", ["a question", "an article", "the program", "a file cut short"])
def test_what_changed_is_scored_anew(swept, asked, tmp_path, monkeypatch, change):
    swept()
    (kept,) = (tmp_path / "cache" / "datasets" / "own" / "scores").iterdir()
    if change == "a question":
        questions = tmp_path / "questions.jsonl"
        questions.write_text(questions.read_text().replace("?", "?!"))
    elif change == "an article":
        (tmp_path / "articles" / "new.md").write_text("Nobody had asked for this.\n")
    elif change == "the program":
        monkeypatch.setattr(sweeping, "_program", lambda: "another")
    else:
        kept.write_bytes(kept.read_bytes()[:-9])
    asked.clear()
    swept()
    assert len(asked) == 2


def test_a_reader_of_a_sweep_reads_no_pair_twice(config, questions, tmp_path, word_encoder, monkeypatch):
    read = []
    ours = Reader.read

    def note(self, question, passages):
        read.extend((question, page) for page in passages)
        return ours(self, question, passages)

    monkeypatch.setattr(Reader, "read", note)
    grid = tmp_path / "grid.yaml"
    grid.write_text("answer.min_confidence: [0.1, 0.9]\nretrieval.dense_weight: [0, 1]\n")
    reading = replace(config, reader=ReaderSettings())
    sweep(reading, grid, questions, selection=Selection(), encoder=word_encoder)
    assert read
    assert len(read) == len(set(read))


def test_a_setting_that_does_not_exist_is_no_grid(config, questions, tmp_path, word_encoder):
    grid = tmp_path / "grid.yaml"
    grid.write_text("retrieval.depth: [1]\n")
    with pytest.raises(ConfigError, match=r"no setting retrieval\.depth"):
        sweep(config, grid, questions, selection=Selection(), encoder=word_encoder)


def test_settings_are_set_by_their_dotted_keys(config):
    changed = with_settings(config, {"retrieval.k": "3", "index": "elsewhere"}, where="grid")
    assert (changed.retrieval.k, changed.index, config.retrieval.k) == (3, "elsewhere", 8)


@pytest.mark.parametrize("style", [TEXT, MARKDOWN])
def test_the_tables_name_measures_with_their_intervals(scored, style):
    table = formats.evaluation(scored(by="kind"), style=style)
    assert "3 questions" in table
    assert all(name in table for name in ("nDCG", "citation", "AURC", "ECE", "95 %", "median"))


@pytest.mark.parametrize("bar", ["F1=nan", "F1=inf", "=.5", "F1"])
def test_a_bar_is_a_number_that_a_mean_can_reach(bar):
    with pytest.raises(QuestionError, match="takes MEASURE=NUMBER"):
        read_bars([bar])
