"""Which questions ask what each of several parties says, and what each is asked then."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.questions import may_ask_one_party, may_name_several
from rag.answering.sides import one_side, split_sides

ROOT = Path(__file__).parents[2]
# Of each, the parties that it names.
SIDED = [
    ("What do China and Japan say about the treated water?", "China", "Japan"),
    ("What do Beijing and Tokyo say about the seafood ban?", "Beijing", "Tokyo"),
    ("What did Macron and Scholz say about the pipeline?", "Macron", "Scholz"),
    ("What have Kyiv and Moscow said about the grain deal?", "Kyiv", "Moscow"),
    ("What are Paris and Rome saying about the fishing quota?", "Paris", "Rome"),
    ("What do China, Japan and South Korea say about the talks?", "China", "Japan", "South Korea"),
    ("What do China, Japan, and South Korea think of the talks?", "China", "Japan", "South Korea"),
    ("What do both China and Japan say about the buoy?", "China", "Japan"),
    ("What do China and Japan each say about the buoy?", "China", "Japan"),
    ("What do the unions and the employers say about the strike?", "the unions", "the employers"),
    ("What do unions and employers think of the pension plan?", "unions", "employers"),
    ("What do critics and supporters say about the dam?", "critics", "supporters"),
    ("What did the mayor and the governor say about the flood?", "the mayor", "the governor"),
    ("What did the mayor and her deputy say about the flood?", "the mayor", "her deputy"),
    ("What do the Chinese and Japanese unions say about the islands?", "the Chinese unions", "the Japanese unions"),
    ("What did the unions of Oslo and Bergen make of it?", "the unions of Oslo", "the unions of Bergen"),
    ("What did Chinese and Japanese officials say about the talks?", "Chinese officials", "Japanese officials"),
    ("What did Chinese and US officials say about the tariffs?", "Chinese officials", "US officials"),
    ("What do the New York Times and the Guardian report about the trial?", "the New York Times", "the Guardian"),
    ("What did the defence and the prosecution argue about the letter?", "the defence", "the prosecution"),
    ("What do Boeing and Airbus expect of the market?", "Boeing", "Airbus"),
    ("What do Smith as well as Jones say about the merger?", "Smith", "Jones"),
    ("What do Greece and the United States claim about the strait?", "Greece", "the United States"),
    ("What concerns did Japan and the United States each express about the flares?", "Japan", "the United States"),
    ("What do India and Pakistan call the river?", "India", "Pakistan"),
    ("What do Israel and Hamas demand in the talks?", "Israel", "Hamas"),
    ("What did Ekdahl and Tveit propose for the cod?", "Ekdahl", "Tveit"),
    ("How do China and Japan see the treated water?", "China", "Japan"),
    ("How did Beijing and Tokyo react to the release?", "Beijing", "Tokyo"),
    ("How did Alpstop and the railway respond to the ruling?", "Alpstop", "the railway"),
    ("How do the government and the opposition justify their votes?", "the government", "the opposition"),
    ("How do Skaar and Espelid explain the low turnout?", "Skaar", "Espelid"),
    ("How did Kishida and Xi describe their meeting?", "Kishida", "Xi"),
    ("How do economists and environmentalists judge the tax?", "economists", "environmentalists"),
    ("How do China and Japan differ on the treated water?", "China", "Japan"),
    ("How do the two ministers, Rossi and Weber, differ?",),
    ("How do Rossi and Weber disagree about the budget?", "Rossi", "Weber"),
    ("How do Rossi and Weber differ in their views on the budget?", "Rossi", "Weber"),
    ("How does China differ from Japan on the seafood ban?", "China", "Japan"),
    ("How does China's view of the ban differ from Japan's?", "China", "Japan"),
    ("How does Tokyo's position on the ban compare with Beijing's?", "Tokyo", "Beijing"),
    ("How do China's and Japan's positions on the ban differ?", "China", "Japan"),
    ("How do China and Japan's views on the ban compare?", "China", "Japan"),
    ("Where do China and Japan disagree over the islands?", "China", "Japan"),
    ("Where do Democrats and Republicans stand on the tax?", "Democrats", "Republicans"),
    ("Why do Poland and Hungary oppose the plan?", "Poland", "Hungary"),
    ("Why did Poland and Hungary reject the quota?", "Poland", "Hungary"),
    ("On what grounds do Spain and Italy criticise the rules?", "Spain", "Italy"),
    ("Which reasons do Spain and Italy give for the tariff?", "Spain", "Italy"),
    ("What arguments do the council and the residents put forward on the road?", "the council", "the residents"),
    ("What position do China and Russia take on the sanctions?", "China", "Russia"),
    ("What are the views of China and Japan on the treated water?", "China", "Japan"),
    ("What were the reactions of Beijing and Tokyo to the verdict?", "Beijing", "Tokyo"),
    ("What is the position of the union and of the company on overtime?", "the union", "the company"),
    ("What are China's and Japan's views on the water?", "China", "Japan"),
    ("Compare China's and Japan's positions on the water.", "China", "Japan"),
    ("Compare the positions of Jaskier and Altmann on war damages.", "Jaskier", "Altmann"),
    ("Contrast the views of Hobbes and Locke on property.", "Hobbes", "Locke"),
    ("Compare what China and Japan say about the water.", "China", "Japan"),
    ("Summarise the arguments of the mayor and the developer about the tower.", "the mayor", "the developer"),
    ("Tell me what Israel and Hamas say about the truce", "Israel", "Hamas"),
    ("I'd like to know what Oslo and Copenhagen think about the cables.", "Oslo", "Copenhagen"),
    ("What is the difference between China and Japan on the islands?", "China", "Japan"),
    ("China versus Japan on the treated water", "China", "Japan"),
    ("Beijing vs. Tokyo: the seafood ban", "Beijing", "Tokyo"),
    ("China and Japan on the treated water", "China", "Japan"),
    ("What does China say about the water, and what does Japan say?", "China", "Japan"),
    ("What does China say about the water and what does Japan say about it?", "China", "Japan"),
    ("What does China say about the water, and what about Japan?", "China", "Japan"),
    ("What does China say about the water, and Japan?", "China", "Japan"),
    ("What does China say about the water, unlike Japan?", "China", "Japan"),
    ("What does the union want compared with the company?", "the union", "the company"),
    ("How is the ban seen by China and by Japan?", "China", "Japan"),
    ("What is said about the railway by Altmann and by Jaskier?", "Altmann", "Jaskier"),
    ("How many people died according to Israel and Hamas?", "Israel", "Hamas"),
    ("In 2023, what did Beijing and Tokyo say about the ban?", "Beijing", "Tokyo"),
    ("After the summit, how did Washington and Moscow describe the talks?", "Washington", "Moscow"),
    ("What do China and Japan think of each other?", "China", "Japan"),
]  # fmt: skip

ONE = [
    "How many enterprises did Japan establish in China in 2023?",
    "When did China and Japan sign the treaty?",
    "What is the trade between China and Japan worth?",
    "Which goods do China and Japan trade?",
    "What did Kishida and Xi agree on in San Francisco?",
    "What did Xi and Kishida discuss in San Francisco?",
    "Where did Kishida and Xi meet?",
    "When did Kishida and Xi meet for the first time?",
    "How long did the talks between Kishida and Xi last?",
    "How many tonnes of cod did Norway and Iceland catch in 2022?",
    "Who are the presidents of Italy and Slovenia?",
    "Who mediated between Israel and Hamas?",
    "Why did China ban seafood from Japan?",
    "Why did China and Japan break off the talks?",
    "What did China and Japan say in their joint statement?",
    "What do China and Japan want to build together?",
    "What did the two leaders jointly announce about trade and security?",
    "What does Marks and Spencer say about its sales?",
    "How did Marks & Spencer account for the decline of its sales?",
    "How was US News and World Report ranked in terms of chief executives?",
    "Which scholar brings up the British and Germans on the eve of the war?",
    "Why were Malaysian farmers making losses, as the envoy saw it?",
    "What did Skalin, as trade minister, say about farmers in June and about pipes in May?",
    "How did Russia respond in June, and with whom did it side in December?",
    "What did Sarr say about the islands, and how does Professor Storm think a court would split them?",
    "What does the Ministry of Trade and Industry say about the tariff?",
    "What does Wang Yi say about Taiwan and the Fukushima water?",
    "What did Kishida say about trade and security?",
    "What does China say about the islands and the water?",
    "What does China think about Japan and Korea?",
    "How does Beijing see the islands and the fishing grounds?",
    "How do acids and bases react?",
    "How do plants and animals respond to light?",
    "How do the heart and the lungs work?",
    "What do cats and dogs eat?",
    "What do bread and butter cost?",
    "What is the difference between a llama and an alpaca?",
    "What is the difference between bread and cake?",
    "What is the distance between Vienna and Linz?",
    "Which river separates Poland and Germany?",
    "Which languages do Belgium and Switzerland share?",
    "What treaty did Spain and Portugal sign in 1494?",
    "In which year did Norway and Sweden part?",
    "Which is larger, Norway or Sweden?",
    "Is Norway larger than Sweden and Denmark?",
    "Did China and Japan sign a treaty?",
    "Are China and Japan members of RCEP?",
    "Do China and Japan want a trade deal?",
    "How much did exports from Japan and China fall?",
    "How often did Italy and Germany play each other?",
    "How far apart are Oslo and Bergen?",
    "How high are the mountains between France and Spain?",
    "How many medals did Norway and Germany win?",
    "By how much did trade between Korvath and Lissia slip?",
    "What caused the war between Iran and Iraq?",
    "What led to the dispute between Alpstop and Transalpina?",
    "What is the name of the bridge between Denmark and Sweden?",
    "Who wrote Romeo and Juliet?",
    "Who said that trade and security belong together?",
    "Who founded Procter and Gamble?",
    "Where are the headquarters of Johnson & Johnson?",
    "What did Watson and Crick discover?",
    "Which prize did Marie and Pierre Curie receive?",
    "What was built by Romans and Greeks in Sicily?",
    "What are the causes and effects of inflation?",
    "What are the advantages and disadvantages of hydrogen?",
    "What do you think about China and Japan?",
    "what do china and potatoes say about us?",
    "What do we know about Mars and Venus?",
    "What do people say about the weather and the crops?",
    "How do I export goods to China and Japan?",
    "How do they see the future of trade and industry?",
    "Describe the relations between China and Japan.",
    "Explain the rise and fall of the cod.",
    "Compare prices in Oslo and Bergen.",
    "Compare the exports of Japan and China in 2023.",
    "What percentage of votes did Labour and the Greens win?",
    "Which ministers of China and Japan met in Beijing?",
    "Which cities did Kishida and Ishiba visit?",
    "What jobs do Anna and Peter do?",
    "What do Anna and Peter have in common?",
    "According to Lu, which factors cloud trade between China and Japan?",
    "According to the report, how many ships and planes were lost?",
    "How do Tokyo's export curbs differ from Washington's?",
    "How did mainland China's import ban on Japanese seafood differ in scope from Hong Kong's?",
    "With which Japanese prime ministers did Xi hold talks, and in which cities?",
    "Who is Japan's biggest trading partner, and how does the United States rank by comparison?",
    "What did Xi discuss with Kishida, and later with Ishiba?",
    "What do analysts say about the ban?",
    "Which metals did Beijing put under export rules, and when?",
    "and",
    "",
    "What do and say about?",
    "What do , and , say about it?",
]


@pytest.mark.parametrize("case", SIDED, ids=lambda case: case[0])
def test_a_question_for_several_parties_is_told(case):
    question, *parties = case
    assert [side.party for side in split_sides(question)] == parties


@pytest.mark.parametrize("question", ONE)
def test_a_question_that_only_names_several_stays_one(question):
    assert split_sides(question) == ()


@pytest.mark.parametrize(
    ("question", "first", "second"),
    [
        (
            "What do Beijing and Tokyo say about the seafood ban?",
            "What does Beijing say about the seafood ban?",
            "What does Tokyo say about the seafood ban?",
        ),
        (
            "How did Alpstop and the railway respond to the ruling?",
            "How did Alpstop respond to the ruling?",
            "How did the railway respond to the ruling?",
        ),
        (
            "What do the unions and the employers say about pay?",
            "What do the unions say about pay?",
            "What do the employers say about pay?",
        ),
        (
            "What are the views of China and Japan on the water?",
            "What does China say about the water?",
            "What does Japan say about the water?",
        ),
        (
            "What do China and Japan think of each other?",
            "What does China think of Japan?",
            "What does Japan think of China?",
        ),
        (
            "What does China say about the water, and what about Japan?",
            "What does China say about the water?",
            "What does Japan say about the water?",
        ),
        (
            "How many people died according to Israel and Hamas?",
            "How many people died according to Israel?",
            "How many people died according to Hamas?",
        ),
        (
            "What are China's and Japan's views on the ban?",
            "What does China say about the ban?",
            "What does Japan say about the ban?",
        ),
        (
            "What are China and Japan demanding of each other?",
            "What is China demanding of Japan?",
            "What is Japan demanding of China?",
        ),
        (
            "what does beijing say about the ban and what does tokyo say?",
            "what does beijing say about the ban?",
            "what does tokyo say about the ban?",
        ),
        (
            "what do athens and the us say about the ban?",
            "what does athens say about the ban?",
            "what does the us say about the ban?",
        ),
        (
            "How is the ban seen by China and by Japan?",
            "What does China say about the ban?",
            "What does Japan say about the ban?",
        ),
    ],
)
def test_each_party_is_asked_by_itself(question, first, second):
    assert [side.question for side in split_sides(question)] == [first, second]


def test_what_is_asked_about_is_without_the_parties():
    (china, japan) = split_sides("In 2023, what did China and Japan say about the treated water?")
    assert china.topic == japan.topic
    assert {"2023", "treated", "water"} <= set(re.findall(r"\w+", china.topic))
    assert "China" not in china.topic


def test_words_are_asked_for_where_a_deed_would_not_do():
    assert all(side.says for side in split_sides("What do China and Japan say about the ban?"))
    assert not any(side.says for side in split_sides("How did China and Japan react to the ban?"))


OF_ONE_PARTY = [
    ("What did Kishida say about the ban?", "Kishida", "the ban"),
    ("What does China say about the treated water?", "China", "the treated water"),
    ("What did Prime Minister Fumio Kishida say to Xi about Taiwan?", "Prime Minister Fumio Kishida", "Taiwan"),
    ("What did Runa Tveit tell reporters about the cod?", "Runa Tveit", "the cod"),
    ("What did Runa Tveit tell reporters?", None, None),
    ("What is China's position on Taiwan?", "China", "Taiwan"),
    ("What was Tokyo's first reaction to the ban?", "Tokyo", "the ban"),
    ("What is the view of Wang Yi on decoupling?", "Wang Yi", "decoupling"),
    ("Summarise China's position on Taiwan.", "China", "Taiwan"),
    ("How did Beijing react to the release?", "Beijing", "the release"),
    ("How has the EU justified the tariffs?", "the EU", "the tariffs"),
    ("Where does Japan stand on the ban?", "Japan", "the ban"),
    ("In 2023, what did Japan say about the ban?", "Japan", "the ban"),
    ("What does China's foreign ministry say about Taiwan?", "China's foreign ministry", "Taiwan"),
    ("Tell me what Kishida said about the ban.", "Kishida", "the ban"),
    ("Did Kishida say anything about Taiwan?", "Kishida", "Taiwan"),
    ("Has Bill Marsh ever commented on the fee?", "Bill Marsh", "the fee"),
    ("What is Beijing saying about the islands?", "Beijing", "the islands"),
    ("What do the Japanese say about the ban?", None, None),
    ("What do Japanese firms say about the ban?", None, None),
    ("What does Runa Evans say about the ban?", "Runa Evans", "the ban"),
    ("What was Toyota accused of by regulators?", None, None),
    ("What did Xi say on Monday?", None, None),
    ("What did Xi say on March 3?", None, None),
    ("What is Japan's demand for gas?", None, None),
    ("What did Kishida say?", None, None),
    ("What did the minister say about fish?", "the minister", "fish"),
    ("What did the union say about fish?", None, None),
    ("What is the speaker's view of fish?", None, None),
    ("What did ministers say about fish?", None, None),
    ("What does the Treaty of Rome say about tariffs?", None, None),
    ("What does Article 5 say about the fee?", None, None),
    ("What do you think about Japan?", None, None),
    ("What does he say about Japan?", None, None),
    ("What did China and Japan say about the ban?", None, None),
    ("What was the reaction to China's ban?", None, None),
    ("What is Japan's law on fish?", None, None),
    ("What are the views of experts on China?", None, None),
    ("What does the US want to do about China?", None, None),
    ("What did Apple unveil about the phone?", None, None),
    ("Who said what about China?", None, None),
    ("Why does China say that about Japan?", None, None),
    ("What does China trade with Japan?", None, None),
    ("中国は処理水について何と言っていますか", None, None),
    ("", None, None),
]


@pytest.mark.parametrize(("question", "party", "topic"), OF_ONE_PARTY)
def test_a_question_for_what_one_party_says_is_told(question, party, topic):
    side = one_side(question)
    assert (side and side.party, side and side.topic) == (party, topic)
    assert side is None or (side.question == question and may_ask_one_party(question))


@pytest.mark.parametrize(
    "question",
    [
        "When was it signed by Wang Yi?",
        "Who met Xi in Bali?",
        "How many firms did Li name?",
        "Which bank told Li so?",
        "what did the unions say about fish?",
        "Where was Wang Yi born?",
    ],
)
def test_a_question_for_a_fact_is_not_looked_at_further(question):
    assert not may_ask_one_party(question)


@given(st.text(max_size=120))
def test_the_first_look_misses_no_question_for_one_party(question):
    assert one_side(question) is None or may_ask_one_party(question)


@given(
    parties=st.lists(st.sampled_from(["China", "Japan", "Runa Tveit", "the unions"]), min_size=2, unique=True),
    verb=st.sampled_from(["say about", "think of", "want from", "propose for"]),
    topic=st.sampled_from(["the water", "pay", "the ban on cod", "Taiwan and the buoy"]),
)  # fmt: skip
def test_every_party_is_asked_the_same(parties, verb, topic):
    joined = f"{', '.join(parties[:-1])} and {parties[-1]}"
    sides = split_sides(f"What do {joined} {verb} {topic}?")
    assert [side.party for side in sides] == parties
    for side in sides:
        assert re.fullmatch(rf"What do(?:es)? {side.party} {verb} {topic}\?", side.question)


@given(st.text(max_size=120))
def test_any_text_is_one_question_or_several(text):
    sides = split_sides(text)
    assert len(sides) != 1
    assert all(side.party and side.question.endswith("?") for side in sides)


@given(st.text(alphabet="abc ,'and?ofsyW", max_size=3000))
def test_a_long_question_takes_no_longer(text):
    split_sides(f"What do {text} say about {text} by {text}?")


def test_of_ordinary_questions_next_to_none_is_taken_for_several():
    files = sorted((ROOT / "training" / "news").glob("*.jsonl"))
    questions = [json.loads(line)["question"] for file in files for line in file.read_text("utf-8").splitlines()]
    taken = [question for question in questions if split_sides(question)]
    assert len(questions) > 5000
    # What Bharat and China Coastal replied, what Vodafone and O2 say: these do ask each.
    assert len(taken) <= len(questions) / 1000, taken


def test_what_names_several_has_a_word_that_joins_them():
    assert all(may_name_several(question) for question, *parties in SIDED if parties)
    assert not may_name_several("How many enterprises did Japan establish in 2023?")
