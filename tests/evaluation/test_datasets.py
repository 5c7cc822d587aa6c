import json

import pytest

from rag.errors import QuestionError
from rag.evaluation.datasets import corpus_digest, corpus_lines, evenly, limited, locate, read_dataset, read_qrels
from rag.records import Evidence, Span

QUESTIONS = [
    {"id": "1", "question": "When?", "evidence": [{"article": "a", "quote": "In 1999."}], "split": "dev", "kind": "x"},
    {"id": "2", "question": "Who?", "answerable": False, "split": "test"},
]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = content if isinstance(content, str) else "".join(json.dumps(row) + "\n" for row in content)
    path.write_text(lines, encoding="utf-8")
    return path


def test_our_own_form_judges_the_articles_with_gold(tmp_path):
    dataset = read_dataset(write(tmp_path / "q.jsonl", QUESTIONS))
    assert [question.id for question in dataset.questions] == ["1", "2"]
    assert dataset.qrels == {"1": {"a": 1}}
    assert (dataset.corpus, dataset.has_answers, dataset.keys()) == (None, True, ["kind", "split"])


def test_a_split_is_chosen_by_its_name(tmp_path):
    path = write(tmp_path / "q.jsonl", QUESTIONS)
    assert [question.id for question in read_dataset(path, split="dev").questions] == ["1"]
    with pytest.raises(QuestionError, match="no split 'train'") as caught:
        read_dataset(path, split="train")
    assert "dev, test" in caught.value.hint


@pytest.fixture
def beir(tmp_path):
    write(tmp_path / "b" / "corpus.jsonl", [{"_id": "d1", "title": "T", "text": "One."}])
    write(tmp_path / "b" / "queries.jsonl", [{"_id": "q1", "text": "one?"}, {"_id": "q2", "text": "not judged"}])
    write(tmp_path / "b" / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t2\n")
    return tmp_path / "b"


def test_of_beir_only_the_judged_queries_are_asked(beir):
    dataset = read_dataset(beir)
    assert [(question.id, question.question) for question in dataset.questions] == [("q1", "one?")]
    assert dataset.qrels == {"q1": {"d1": 2}}
    assert (dataset.corpus, dataset.has_answers) == (beir / "corpus.jsonl", False)


def test_a_beir_split_that_is_not_there_names_those_that_are(beir):
    with pytest.raises(QuestionError, match="no split 'dev'") as caught:
        read_dataset(beir, split="dev")
    assert "test" in caught.value.hint


def test_a_broken_judgement_is_named_by_its_line(beir):
    write(beir / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1 d1 x\n")
    with pytest.raises(QuestionError, match=r"test\.tsv:3: expected 3 columns"):
        read_dataset(beir)


@pytest.mark.parametrize(
    "topics",
    [
        "<top>\n<num> Number: 301\n<title> Old bridges\n<desc> Description:\nx\n</top>\n",
        '<topics><topic number="301"><title>Old bridges</title></topic></topics>',
        '<topics><topic number="301">\n<query>Old\nbridges</query></topic></topics>',
        "301\tOld bridges\n",
    ],
)
def test_trec_topics_in_their_three_forms(tmp_path, topics):
    write(tmp_path / "t" / "topics.txt", topics)
    write(tmp_path / "t" / "qrels.txt", "301 0 a.md 1\n301 0 b.md 0\n999 0 a.md 1\n")
    dataset = read_dataset(tmp_path / "t")
    assert [(question.id, question.question) for question in dataset.questions] == [("301", "Old bridges")]
    assert dataset.qrels == {"301": {"a.md": 1, "b.md": 0}}
    paired = read_dataset(tmp_path / "t" / "topics.txt", qrels=tmp_path / "t" / "qrels.txt")
    assert paired.questions == dataset.questions


def test_qrels_are_read_from_both_their_forms(tmp_path):
    assert read_qrels(write(tmp_path / "a", "q 0 d 1\n")) == {"q": {"d": 1}}
    assert read_qrels(write(tmp_path / "b", "query-id\tcorpus-id\tscore\nq\td\t1\n")) == {"q": {"d": 1}}


CONTEXT = "It is old. It opened in 1999. Ada came in 1999."
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Old_bridge",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {"id": "q1", "question": "When?", "answers": [{"text": "1999", "answer_start": 24}]},
                        {"id": "q2", "question": "Who paid?", "answers": [], "is_impossible": True},
                        # 19 characters off, as they are in some published sets
                        {"id": "q3", "question": "When Ada?", "answers": [{"text": "1999", "answer_start": 99}]},
                    ],
                }
            ],
        }
    ],
}


def test_squad_paragraphs_are_articles_and_the_sentence_with_the_answer_is_gold(tmp_path):
    dataset = read_dataset(write(tmp_path / "s.json", json.dumps(SQUAD)))
    when, paid, ada = dataset.questions
    assert [(d.id, d.title, d.text) for d in dataset.corpus] == [("Old bridge/1", "Old bridge", CONTEXT)]
    assert when.evidence == (Evidence("Old bridge/1", "It opened in 1999."),)
    assert ada.evidence == (Evidence("Old bridge/1", "Ada came in 1999."),)
    assert (when.answers, when.answerable, paid.answers, paid.answerable) == (("1999",), True, (), False)
    assert dataset.qrels == {"q1": {"Old bridge/1": 1}, "q3": {"Old bridge/1": 1}}


@pytest.mark.parametrize("content", ["[]", '{"data": [{"title": "x"}]}', "nonsense"])
def test_what_is_no_squad_is_said_to_be_none(tmp_path, content):
    with pytest.raises(QuestionError, match="no SQuAD file"):
        read_dataset(write(tmp_path / "s.json", content))


def test_a_limit_takes_questions_at_even_distances(tmp_path):
    assert evenly(range(10), 3) == [0, 3, 6]
    assert evenly([1, 2], 5) == [1, 2]
    rows = [{"id": str(n), "question": "?", "evidence": [{"article": "a", "quote": "b"}]} for n in range(4)]
    dataset = limited(read_dataset(write(tmp_path / "q.jsonl", rows)), 2)
    assert [question.id for question in dataset.questions] == list(dataset.qrels) == ["0", "2"]


def test_a_quote_is_found_wherever_it_stands_whatever_its_blanks():
    assert locate("one two", "one\n two, one two") == [Span(0, 8), Span(10, 17)]
    assert locate("cafe\u0301", "café") == [Span(0, 4)]
    assert locate(" ", "a b") == []


def test_a_corpus_has_one_hash_as_a_file_and_in_memory(tmp_path):
    corpus = read_dataset(write(tmp_path / "s.json", json.dumps(SQUAD))).corpus
    assert corpus_digest(write(tmp_path / "articles.jsonl", "".join(corpus_lines(corpus)))) == corpus_digest(corpus)


def test_what_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(QuestionError, match="no dataset"):
        read_dataset(tmp_path / "nothing.jsonl")
