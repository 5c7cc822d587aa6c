import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.articles.front_matter import split_front_matter
from rag.errors import ArticleError


def test_the_text_begins_below_the_block_and_its_blank_lines():
    parts = split_front_matter("---\ntitle: A\n---\n\n \nText.\nMore.\n\n")
    assert (parts.text, parts.first_line, parts.values) == ("Text.\nMore.", 6, {"title": "A"})


def test_a_text_without_front_matter_keeps_its_line():
    parts = split_front_matter("\n\n  Text.\n")
    assert (parts.text, parts.first_line, parts.values) == ("  Text.", 3, {})


def test_values_stay_as_they_are_written():
    written = 'language: no\npublished: 2023-11-17\nyear: 2023\ntime: 12:30:00\nok: yes\ncode: "007"'
    assert split_front_matter(f"---\n{written}\n---\nText.").values == {
        "language": "no",
        "published": "2023-11-17",
        "year": "2023",
        "time": "12:30:00",
        "ok": "yes",
        "code": "007",
    }


def test_lists_are_joined_and_keys_without_a_value_are_empty():
    block = "author: null\nurl:\nsource: ~\nnotes: []\ntags: [a, b]\nplace: {city: Rome}"
    without = dict.fromkeys(["author", "url", "source", "notes"], "")
    assert split_front_matter(f"---\n{block}\n---\nText.").values == without | {
        "tags": "a, b",
        "place": '{"city": "Rome"}',
    }


@pytest.mark.parametrize(
    "content", ["---\nJust words.\n---\nText.", "---\n\nText.", "--- \nText", "----\na: b\n---\nx"]
)
def test_thematic_breaks_are_text(content):
    assert split_front_matter(content).text == content


def test_an_empty_block_is_taken_off():
    assert split_front_matter("---\n---\nText.").text == "Text."


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("a: 1\nb: [1, 2\nc: 3", "line 4"),
        ("a: 1\na: 2", "'a' twice, again on line 3"),
        ("a: 1\nb: &x [1]\nc: *x", "line 3"),
        ("a: !!python/object/apply:os.getcwd []", "line 2"),
        ("a: " + "[" * 40 + "]" * 40, "nested"),
        ("a: |\n  " + "x" * 70_000, "longer"),
        ("a: \x07", "not YAML"),
        ('a: "\\ud800"', "not valid Unicode"),
        ('"\\ud800": a', "not valid Unicode"),
        ('a: {b: "\\ud83d\\ude80"}', "not valid Unicode"),
        ('a: "\\UFFFFFFFF"', "not YAML"),
        ("? [a, b]\n: c", "not YAML"),
    ],
)
def test_broken_or_programmable_front_matter_is_refused(block, message):
    with pytest.raises(ArticleError, match=message):
        split_front_matter(f"---\n{block}\n---\nText.")


def test_front_matter_that_is_never_closed_is_refused():
    with pytest.raises(ArticleError, match="never closed"):
        split_front_matter("---\ntitle: A\n\nText.")


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp", "Cn", "Co"]), min_size=1, max_size=20)


@given(st.dictionaries(WORDS, WORDS, min_size=1, max_size=5), WORDS)
@settings(deadline=None)
def test_what_is_written_is_read_back(values, text):
    block = yaml.safe_dump(values, allow_unicode=True)
    parts = split_front_matter(f"---\n{block}---\n\n{text}\n")
    quoted = {key: value for key, value in values.items() if key.strip() == key}
    assert (parts.text, parts.values) == (text, quoted)
    assert parts.first_line == 1 + 1 + block.count("\n") + 1 + 1
