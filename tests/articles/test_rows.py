import json

import pytest

from rag.articles import find_files, read_articles
from rag.errors import ArticleError


def read(tmp_path, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (tmp_path / "news.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (file,) = find_files([tmp_path])
    return read_articles(file)


def test_a_row_is_an_article_with_its_own_id_and_metadata(tmp_path):
    rows = [{"id": 7, "title": "A", "text": "One.\r\nTwo.", "published": "17 Nov 2023", "mood": "good"}, {"text": "B."}]
    (one, two), errors = read(tmp_path, rows[0], "", rows[1])
    assert (one.id, one.title, one.text, one.published, one.first_line) == ("7", "A", "One.\nTwo.", "2023-11-17", 1)
    assert (one.origins["title"], one.metadata) == ("row", {"mood": "good"})
    assert (two.id, two.text, two.first_line) == ("news.jsonl:3", "B.", 3)
    assert errors == []


def test_beirs_key_for_an_id_is_read_and_a_title_stands_in_for_a_missing_text(tmp_path):
    (article,), _ = read(tmp_path, {"_id": "d1", "title": "Only a title", "text": ""})
    assert (article.id, article.text) == ("d1", "Only a title")


def test_a_broken_row_is_named_by_its_line_and_spoils_no_other(tmp_path):
    articles, errors = read(tmp_path, {"text": "A."}, "{", [1], {"title": ""}, {"text": "\ud800"})
    assert [article.text for article in articles] == ["A."]
    assert [error.message.partition("news.jsonl")[2] for error in errors] == [
        ":2: not JSON",
        ":3: not a JSON object",
        ":4: it holds no text",
        ":5: it holds half a character, which is not valid Unicode",
    ]


def test_a_file_without_any_article_is_one_error(tmp_path):
    with pytest.raises(ArticleError, match="no row of it is an article, line 1: it holds no text"):
        read(tmp_path, {"level": ""}, {"level": ""})


def test_a_question_set_beside_the_articles_is_none_of_them(tmp_path):
    assert read(tmp_path, {"id": "q1", "question": "When?"}) == ([], [])


def test_what_is_no_character_of_a_text_cuts_none_off(tmp_path):
    (article,), errors = read(tmp_path, {"text": "First part.\0 Second part."})
    assert (article.text, errors) == ("First part.\ufffd Second part.", [])
