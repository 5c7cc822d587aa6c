"""The judge for Chinese and Japanese, with the weights that ship."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering import Reading
from rag.answering.matching import CALIBRATION, DecisionFeatures, MatchingJudge, SentenceFeatures
from rag.config import Answering
from rag.records import Article, Hit, Passage
from rag.sentences import split_sentences

BAR = Answering().min_confidence
BRIDGE = (
    "大桥由工程师李明设计，全长1200米。大桥于1998年5月建成通车。因为河水上涨，渡口在同年关闭。市长王芳主持了通车典礼。"
)
LIBRARY = "図書館は2004年に開館した。設計者は田中健である。蔵書は約30万冊を数える。"
FERRY = "渡船每天运送三百人。船票两元一张。"


def reading(text, *, rank=1, score=1.0, name="a"):
    article = Article(id=name, path=f"{name}.md", text=text, title="记录")
    passage = Passage(name, 0, 0, len(text), tuple(split_sentences(text)))
    return Reading(Hit(passage, score, rank), article)


def even(words):
    """Tell that every word is as rare as any other."""
    return np.ones(len(words))


JUDGE = MatchingJudge(rarity=even)
READINGS = [reading(BRIDGE), reading(LIBRARY, rank=2, score=0.9, name="b"), reading(FERRY, rank=3, score=0.8, name="c")]


@pytest.mark.parametrize(
    ("question", "sentence", "short"),
    [
        ("大桥于哪一年建成通车？", "大桥于1998年5月建成通车。", "1998年5月"),
        ("大桥全长多少米？", "大桥由工程师李明设计，全长1200米。", "1200米"),
        ("谁主持了通车典礼？", "市长王芳主持了通车典礼。", None),
        ("図書館はいつ開館しましたか。", "図書館は2004年に開館した。", "2004年"),
        ("図書館の設計者は誰ですか？", "設計者は田中健である。", None),
        ("为什么渡口关闭？", "因为河水上涨，渡口在同年关闭。", None),
    ],
)
def test_the_sentence_that_answers_comes_first_and_only_a_figure_is_a_short_answer(question, sentence, short):
    verdict = JUDGE.judge(question, READINGS)
    best = verdict.findings[0]
    span = best.short_answer
    assert best.text == sentence
    assert (span and best.reading.article.text[span.start : span.end]) == short
    assert verdict.confidence >= BAR


YEARS = "2023年的出口额为30亿元。出口的主要是汽车。"
TREATY = "该贸易协议于2024年1月1日生效。"
BEFORE = "2024年的统计公布。中国对日本的出口增长了3.5%，而2023年下降了8%。"


@pytest.mark.parametrize(
    ("question", "answered"),
    [
        ("2023年的出口额是多少？", True),
        ("2022年的出口额是多少？", False),
        ("2021年以来的出口额是多少？", True),
        ("出口额是多少？", True),
        ("2023年签署的贸易协议什么时候生效？", True),
        ("2024年中国对日本的出口增长了多少？", True),
    ],
)
def test_what_is_told_of_another_year_is_no_answer(question, answered):
    text = TREATY if "协议" in question else BEFORE if "日本" in question else YEARS
    assert (JUDGE.judge(question, [reading(text)]).confidence >= BAR) == answered


TOUR = "周遊券は11月1日に発売される。周遊券の価格は1万7000円である。"


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("いくらですか？（周遊券はいつ発売されますか？）", "周遊券の価格は1万7000円である。"),
        ("いつですか？（周遊券はいくらですか？）", "周遊券は11月1日に発売される。"),
        ("なぜ（周遊券はいつ発売されますか？）", None),
        ("なぜですか？（周遊券はいつ発売されますか？）", None),
    ],
)
def test_a_bare_follow_up_is_answered_by_what_it_asks_for(question, sentence):
    verdict = JUDGE.judge(question, [reading(TOUR)])
    assert (verdict.findings[0].text if verdict.confidence >= BAR else None) == sentence


def test_a_short_answer_says_what_it_counts_and_is_of_the_kind_that_is_asked_for():
    text = "討論會有120位學者參加，為期兩天。"
    for question, short in (("討論會為期幾天？", "兩天"), ("討論會有多少位學者參加？", "120位")):
        span = JUDGE.judge(question, [reading(text)]).findings[0].short_answer
        assert text[span.start : span.end] == short


@pytest.mark.parametrize("question", ["火星上有多少座火山？", "誰がその小説を書いたのですか", "为什么？"])
def test_a_question_about_something_else_is_declined(question):
    assert JUDGE.judge(question, READINGS).confidence < BAR


def test_a_figure_that_the_question_names_itself_is_not_what_it_asks_for():
    ranked = JUDGE.rank("1200米长的大桥，到哪里有多少米？", READINGS[:1])
    assert {one.text: one.features.wanted for one in ranked}["大桥由工程师李明设计，全长1200米。"] == 0.0


def test_of_two_figures_neither_is_the_short_answer():
    verdict = JUDGE.judge("开馆时有多少人？", [reading("开馆时有三百人和五百人。")])
    assert verdict.findings[0].short_answer is None


def test_no_passages_are_no_verdict():
    verdict = JUDGE.judge("谁？", [])
    assert (verdict.findings, verdict.confidence) == ((), 0.0)


@given(
    st.text("大桥工程师设计年月日一二3今谁何いつ、。？ \n", max_size=60), st.text("大桥谁何年多少？いつ ", max_size=20)
)
def test_any_text_has_each_sentence_once_in_order_and_short_answers_within(text, question):
    verdict = JUDGE.judge(question, [reading(text), reading(text, rank=2, score=0.5)])
    spans = [finding.span for finding in verdict.findings]
    assert sorted(spans) == sorted(split_sentences(text))
    assert all(0 <= finding.score <= 1 for finding in verdict.findings)
    assert [finding.score for finding in verdict.findings] == sorted((f.score for f in verdict.findings), reverse=True)
    assert 0 <= verdict.confidence <= 1
    for finding in verdict.findings:
        assert finding.short_answer is None or (
            finding.span.start <= finding.short_answer.start < finding.short_answer.end <= finding.span.end
        )


def test_the_weights_that_ship_are_of_these_features():
    fitted = json.loads(CALIBRATION.read_text(encoding="utf-8"))
    assert tuple(fitted["sentence"]["features"]) == tuple(SentenceFeatures.__slots__)
    assert tuple(fitted["decision"]["features"]) == tuple(DecisionFeatures.__slots__)
