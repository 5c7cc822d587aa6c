import json
import random

from training.unspaced import Paragraph, Posed, read_paragraphs, take_out, write_articles

TEXT = "大桥由李明设计。大桥于1998年建成。王芳主持了典礼。"
DESIGNED, OPENED, HELD = "大桥由李明设计。", "大桥于1998年建成。", "王芳主持了典礼。"
WHO = Posed("谁设计了大桥？", ("李明",), (DESIGNED,))
WHEN = Posed("大桥何时建成？", ("1998年",), (OPENED,))
PARAGRAPH = Paragraph(TEXT, (WHO, WHEN))


def squad(contexts):
    """Return SQuAD data: of each context, the questions with the answers that stand in it."""
    paragraphs = [
        {
            "context": context,
            "qas": [
                {"question": question, "answers": [{"text": answer, "answer_start": start}]}
                for question, answer, start in asked
            ],
        }
        for context, asked in contexts
    ]
    return {"data": [{"title": "桥", "paragraphs": paragraphs}]}


def test_answers_are_those_that_stand_where_the_data_says(tmp_path):
    file = tmp_path / "set.json"
    context = f"桥 [SEP] {TEXT}"
    asked = [
        ("谁？", "李明", context.index("李明")),
        ("错", "李明", 0),
        ("无", "李明", -1),
    ]
    file.write_text(json.dumps(squad([(context, asked)])), encoding="utf-8")
    assert read_paragraphs(file) == {"桥": [Paragraph(TEXT, (Posed("谁？", ("李明",), (DESIGNED,)),))]}


def test_a_near_miss_is_a_question_whose_answer_was_taken_out():
    text, posed = take_out(PARAGRAPH, WHO)
    assert (text, posed) == (DESIGNED + HELD, WHEN)


def test_the_kept_question_keeps_its_answer():
    both = Paragraph(TEXT, (WHO, Posed("什么？", ("大桥",), (DESIGNED, OPENED))))
    assert take_out(both, WHO) == (TEXT, None)


def test_far_questions_are_about_articles_that_are_not_written(tmp_path):
    articles = {f"{number}号": [Paragraph(f"{number}号。{TEXT}", (WHO, WHEN))] for number in range(8)}
    questions = write_articles(tmp_path, articles, rng=random.Random(1))
    assert len(list(tmp_path.glob("*.md"))) == len(questions.inside) == len(questions.near) == 6
    assert len(questions.far) == 2 * 2
    for asked in questions.inside:
        (gold,) = asked.gold
        assert gold.text in (tmp_path / gold.article).read_text(encoding="utf-8")
    assert not any(asked.answerable for asked in questions.near + questions.far)
