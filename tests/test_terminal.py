"""A line typed at a terminal: keys come from a pipe, and are obeyed as at a shell's prompt."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from rag.errors import AnswersError
from rag.terminal import line_reader

UP, LEFT, BACKSPACE, ENTER, DROP, END = "\x1b[A", "\x1b[D", "\x7f", "\r", "\x03", "\x04"


@pytest.fixture
def type_keys():
    """Type keys, and return what each call reads, an exception as its class."""

    def run(*keys, **given):
        read = []
        with create_pipe_input() as pipe:
            next_line = line_reader(keys=pipe, screen=DummyOutput(), **given)
            for text in keys:
                pipe.send_text(text)
                try:
                    read.append(next_line())
                except (EOFError, KeyboardInterrupt) as error:
                    read.append(type(error))
        return read

    return run


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("Who met?", "Who met?"),
        ("Who" + LEFT + BACKSPACE, "Wo"),
        ("日本" + LEFT + "中", "日中本"),
        ("中国为什么" + BACKSPACE, "中国为什"),
        ("né" + BACKSPACE + "o", "no"),
        ("a b\x01c", "ca b"),  # to the beginning
        ("one two\x17three", "one three"),  # a word back
        ("\x1b[200~one\ntwo\x1b[201~", "one two"),  # pasted
        ("", ""),
    ],
)
def test_a_line_is_edited_by_the_keys_of_a_shell(type_keys, keys, line):
    assert type_keys(keys + ENTER) == [line]


def test_ctrl_c_drops_the_line_and_ctrl_d_ends(type_keys):
    assert type_keys("Who" + DROP, "Why?" + ENTER, END) == [KeyboardInterrupt, "Why?", EOFError]


def test_ctrl_d_in_a_line_does_not_end(type_keys):
    assert type_keys("ab" + LEFT + END + ENTER) == ["a"]


def test_what_was_typed_is_brought_back(type_keys):
    assert type_keys("one" + ENTER, "two" + ENTER, UP + UP + ENTER, UP + "!" + ENTER) == ["one", "two", "one", "one!"]


def test_what_was_typed_is_kept_nowhere_unless_it_is_to_be(type_keys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    type_keys("secret" + ENTER)
    assert list(tmp_path.rglob("*")) == []
    file = tmp_path / "typed"
    type_keys("Who met?" + ENTER, "中国呢？" + ENTER, save=file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert type_keys(UP + ENTER, UP + UP + UP + ENTER, save=file) == ["中国呢？", "Who met?"]


def test_a_file_that_cannot_be_written_is_said_before_anything_is_typed(tmp_path):
    with pytest.raises(AnswersError, match="cannot be written") as caught:
        line_reader(save=tmp_path / "none" / "typed", screen=DummyOutput())
    assert "--save" in caught.value.hint


@settings(max_examples=20)
@given(st.text(st.characters(whitelist_categories=["L", "N"], max_codepoint=0xFFFF), max_size=12))
def test_any_letters_come_as_they_were_typed(text):
    with create_pipe_input() as pipe:
        pipe.send_text(text + ENTER)
        assert line_reader(keys=pipe, screen=DummyOutput())() == text
