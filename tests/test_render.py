import json
import re
import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len

from rag import render
from rag.errors import IndexMissing
from rag.records import Answer, Answerer, Article, Citation, Claim, Hit, Passage, Span

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;aGk=\x07",
    "\x9b2J",
    "abc\u202edcba",
    "\u2066hidden\u2069",
    "a\u200bb\ufeffc\u2060",
    "tag\U000e0041\U000e007f",
    "one\u2028two\u2029three",
    "[red]markup[/red] [link=http://example.org]x[/link]",
    "<img src=x onerror=alert(1)> ![x](http://example.org/y) [x](javascript:alert(1)) <http://example.org>",
    "http://example.org www.example.org someone@example.org &lt; `code` *star* _under_ ~~no~~ | a | # h",
    "中国宣布全面禁止进口日本水产品，理由是食品安全。",
    "日本語「引用」です。",
    "e\u0301 👨‍👩‍👧 ❤️",
    "\r\n\x0b\x0c\x85",
]
texts = st.lists(st.text(max_size=30) | st.sampled_from(HOSTILE), min_size=1, max_size=6).map(" ".join).filter(bool)
# Words that fit any line, so that a line has no excuse to be wider.
prose = st.lists(
    st.sampled_from(["a", "word", "日本", "水产品，", "[1]", "「はい」", "é", "\x1b", "2.5", "👩‍🚀", "(x)"])
).map(" ".join)


def article(text, **fields):
    known = {"id": "x.md", "path": "seeds/x.md", "title": "A title", "source": "A paper", "published": "2023-11-17"}
    return Article(text=text, **(known | fields))


def cited(text, *, said=None, short=None, **fields):
    """Return an answer that cites the whole text of an article."""
    source = article(text, **fields)
    passage = Passage(article=source.id, ordinal=4, start=0, end=len(text), sentences=(Span(0, len(text)),))
    return Answer(
        question=text,
        answer=f"{text} [1]" if said is None else said,
        claims=(Claim(text, (1,), 0.87654321),),
        citations=(Citation.of(source, passage, Span(0, len(text)), marker=1),),
        hits=(Hit(passage, 0.123456789, 1),),
        confidence=0.91,
        reason=None,
        answerer=Answerer("quotes", "model", "revision"),
        index="hash",
        short_answer=short,
        timings_ms={"total": 1.5},
    )


def declined(text="Some text.", reason="No sentence names it."):
    passage = Passage(article="x.md", ordinal=4, start=0, end=len(text), sentences=())
    return Answer(
        question="Who?",
        answer="",
        claims=(),
        citations=(),
        hits=(Hit(passage, 0.5, 1),),
        confidence=0.1,
        reason=reason,
        answerer=Answerer("quotes", "model", "revision"),
        index="hash",
    )


def dangerous(text, *, allowed="\n"):
    """Return the characters that a terminal would obey, by Unicode's own categories."""
    return [
        character
        for character in text
        if character not in allowed
        and (
            unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in "\u202a\u202b\u202c\u202d\u202e"
        )
    ]


def bidirectional(text):
    controls = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    return [character for character in text if unicodedata.bidirectional(character) in controls]


# Safe text


@given(texts)
def test_escaped_text_holds_nothing_that_a_terminal_obeys(text):
    escaped = render.escape(text)
    assert dangerous(escaped, allowed="\n\t") == []
    assert bidirectional(escaped) == []


@given(texts)
def test_escaping_twice_changes_nothing_more(text):
    assert render.escape(render.escape(text)) == render.escape(text)


@given(st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Mn", "Lo", "Cn", "Co"))))
def test_ordinary_text_is_left_as_it_is(text):
    assert render.escape(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b", r"\x9b"),
        ("\r\n\t", "\\x0d\n\t"),
        ("\u202e", r"\u202e"),
        ("\u200e\u061c", r"\u200e\u061c"),
        ("\u2028", r"\u2028"),
        ("a\u200bb", r"a\u200bb"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("\u3164", r"\u3164"),
        ("co\xadop", r"co\xadop"),
    ],
)
def test_what_a_terminal_obeys_or_hides_is_shown(text, shown):
    assert render.escape(text) == shown


@pytest.mark.parametrize(
    "text", ["👨‍👩‍👧", "❤️", "❤️‍🔥", "1️⃣", "©️", "می‌خواهم", "क्‍ष", "葛\U000e0100", "[red]", r"\x1b", "\u00a0"]
)
def test_joiners_and_selectors_stay_where_they_do_their_work(text):
    assert render.escape(text) == text


@pytest.mark.parametrize(
    "text", ["a\u200db", "\u200d", "a\ufe0f", "中\ufe0f\ufe0f", "中 \u200d中", "👍\ufe01\ufe02\ufe03"]
)
def test_joiners_and_selectors_that_could_hide_something_are_shown(text):
    assert "\\u" in render.escape(text)


# JSON

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(data=st.dictionaries(texts, json_values, max_size=4), indent=st.sampled_from([None, 2]))
def test_json_is_exact_and_safe_on_a_terminal(data, indent):
    text = render.to_json(data, indent=indent)
    assert json.loads(text) == data
    assert dangerous(text) == []
    assert bidirectional(text) == []


def test_json_is_one_line_and_readable():
    assert render.to_json({"quote": "中\x1b\u202e\n"}) == r'{"quote": "中\u001b\u202e\n"}'


def test_json_writes_what_is_beyond_16_bits_as_a_pair():
    assert render.to_json(["\U000e0041"]) == r'["\udb40\udc41"]'


def test_json_refuses_what_is_no_json():
    with pytest.raises(ValueError, match="JSON"):
        render.to_json({"score": float("nan")})


def test_the_answer_record_has_the_contracts_shape_and_order():
    assert render.answer_record(cited("Text.", short="Text")) == {
        "schema": "rag.answer/1",
        "id": None,
        "question": "Text.",
        "answered": True,
        "answer": "Text. [1]",
        "short_answer": "Text",
        "claims": [{"text": "Text.", "citations": [1], "support": 0.876543}],
        "citations": [
            {
                "marker": 1,
                "article": "x.md",
                "title": "A title",
                "source": "A paper",
                "published": "2023-11-17",
                "path": "seeds/x.md",
                "passage": "x.md#4",
                "quote": "Text.",
                "start": 0,
                "end": 5,
                "line": 1,
            }
        ],
        "passages": [{"id": "x.md#4", "article": "x.md", "rank": 1, "score": 0.123457, "start": 0, "end": 5}],
        "confidence": 0.91,
        "reason": None,
        "answerer": {"name": "quotes", "model": "model", "revision": "revision"},
        "index": "hash",
        "timings_ms": {"total": 1.5},
    }
    assert list(render.answer_record(cited("Text."))) == [
        *("schema", "id", "question", "answered", "answer", "short_answer", "claims", "citations", "passages"),
        *("confidence", "reason", "answerer", "index", "timings_ms"),
    ]


def test_the_search_record_has_each_hit_with_its_article_and_text():
    answer = cited("Text.")
    record = render.search_record("q", answer.hits, texts={"x.md#4": "Text."}, articles={"x.md": article("Text.")})
    assert record == {
        "schema": "rag.search/1",
        "query": "q",
        "hits": [
            {
                "id": "x.md#4",
                "article": "x.md",
                "rank": 1,
                "score": 0.123457,
                "start": 0,
                "end": 5,
                "title": "A title",
                "source": "A paper",
                "published": "2023-11-17",
                "path": "seeds/x.md",
                "text": "Text.",
            }
        ],
    }


# Wrapped text


def wrapped(text, *, width=20, indent=0):
    return render.wrap([render.Piece(text)], width=width, indent=indent)


def test_lines_break_at_blanks():
    assert wrapped("one two three four five six") == ["one two three four", "five six"]


def test_all_lines_but_the_first_are_indented():
    assert wrapped("one two three four five six", indent=4) == ["one two three four", "    five six"]


def test_chinese_breaks_between_characters_by_cells():
    assert wrapped("中国宣布全面禁止进口日本水产品") == ["中国宣布全面禁止进口", "日本水产品"]


def test_no_line_begins_with_a_closing_mark_or_ends_with_an_opening_one():
    assert wrapped("中国宣布全面禁止进口，日本") == ["中国宣布全面禁止进", "口，日本"]
    assert wrapped("中国宣布全面禁止进「日本」") == ["中国宣布全面禁止进", "「日本」"]


def test_a_marker_stays_with_the_word_before():
    assert wrapped("one two three fourth [1].") == ["one two three", "fourth [1]."]


def test_a_word_wider_than_the_line_stays_whole():
    assert wrapped("see https://example.org/a/long/address now") == ["see", "https://example.org/a/long/address", "now"]


def test_a_name_keeps_its_blanks_and_is_not_broken():
    assert render.wrap(
        [render.Piece("in"), render.Piece(" "), render.Piece("my  own  long  folder", name=True)], width=20
    ) == [
        "in",
        "my  own  long  folder",
    ]


def test_pieces_that_touch_stay_together():
    pieces = [render.Piece("one two three “"), render.Piece("four", "1"), render.Piece("”.")]
    assert render.wrap(pieces, width=20) == ["one two three", "“four”."]


@given(text=prose, width=st.integers(20, 60), indent=st.integers(0, 5))
def test_no_line_is_wider_than_asked(text, width, indent):
    assert all(cell_len(line) <= width for line in wrapped(render.escape(text), width=width, indent=indent))


@given(text=texts, width=st.integers(1, 60))
def test_wrapping_loses_and_adds_no_character(text, width):
    safe = render.escape(text)
    assert re.sub(r"\s", "", "".join(wrapped(safe, width=width))) == re.sub(r"\s", "", safe)


@given(text=texts, width=st.integers(1, 60))
def test_lines_have_no_blank_at_their_end(text, width):
    lines = wrapped(render.escape(text), width=width)
    assert lines == [line.rstrip() for line in lines]


# Terminal

SGR = re.compile(r"\x1b\[[0-9]+m")
OSC8 = re.compile(r"\x1b\]8;;(?:file:///[!-~]*)?\x1b\\")
known = st.fixed_dictionaries(
    {"title": texts, "source": st.none() | texts, "published": st.none() | texts, "path": texts, "id": texts}
)


@given(text=texts, fields=known, width=st.integers(10, 100))
def test_a_terminal_answer_holds_no_control_but_our_own_colours_and_links(text, fields, width):
    answer = cited(text, **fields)
    plain = render.answer_text(answer, width=width, color=False, links=True)
    colored = render.answer_text(answer, width=width, color=True, links=True)
    assert dangerous(plain) == []
    assert bidirectional(plain) == []
    assert OSC8.sub("", SGR.sub("", colored)) == plain


@given(text=texts, fields=known)
def test_no_view_of_passages_holds_a_control(text, fields):
    answer, about = cited(text, **fields), {fields["id"]: article(text, **fields)}
    excerpts = {answer.hits[0].passage.id: text}
    views = [
        render.hits_text(answer.hits, texts=excerpts, articles=about, width=60, color=False),
        render.hits_markdown(answer.hits, texts=excerpts, articles=about),
        render.answer_markdown(answer),
        render.table(list(fields), [list(fields.values())]),
        render.error_text(IndexMissing(text, hint=text)),
    ]
    assert [dangerous(view, allowed="\n\t") for view in views] == [[]] * len(views)


def test_an_answer_comes_first_then_its_sources():
    text = "China banned the seafood of Japan in August 2023."
    assert render.answer_text(cited(text), width=60, color=False).splitlines() == [
        "China banned the seafood of Japan in August 2023. [1]",
        "",
        "Sources",
        "[1] “China banned the seafood of Japan in August 2023.” — A",
        "    title, A paper, 2023-11-17, seeds/x.md:1",
        "",
        "confidence 0.91",
    ]


def test_what_is_not_known_of_an_article_is_left_out():
    shown = render.answer_text(cited("Text.", source=None, published=None), width=80, color=False)
    assert "[1] “Text.” — A title, seeds/x.md:1" in shown


def test_each_paragraph_of_an_answer_starts_a_line():
    shown = render.answer_text(cited("Text.", said="One. [1]\nTwo. [1]"), width=80, color=False)
    assert shown.splitlines()[:2] == ["One. [1]", "Two. [1]"]


def test_markers_and_the_short_answer_stand_out_in_colour():
    shown = render.answer_text(cited("In 2023 [9]."[:-1] + ".", short="2023"), width=80, color=True)
    assert shown.splitlines()[0] == "In\x1b[1m 2023\x1b[0m [9].\x1b[36m [1]\x1b[0m"


def test_markup_in_an_article_is_shown_as_it_stands():
    assert "[red]x[/red]" in render.answer_text(cited("[red]x[/red]"), width=80, color=True)


def test_links_are_made_only_where_they_are_asked_for_and_coloured():
    answer = cited("Text.", path="seeds/ü x.md")
    assert "/seeds/%C3%BC%20x.md\x1b\\" in render.answer_text(answer, width=80, color=True, links=True)
    assert "file:" not in render.answer_text(answer, width=80, color=True)
    assert "file:" not in render.answer_text(answer, width=80, color=False, links=True)


def test_a_declined_answer_says_so_why_and_what_is_nearest():
    shown = render.answer_text(
        declined(), width=80, color=False, excerpts={"x.md#4": "Some text."}, articles={"x.md": article("Some text.")}
    )
    assert shown.splitlines() == [
        "The articles do not say.",
        "No sentence names it.",
        "",
        "Nearest passages",
        "1. A title, A paper, 2023-11-17, seeds/x.md",
        "   Some text.",
    ]


def test_a_declined_answer_needs_no_excerpts():
    assert render.answer_text(declined(), width=80, color=False).splitlines()[-1] == "1. x.md"
    assert render.answer_markdown(declined()).splitlines()[-1] == "1. x.md"


def test_a_long_excerpt_ends_at_a_word():
    shown = render.answer_text(declined(), width=1000, color=False, excerpts={"x.md#4": "word " * 100})
    assert shown.splitlines()[-1] == "   " + "word " * 31 + "word …"[:-2] + " …"


def test_an_excerpt_without_blanks_ends_at_its_length():
    shown = render.answer_text(declined(), width=1000, color=False, excerpts={"x.md#4": "中" * 200})
    assert shown.splitlines()[-1] == "   " + "中" * render.EXCERPT_CHARACTERS + " …"


def test_hits_are_listed_with_rank_title_date_id_score_and_text():
    answer = cited("Text.")
    shown = render.hits_text(
        answer.hits * 2, texts={"x.md#4": "Text."}, articles={"x.md": article("Text.")}, width=80, color=False
    )
    block = ["1. A title, A paper, 2023-11-17", "   x.md#4 score 0.123", "   Text."]
    assert shown.splitlines() == [*block, "", *block]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# A title\n\nWhat it says.", "What it says."),
        ("A title\nWhat it says.", "What it says."),
        ("A title of its own\nWhat it says.", "A title of its own What it says."),
        ("A title", "A title"),
    ],
)
def test_an_excerpt_does_not_say_the_title_again(text, shown):
    hits, about = cited(text).hits, {"x.md": article(text)}
    listed = render.hits_text(hits, texts={"x.md#4": text}, articles=about, width=80, color=False)
    assert listed.splitlines()[2:] == [f"   {shown}"]
    assert render.hits_markdown(hits, texts={"x.md#4": text}, articles=about).endswith(f"> {shown}")


def test_no_hits_are_said_to_be_none():
    assert render.hits_text([], texts={}, articles={}, width=80, color=False) == "No passage matches."
    assert render.hits_markdown([], texts={}, articles={}) == "No passage matches."


def test_columns_of_a_table_are_aligned_by_cells():
    shown = render.table(["name", "n"], [["中国", 3], ["x", None], ["long name", 10]], right={1})
    assert shown.splitlines() == ["name        n", "中国        3", "x", "long name  10"]


tables = st.integers(1, 6).flatmap(
    lambda columns: st.tuples(
        st.lists(st.sampled_from(["", "id", "title", "日付"]), min_size=columns, max_size=columns),
        st.lists(
            st.lists(
                prose | texts | st.sampled_from(["a/very-long_name/of.a-file.md", "", 7]),
                min_size=columns,
                max_size=columns,
            ),
            max_size=4,
        ),
    )
)


@given(table=tables, width=st.integers(20, 120))
def test_no_line_of_a_table_is_wider_than_there_is_room_and_no_character_is_lost(table, width):
    headers, rows = table
    shown = render.table(headers, rows, width=width)
    assert [line for line in shown.splitlines() if cell_len(line, unicode_version="latest") > width] == []
    # Blocks, which narrow tables become, have the header in each row.
    left = Counter("".join(shown.split()))
    left.subtract("".join(render.escape_name(str(cell)) for row in rows for cell in row if cell is not None))
    assert all(count >= 0 for character, count in left.items() if not character.isspace())


@given(titles=st.lists(texts, min_size=1, max_size=4), width=st.integers(20, 120), room=st.booleans())
def test_a_column_that_is_cut_has_a_line_for_each_row(titles, width, room):
    shown = render.table(["id", "title"], [["x.md", title] for title in titles], cut={1}, width=width if room else None)
    _, *lines = shown.splitlines()
    assert len(lines) == len(titles)
    for line, title in zip(lines, titles, strict=True):
        assert cell_len(line, unicode_version="latest") <= (width if room else len("x.md  ") + render.CUT_CELLS)
        assert line.endswith("…") or line == f"x.md  {render.escape_name(title)}".rstrip()


def test_names_of_a_narrow_table_are_broken_behind_their_marks_and_titles_cut():
    rows = [["seafood-ban-of-august.md", "China bans seafood of Japan", 12], ["b.md", "禁止进口日本水产品吗？", 3]]
    shown = render.table(["id", "title", "n"], rows, right={2}, cut={1}, width=36)
    assert shown.splitlines() == [
        "id                    title        n",
        "seafood-ban-of-       China ban…  12",
        "august.md",
        "b.md                  禁止进口…    3",
    ]


def test_figures_stay_in_columns_as_long_as_their_names_can_be_folded():
    headers, row = ["measure", "A", "B", "95 %"], ["evidence:Success@5", "0.750", "1.000", "+0.000 – +0.500"]
    shown = render.table(headers, [row], right={1, 2, 3}, width=41)
    assert shown.splitlines() == [
        "measure         A      B             95 %",
        "evidence:   0.750  1.000  +0.000 – +0.500",
        "Success@5",
    ]


def test_a_table_without_room_becomes_a_block_for_each_row():
    headers, row = ["passage", "rank", "meaning", "", "dropped"], ["seafood-ban.md#0", 1, "0.463", "#1", None]
    shown = render.table(headers, [row], right={1, 2, 3}, width=30, color=True)
    assert shown.splitlines() == ["\x1b[1mseafood-ban.md#0\x1b[0m", "  rank     1", "  meaning  0.463 #1"]


def test_a_block_begins_with_the_name_of_a_row_though_a_mark_stands_before_it():
    shown = render.table(["", "check", "detail"], [["warn", "reading speed", "none was measured"]], width=24)
    assert shown.splitlines() == ["warn reading speed", "  detail  none was", "          measured"]


def test_an_error_says_what_happened_and_what_to_type():
    assert render.error_text(IndexMissing("no index\x1b", hint="rag index")) == "error: no index\\x1b\nhint:  rag index"
    assert render.error_text(IndexMissing("no index")) == "error: no index"


# Markdown


def tokens_of(markdown):
    found = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        found += [token, *(token.children or [])]
    return found


def shown_by(markdown):
    return [token.content for token in tokens_of(markdown) if token.type == "text"]


@given(text=texts, fields=known)
def test_text_from_an_article_makes_no_markup(text, fields):
    answer, about = cited(text, **fields), {fields["id"]: article(text, **fields)}
    markdown = render.answer_markdown(answer)
    markdown += "\n\n" + render.hits_markdown(answer.hits, texts={answer.hits[0].passage.id: text}, articles=about)
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens_of(markdown)}
    assert kinds <= {"paragraph", "inline", "text", "text_special", "strong", "ordered_list", "list_item", "blockquote"}


@given(text=texts)
def test_markdown_shows_the_quote_as_it_stands(text):
    quote = " ".join(render.escape(text).split())
    markdown = render.answer_markdown(cited(text, said="Said. [1]"))
    assert quote == "" or quote in "".join(shown_by(markdown))


@pytest.mark.parametrize(
    "text", ["- item", "+ item", "= x", "1. item", "1) item", "# head", "> quote", "---", "***", "| a |", "2023-11-17"]
)
def test_a_line_that_looks_like_a_block_is_text(text):
    first = tokens_of(render.answer_markdown(cited("Text.", said=f"{text} [1]")))
    assert (first[0].type, first[1].content != "") == ("paragraph_open", True)
    assert first[1].children[0].content.startswith(text[0])


def test_an_answer_in_markdown_has_its_sources_as_quotations():
    assert render.answer_markdown(cited("Text.")).splitlines() == [
        r"Text. \[1\]",
        "",
        "**Sources**",
        "",
        "1. A title, A paper, 2023-11-17, seeds/x.md:1",
        "",
        "   > Text.",
    ]


def test_an_address_is_not_linked():
    assert render.answer_markdown(cited("See http://x.org, www.x.org")).startswith(r"See http\://x.org, www\.x.org")


# Claims, one by one


def answered(*claims):
    """Return an answer of claims (article, sentence), each citing the whole of a text of its own."""
    citations, made = [], []
    for marker, (name, said) in enumerate(claims, start=1):
        source = article(said, id=name, source=name.upper())
        passage = Passage(article=name, ordinal=0, start=0, end=len(said), sentences=())
        citations.append(Citation.of(source, passage, Span(0, len(said)), marker=marker))
        made.append(Claim(said, (marker,), 1.0))
    return Answer(
        question="Who?",
        answer=" ".join(f"{claim.text} [{claim.citations[0]}]" for claim in made),
        claims=tuple(made),
        citations=tuple(citations),
        hits=(),
        confidence=0.5,
        reason=None,
        answerer=Answerer("writer", "model", "revision"),
        index="hash",
    )


def unfolded(answer, *, width, color=False):
    shown = render.Unfolding(width=width, color=color)
    voices = len({citation.article for citation in answer.citations}) > 1
    pieces = [shown.add(claim, (answer.citations[place],), voices=voices) for place, claim in enumerate(answer.claims)]
    return pieces, "".join(pieces) + render.answer_text(answer, width=width, color=color, unfolded=True)


@given(st.lists(prose.filter(str.strip), min_size=1, max_size=4), st.integers(20, 80), st.booleans())
def test_claims_shown_one_by_one_make_the_text_of_the_whole(said, width, color):
    answer = answered(*(("a", text) for text in said))
    pieces, whole = unfolded(answer, width=width, color=color)
    expected = render.answer_text(answer, width=width, color=color)
    assert dangerous(re.sub(r"\x1b\[\d+m", "", whole)) == []
    assert all(pieces)
    if not any("[1]" in text for text in said):  # which is set like a marker, wherever it comes from
        assert whole == expected


def test_each_article_speaks_under_its_source_as_its_claims_come():
    answer = answered(("a", "It fell."), ("a", "It rose."), ("b", "It did not."))
    pieces, whole = unfolded(answer, width=80)
    assert pieces == ["A, 2023-11-17: It fell. [1]", " It rose. [2]", "\n\nB, 2023-11-17: It did not. [3]"]
    assert whole == render.answer_text(answer, width=80, color=False)


def test_what_no_article_bears_out_stands_apart_and_marked():
    from dataclasses import replace

    from rag.records import Unsupported

    answer = replace(
        cited("It fell."), unsupported=(Unsupported("It \x1b[31mflew*.", "its words stand nowhere", 0.1),),
        quoted_because="nothing is left",
    )  # fmt: skip
    text = render.answer_text(answer, width=80, color=False)
    assert "\n\n[unsupported] It \\x1b[31mflew*. — its words stand nowhere\n\nconfidence 0.91\n" in text
    assert text.endswith("quoted: nothing is left")
    assert text.index("[unsupported]") > text.index("Sources")
    assert "**\\[unsupported\\]** It \\\\x1b\\[31mflew\\*." in render.answer_markdown(answer)
    record = render.answer_record(answer)
    assert record["unsupported"] == [{"text": "It \x1b[31mflew*.", "reason": "its words stand nowhere", "support": 0.1}]
    assert "flew" not in record["answer"] + json.dumps(record["claims"])


def test_a_sentence_is_not_both_a_claim_and_unsupported():
    from dataclasses import replace

    from rag.records import Unsupported

    with pytest.raises(ValueError, match="not both"):
        replace(cited("It fell."), unsupported=(Unsupported("It fell.", "why", 0.1),))


def test_each_side_speaks_under_its_name_with_source_and_date():
    from dataclasses import replace

    from rag.records import Said

    answer = replace(
        answered(("a", "It fell."), ("b", "It rose."), ("a", "It did not.")),
        sides=(Said("Chi\x1bna", (1, 2)), Said("Peru", ()), Said("Japan", (3,))),
    )
    text = render.answer_text(answer, width=80, color=False)
    assert text.startswith(
        "Chi\\x1bna — A, 2023-11-17: It fell. [1]\n\nChi\\x1bna — B, 2023-11-17: It rose. [2]\n\n"
        "Peru: The articles do not say.\n\nJapan — A, 2023-11-17: It did not. [3]\n\nSources\n"
    )
    assert "*Peru:* The articles do not say." in render.answer_markdown(answer)
    assert render.answer_record(answer)["sides"][1:] == [
        {"party": "Peru", "citations": []},
        {"party": "Japan", "citations": [3]},
    ]
    assert "sides" not in render.answer_record(replace(answer, sides=None))


@pytest.mark.parametrize("markers", [(1,), (1, 2, 3)])
def test_sides_have_the_citations_of_the_answer_and_no_others(markers):
    from dataclasses import replace

    from rag.records import Said

    with pytest.raises(ValueError, match="side"):
        replace(answered(("a", "It fell."), ("b", "It rose.")), sides=(Said("China", markers),))
