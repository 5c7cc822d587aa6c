"""Which sentences are a party's: told over sentences as newspapers write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.clauses import Speaks, goes_on
from rag.answering.speakers import Voice, statements_of
from rag.records import Article, Span
from rag.sentences import split_sentences


def article(*sentences):
    """Return an article of sentences, and where each stands."""
    text, spans = "", []
    for sentence in sentences:
        spans.append(Span(len(text), len(text) + len(sentence)))
        text += f"{sentence} "
    return Article(id="a", path="a.md", text=text, title="a"), spans


def said_by(*parties, sentences):
    """Return for each party the numbers of its sentences."""
    made, spans = article(*sentences)
    return [[spans.index(one.span) for one in found] for found in statements_of(parties, made, spans)]


@pytest.mark.parametrize(
    ("party", "sentence"),
    [
        ("China", "China condemned the release."),
        ("China", "Beijing condemned the release."),
        ("Beijing", "China condemned the release."),
        ("China", "The Chinese foreign ministry said that the water was not safe."),
        ("China", "China's foreign minister, Wang Yi, called for talks."),
        ("Tokyo", "Tokyo, angered by the ban, lodged a complaint."),
        ("Japan", "Japan has repeatedly demanded an end of the ban."),
        ("Japan", "According to the Japanese government, the water is clean."),
        ("Japan", "In Tokyo's view the ban is unscientific."),
        ("Japan", "The ban, Japan insists, has no basis."),
        ("Japan", "China banned fish in August, but Japan called that unscientific."),
        ("Japan", "While Beijing speaks of waste, Tokyo says that the water is treated."),
        ("Japan", "China and Japan accuse each other."),
        ("China", "Japan and China have clashed again."),
        ("the US", "The United States welcomed the step."),
        ("Washington", "American officials warned of delays."),
        ("South Korea", "Seoul announced inspections."),
        ("Korvath", "Korvath's spokeswoman denied this."),
        ("Runa Tveit", '"The stock is dying," said Dr. Runa Tveit, who led the survey.'),
        ("Tveit", "Tveit rejected this and invited him."),
        ("Altmann", '"Invoices do," Altmann added.'),
        ("Thorbecke", "Willem Thorbecke, a fellow at the Institute of Trade, Economy and Industry, said it would."),
        ("Petri", "Jonas Petri of the Growers' Union in Port Sabel said that 1,900 members had stopped."),
        ("the Growers' Union", "Jonas Petri of the Growers' Union in Port Sabel said that 1,900 members had stopped."),
        ("the Trawlers' Union", "The chairman of the Trawlers' Union, Bo Harding, argued that the count was wrong."),
        ("the company", "The company says that it will hire locally."),
        ("the mayor", "Mayor Ada Brandt expects a surplus."),
        ("critics", "Critics doubt that the dam will hold."),
        ("unions", "The unions have called a strike."),
        ("Fingar", "Beijing is keener to mend ties than before, according to Fingar."),
        ("Harding", "The chairman of the Trawlers' Union, Bo Harding, argued that the count was wrong."),
        ("Nambiar", "His colleague at Tidewater Securities, Priya Nambiar, expects new plants."),
        ("Sundaram", "Her colleague Ravi Sundaram is more careful."),
        ("Abadie", '"Not the wind," said the political scientist Corinne Abadie of Port Allard.'),
        ("Insula", "He would win, according to a survey published on Sunday by the Insula institute."),
        ("the Farmers' List", "His partner, the Farmers' List with 14 seats, has asked for changes."),
        ("the minister", "Education Minister Lowie Castrik on Tuesday laid out a plan."),
        ("Belmora", "Her Belmoran counterpart, Davor Skalin, was cautious."),
    ],
)  # fmt: skip
def test_who_speaks_or_acts_is_told(party, sentence):
    assert said_by(party, sentences=[sentence]) == [[0]]


@pytest.mark.parametrize(
    ("party", "sentence"),
    [
        ("China", "Japan exports fish to China."),
        ("China", "Trade between China and Japan has grown."),
        ("China", "Chinese exports to Japan fell by 8 percent."),
        ("China", "The ban on fish from China was lifted."),
        ("Japan", "Beijing's ban hit Japan's fishermen hard."),
        ("Japan", "Relations of Beijing with Tokyo have cooled."),
        ("Japan", "The Japan-China treaty was signed in 1978."),
        ("Japan", "China called on Japan to stop."),
        ("Japan", 'Wang called it a "Japan says so" attitude.'),
        ("Tveit", "Ekdahl thanked Tveit for the survey."),
        ("the company", "He left the company in May."),
        ("Lu", "Lulu said it was warm."),
    ],
)
def test_who_is_only_named_does_not_speak(party, sentence):
    assert said_by(party, sentences=[sentence]) == [[]]


def test_a_country_speaks_by_its_minister_and_he_by_his_surname():
    sentences = ["Wang Yi, China's foreign minister, met Moriyama.", "Wang denied it.", "Moriyama asked for more."]
    assert said_by("China", "Moriyama", sentences=sentences) == [[0, 1], [2]]


def test_a_body_speaks_by_who_heads_it():
    sentences = ["Ilse Brandt, who heads the Importers' League, was absent.", "Brandt said that oysters are plenty."]
    assert said_by("the Importers' League", sentences=sentences) == [[0, 1]]


def test_a_surname_of_somebody_else_is_not_his():
    sentences = ["Furio Declich, the mayor of Piran, resigned.", "Nives Declich said that she would not."]
    assert said_by("Piran", sentences=sentences) == [[0]]


def test_he_goes_on_from_the_sentence_before_alone():
    sentences = ["Ekdahl spoke of the villages.", "He promised aid.", "He gave no date.", "It rained."]
    assert said_by("Ekdahl", sentences=sentences) == [[0, 1]]


def test_her_colleague_is_another():
    sentences = ["Abadie spoke of silence.", "Her colleague Ravi Sundaram recalled a flood.", "Her students agreed."]
    assert said_by("Abadie", "Sundaram", sentences=sentences) == [[0], [1, 2]]


def test_its_chairwoman_goes_on_for_a_body():
    sentences = ["The Farmers' League announced a protest.", '"No milk," said its chairwoman, Petra Vukas.']
    assert said_by("the Farmers' League", sentences=sentences) == [[0, 1]]


def test_who_is_joined_to_another_speaks_too():
    sentences = [
        "Works councils and the mayor welcomed it.",
        "Farmers and their union, he said, were angry.",
        "It rained.",
    ]
    assert said_by("works councils", "the mayor", sentences=sentences[:1]) == [[0], [0]]
    assert said_by("farmers", sentences=sentences[2:]) == [[]]
    assert said_by("Japan", sentences=["The board met Japan and the mayor welcomed it."]) == [[]]


def test_in_minutes_a_name_before_a_colon_tells_whose_words_follow():
    text = "Sanjay Rao: The budget grew. Tanabe asked why.\n\n**Ms Tanabe:** I cannot agree.\n\nThe board rose."
    spans = split_sentences(text)
    found = statements_of(["Sanjay Rao", "Tanabe"], Article(id="a", path="a.md", text=text, title="A"), spans)
    assert [[spans.index(one.span) for one in own] for own in found] == [[0, 1], [2]]


def test_a_second_label_in_a_line_ends_the_words_of_the_first():
    sentences = ["Sanjay Rao: We agree.", "It is fair.", "Yuki Tanabe: I do not.", "It costs too much."]
    assert said_by("Sanjay Rao", "Yuki Tanabe", sentences=sentences) == [[0, 1], [2, 3]]


def test_a_surname_alone_is_somebody_else_where_the_whole_name_is_not_there():
    assert said_by("Gao Lihua", sentences=["Gao Anming came.", "Gao said that it was late."]) == [[]]
    assert said_by("Gao Lihua", sentences=["Gao Lihua came.", "Gao said that it was late."]) == [[0, 1]]


def test_a_colon_within_a_paragraph_labels_its_own_sentence_alone():
    sentences = ["The summit began.", "Kishida: a leader under pressure.", "Xi said that it must stop.", "Prices fell."]
    assert said_by("Kishida", sentences=sentences) == [[1]]


def test_the_label_of_whoever_is_not_asked_ends_anothers_words():
    text = "Sanjay Rao: We agree. It is fair.\nYuki Tanabe: Mr Rao has never asked.\n\nThe board rose."
    spans = [*split_sentences(text)]
    found = statements_of(["Rao"], Article(id="a", path="a.md", text=text, title="A"), spans)
    assert [text[one.span.start : one.span.end] for one in found[0]] == ["Sanjay Rao: We agree.", "It is fair."]


def test_a_surname_before_a_colon_is_not_that_of_a_namesake():
    assert said_by("Yuki Tanabe", sentences=["Arvid Tanabe: I do not.", "Yuki Tanabe said so."]) == [[1]]
    assert said_by("Tanabe", sentences=["Arvid Tanabe: I do not."]) == [[0]]


def test_a_dateline_is_nobodys_label():
    sentences = ["Tokyo: China said on Monday that the talks failed.", "Japan protested."]
    assert said_by("Japan", "China", sentences=sentences) == [[1], [0]]


def test_who_begins_a_sentence_with_a_name_does_not_go_on_for_another():
    sentences = ["Brekke declined to say who would lead it.", "Skalin told reporters that he hoped for more."]
    assert said_by("Brekke", sentences=sentences) == [[0]]


def test_he_is_not_who_was_told_of():
    sentences = ["Ekdahl told Harding that the count was right.", "He promised aid."]
    assert said_by("Harding", "Ekdahl", sentences=sentences) == [[], [0, 1]]


def test_of_whom_another_tells_does_not_speak():
    sentences = ["Kishida told reporters that he and Xi had agreed to talk."]
    assert said_by("Kishida", "Xi", sentences=sentences) == [[0], []]


def test_what_others_say_that_a_party_will_do_is_not_its_own():
    assert said_by("Japan", sentences=["Lu hopes that Japan will offer more."]) == [[]]


def test_a_deed_is_told_from_words():
    made, spans = article("Beijing imposed a ban.", "Beijing condemned the release.")
    assert [one.acts for one in statements_of(["China"], made, spans)[0]] == [True, False]


@pytest.mark.parametrize("text", ["He agreed.", '"So be it."', "The minister declined.", "Then, she said, it rained."])
def test_a_sentence_may_go_on(text):
    assert goes_on(text)


@pytest.mark.parametrize("text", ["Trade fell by a tenth.", "Harding left.", "The water is warm."])
def test_a_sentence_may_begin_anew(text):
    assert not goes_on(text)


WORDS = "China Japan Chinese Tokyo said says that and , . ' \" “ ” the minister of Wang Yi's , who heads it he – ("
TEXT = st.lists(st.one_of(st.sampled_from(WORDS.split()), st.text(max_size=8)), max_size=25).map(" ".join)


@given(st.lists(TEXT.filter(str.strip), max_size=5), st.lists(TEXT.filter(str.strip), min_size=1, max_size=3))
def test_any_text_has_statements_among_its_sentences_in_order(sentences, parties):
    made, spans = article(*sentences)
    for found in statements_of(parties, made, spans):
        assert [one.span for one in found] == sorted(one.span for one in found)
        assert {one.span for one in found} <= set(spans)


@given(TEXT, TEXT)
def test_any_party_speaks_or_does_not(party, sentence):
    assert Voice(party, sentence).speaks(sentence) in Speaks
