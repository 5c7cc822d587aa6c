"""Follow-ups: each stands alone afterwards, and what stands alone is left as it is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.conversation.antecedents import points_nowhere
from rag.conversation.followups import asks_nothing, understand
from rag.conversation.turns import Turn

BAN = Turn(
    "When did Beijing ban Japanese seafood?",
    ("Beijing imposed a blanket ban on all seafood from Japan in late August.",),
)
BLAZEK = Turn(
    "Which analyst called the ban a political gesture?",
    ("Chase Blazek, Asia-Pacific analyst at RANE, said that the ban is mainly a political gesture.",),
    "Chase Blazek",
)
WHO_IS = Turn("Who is Chase Blazek?", BLAZEK.evidence, "Asia-Pacific analyst at RANE")
SLOWED = Turn("Why is Beijing friendlier?", ("The slowdown is a reason.",))
SAID = Turn("What did Kishida say about the buoy?", ("Kishida demanded that a buoy be removed.",))
FELL = Turn("How much did imports from Japan fall in 2023?", ("Imports fell by 12.9%.",))
COURT = Turn("What is the Hayashi Court?")
VISITORS = Turn("How many visitors from South Korea came to Hong Kong in 2023?")
FIRMS = Turn("How many Japanese companies are in Hong Kong?", ("There were 1,400 in Hong Kong.",))
MET = Turn("Where did Kishida and Xi meet?", ("They met in San Francisco in November 2023.",), "San Francisco")
CHINESE = Turn("2023年中国的进口额是多少？")
JAPANESE = Turn("日本の輸出はどのくらい減りましたか？")
WHO = Turn("谁访问了北京？", ("林芳正访问了北京。",), "林芳正")


@pytest.mark.parametrize(
    ("turn", "typed", "meant"),
    [
        # one word that asks
        (BAN, "Why?", "Why did Beijing ban Japanese seafood?"),
        (BAN, "But why?", "Why did Beijing ban Japanese seafood?"),
        (Turn("Did China ban seafood?"), "When?", "When did China ban seafood?"),
        (Turn("Why did it rain?", ("It rained for a week.",)), "Why?", "Why: It rained for a week?"),
        (
            Turn("How long has Judge Okonkwo been on the bench?", ("Nineteen years, she said.",), "Nineteen years"),
            "Does she support cameras?",
            "Does Judge Okonkwo support cameras?",
        ),
        (Turn("Who is the Landlord in the lease?"), "And the Tenant?", "Who is the Tenant in the lease?"),
        (BAN, "What did Obata say?", "What did Obata say? (When did Beijing ban Japanese seafood?)"),
        (FELL, "How much was it the year before?", "How much did imports from Japan fall in 2022?"),
        (Turn("Which flights were cancelled?"), "Why?", "Why were flights cancelled?"),
        (Turn("Who was detained in Beijing?", (), "Koji Mori"), "Why?", "Why was Koji Mori detained in Beijing?"),
        (SLOWED, "Is that more than in 2022?", "Is that more than in 2022? (Why is Beijing friendlier?)"),
        (
            Turn("How many cars did it sell in 2024? (What did Yoko Tanabe say?)"),
            "Is that the highest ever?",
            "Is that the highest ever? (How many cars did it sell in 2024?)",
        ),
        (
            Turn("How many marched?", ("NAGASAKI, March 9 (Dispatch) — About 12,000 people marched.",)),
            "Who said that?",
            "Who said that about 12,000 people marched?",
        ),
        (Turn("What did Gao say about Japan?"), "Did Kudo agree with him?", "Did Kudo agree with Gao?"),
        (Turn("What did the Governor say?"), "And Kenzo Mori?", "What did Kenzo Mori say?"),
        (SAID, "Why?", "Why: Kishida demanded that a buoy be removed?"),
        (Turn("What did Kishida open?"), "Why?", "Why did Kishida open?"),
        (SAID, "Who said so?", "Who said that Kishida demanded that a buoy be removed?"),
        (Turn("What did Kishida promise?"), "Who said so?", "Who said so? (What did Kishida promise?)"),
        (SLOWED, "Who said so?", "Who said that the slowdown is a reason?"),
        # cut short
        (FELL, "And in 2024?", "How much did imports from Japan fall in 2024?"),
        (FELL, "2024?", "How much did imports from Japan fall in 2024?"),
        (FELL, "What about exports?", "How much did exports from Japan fall in 2023?"),
        (FELL, "And exports to Japan?", "How much did exports to Japan fall in 2023?"),
        (FELL, "And exports to Korea?", "How much did exports to Korea fall in 2023?"),
        (FELL, "What about exports from Korea to China?", "How much did exports from Korea to China fall in 2023?"),
        (FELL, "And from Korea?", "How much did imports from Korea fall in 2023?"),
        (VISITORS, "And from mainland China?", "How many visitors from mainland China came to Hong Kong in 2023?"),
        (VISITORS, "From Japan?", "How many visitors from Japan came to Hong Kong in 2023?"),
        (VISITORS, "And to Macau?", "How many visitors from South Korea came to Macau in 2023?"),
        (FELL, "In the first half of 2024?", "How much did imports from Japan fall in the first half of 2024?"),
        (VISITORS, "And since then?", "How many visitors from South Korea came to Hong Kong since 2023?"),
        (FIRMS, "Which firms moved away from there?", "Which firms moved away from Hong Kong?"),
        (Turn("Who is Sanae Takaichi?"), "Who met her in Tokyo?", "Who met Sanae Takaichi in Tokyo?"),
        (Turn("Who is Sanae Takaichi?"), "Who are her ministers?", "Who are Sanae Takaichi's ministers?"),
        (Turn("Who won?"), "Right-wing parties?", "What about Right-wing parties? (Who won?)"),
        (VISITORS, "And since 2020?", "How many visitors from South Korea came to Hong Kong since 2020?"),
        (VISITORS, "And in Okinawa?", "How many visitors from South Korea came to Okinawa in 2023?"),
        (Turn("How many work in tourism?"), "And in Hong Kong?", "How many work in tourism in Hong Kong?"),
        (SAID, "And about the ban?", "What did Kishida say about the ban?"),
        (BAN, "To lift it?", "To lift it? (When did Beijing ban Japanese seafood?)"),
        # a month is nobody
        (replace(BAN, short_answer="August"), "What did he say?", "What did Wang Yi say?"),
        (replace(BAN, short_answer="Late August"), "What did he say?", "What did Wang Yi say?"),
        (Turn("In 2023, how much was sold?"), "And in May 2024?", "In May 2024, how much was sold?"),
        (BAN, "And in 2024?", "When did Beijing ban Japanese seafood in 2024?"),
        (SAID, "And Xi?", "What did Xi say about the buoy?"),
        (BAN, "What about whales?", "What about whales? (When did Beijing ban Japanese seafood?)"),
        # corrected
        (FELL, "I meant 2022", "How much did imports from Japan fall in 2022?"),
        (FELL, "No, 2022.", "How much did imports from Japan fall in 2022?"),
        (Turn("What did Kashida say?"), "Sorry, I meant Kishida", "What did Kishida say?"),
        # pointing back
        (BLAZEK, "Which firm does he work for?", "Which firm does Chase Blazek work for?"),
        (WHO_IS, "What does he expect?", "What does Chase Blazek expect?"),
        (SAID, "What was his demand?", "What was Kishida's demand?"),
        (BAN, "How did Tokyo react to that ban?", "How did Tokyo react to the ban on all seafood from Japan?"),
        (COURT, "When was it founded?", "When was the Hayashi Court founded?"),
        (FIRMS, "What do they sell?", "What do Japanese companies sell?"),
        (FIRMS, "Who lives there?", "Who lives in Hong Kong?"),
        (MET, "What did they agree on?", "What did Kishida and Xi agree on?"),
        (MET, "Who led Japan then?", "Who led Japan in November 2023?"),
        (BAN, "How long did it last?", "How long did it last? (When did Beijing ban Japanese seafood?)"),
        (BAN, "What of it did Kishida lift?", "What of it did Kishida lift? (When did Beijing ban Japanese seafood?)"),
        # Chinese and Japanese
        (CHINESE, "那么2024年呢？", "2024年中国的进口额是多少？"),
        (CHINESE, "那日本呢？", "2023年日本的进口额是多少？"),
        (CHINESE, "出口呢？", "2023年中国的出口额是多少？"),
        (CHINESE, "为什么？", "为什么？（2023年中国的进口额是多少？）"),
        (WHO, "他见了谁？", "林芳正见了谁？"),
        (JAPANESE, "では、中国は？", "中国の輸出はどのくらい減りましたか？"),
        (JAPANESE, "なぜ？", "なぜ？（日本の輸出はどのくらい減りましたか？）"),
    ],
)  # fmt: skip
def test_a_follow_up_is_made_whole(turn, typed, meant):
    assert understand(typed, [Turn("Who is Wang Yi?"), turn]).question == meant


@pytest.mark.parametrize(
    "question",
    [
        "How many new enterprises did Japan establish in China in 2023?",
        "What did Kishida say to Xi when he met him?",
        "Is it true that China banned seafood?",
        "How long does it take to fly to Tokyo?",
        "Did Blazek say that the ban is a gesture?",
        "Is there a treaty between Japan and China?",
        "2024年日本对中国的投资下降了多少？",
    ],
)
def test_what_stands_alone_is_left_alone(question):
    understood = understand(question, [BAN])
    assert (understood.question, understood.query, understood.sure) == (question, question, True)


def test_nothing_leans_without_a_turn_before():
    assert understand("Why?", []).question == "Why?"


def test_a_question_that_names_nothing_may_be_meant_either_way():
    understood = understand("How large is the fishing fleet?", [BAN])
    assert not understood.sure
    assert understood.question == f"How large is the fishing fleet? ({BAN.question})"


def test_what_is_leaned_on_weighs_half_in_the_query():
    understood = understand("How long did it last?", [BAN])
    assert understood.query == f"How long did it last? {BAN.question} How long did it last?"


def test_a_chain_of_follow_ups_goes_back_to_the_question_that_began_it():
    first = understand("How long did it last?", [BAN])
    second = understand("Who ended it?", [BAN, Turn(first.question)])
    assert second.question == f"Who ended it? ({BAN.question})"


WORDS = st.sampled_from(
    ["Why?", "And", "2024", "What", "about", "he", "it", "they", "there", "that", "ban", "Kishida", "in", "Tokyo?", "I",
     "meant", "no,", "那", "呢？", "为什么", "彼", "では", "は？", "(", ")", "（", "）", "“", "'", "\\", "$", "."]
)  # fmt: skip
TEXTS = st.lists(WORDS, max_size=8).map(" ".join) | st.text(max_size=40)


@given(TEXTS, st.lists(st.builds(Turn, TEXTS, st.tuples(TEXTS), st.none() | TEXTS), max_size=3))
def test_whatever_is_typed_means_something(typed, turns):
    understood = understand(typed, turns)
    assert understood == understand(typed, turns)
    assert bool(understood.question.strip()) == bool(typed.strip())
    assert understood == understand(understood.question, []) or turns


PLACES = ["South Korea", "mainland China", "Japan", "the United States", "rural Thailand", "Hong Kong"]
TIMES = ["2023", "May 2024", "the first half of 2024", "late 2022", "the second quarter", "last year", "12 March 2021"]


@given(st.sampled_from(["from", "to", "with", "of", "by", "for", "against"]), st.permutations(PLACES), st.booleans())
def test_what_stands_behind_the_same_preposition_is_replaced_and_can_be_put_back(preposition, places, leading):
    one, other, *_ = places
    asked = f"How many visitors {preposition} {{}} were counted last year?"
    typed = ("And " if leading else "") + f"{preposition} {{}}?"
    there = understand(typed.format(other), [Turn(asked.format(one))]).question
    assert there == asked.format(other)
    assert understand(typed.format(one), [Turn(there)]).question == asked.format(one)


@given(st.sampled_from(["in", "since", "until", "during", "before"]), st.sampled_from(["in", "since", "by", "after"]),
       st.permutations(TIMES))  # fmt: skip
def test_another_time_takes_the_place_of_the_one_before(old, new, times):
    turn = Turn(f"How much did exports to Japan fall {old} {times[0]}?")
    assert (
        understand(f"And {new} {times[1]}?", [turn]).question == f"How much did exports to Japan fall {new} {times[1]}?"
    )


@pytest.mark.parametrize(
    ("question", "pronoun"),
    [
        ("Did he agree?", "he"),
        ("When did they meet in Beijing?", "they"),
        ("What did Kishida say when he met Xi?", None),
        ("Which firms say that they will leave?", None),
        ("When did Kishida meet Xi?", None),
        ("", None),
    ],
)
def test_a_pronoun_that_stands_for_nobody_is_found(question, pronoun):
    assert points_nowhere(question) == pronoun


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("And the winter before?", "How many tourists came in the winter of 2030?"),
        ("the previous winter", "How many tourists came in the winter of 2030?"),
        ("What about the year after?", "How many tourists came in the winter of 2032?"),
        ("And in the following year?", "How many tourists came in the winter of 2032?"),
        ("and the year before that", "How many tourists came in the winter of 2030?"),
        ("two years before?", "How many tourists came in the winter of 2029?"),
        ("And a year later?", "How many tourists came in the winter of 2032?"),
        ("and 10 years earlier?", "How many tourists came in the winter of 2021?"),
        ("And in the next year?", "How many tourists came in the winter of 2032?"),
    ],
)
def test_a_time_beside_the_one_that_was_asked_about_is_counted(typed: str, meant: str) -> None:
    assert understand(typed, [Turn("How many tourists came in the winter of 2031?")]).question == meant


@pytest.mark.parametrize("typed", ["And the month before?", "And last year?", "And next year?", "Two winters before?"])
def test_what_cannot_be_counted_is_not(typed: str) -> None:
    assert "2030" not in understand(typed, [Turn("How many tourists came in the winter of 2031?")]).question


@pytest.mark.parametrize(
    ("typed", "nothing"),
    [
        ("thanks", True),
        ("many thanks", True),
        ("no thanks", True),
        ("bye", True),
        ("Ok, great. Thank you!", True),
        ("thanks, and in 2024?", False),
        ("And?", False),
        ("why", False),
    ],
)
def test_thanks_ask_nothing(typed: str, nothing: bool) -> None:  # noqa: FBT001  # a case's expectation
    assert asks_nothing(typed) is nothing
