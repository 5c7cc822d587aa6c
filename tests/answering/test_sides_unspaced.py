"""Sides in Chinese and Japanese: which questions name several, and which sentences are whose."""

import pytest

from rag.answering.sides import split_sides
from rag.answering.speakers import statements_of
from rag.records import Article, Span


@pytest.mark.parametrize(
    ("question", "parties"),
    [
        ("中国和日本对处理水怎么说？", ["中国", "日本"]),
        ("中国与日本对海产品禁令有何看法？", ["中国", "日本"]),
        ("中方和日方就处理水问题分别如何回应？", ["中方", "日方"]),
        ("中国、日本和韩国对排放有什么立场？", ["中国", "日本", "韩国"]),
        ("北京和东京怎么看海产品禁令？", ["北京", "东京"]),
        ("中國和日本對處理水的立場是什麼？", ["中國", "日本"]),
        ("美国和俄罗斯如何看待停火协议？", ["美国", "俄罗斯"]),
        ("中国と日本は処理水についてどう述べていますか？", ["中国", "日本"]),
        ("処理水について、中国と日本は何と言っていますか？", ["中国", "日本"]),
        ("中国と日本は禁輸をどう評価していますか？", ["中国", "日本"]),
        ("処理水に対する中国と日本の立場は？", ["中国", "日本"]),
        ("中日两国对处理水怎么说？", ["中国", "日本"]),
        ("日中両国は処理水についてどう述べましたか？", ["日本", "中国"]),
        ("陈志远和石川雅子分别说了什么？", ["陈志远", "石川雅子"]),
        ("中国と日本はそれぞれ何と言っていますか？", ["中国", "日本"]),
        ("日本と中国の半導体規制に対する立場は？", ["日本", "中国"]),
        ("アメリカとロシアは停戦についてどのように説明しましたか？", ["アメリカ", "ロシア"]),
    ],
)
def test_a_question_for_several_parties_is_told(question, parties):
    sides = split_sides(question)
    assert [side.party for side in sides] == parties
    for side in sides:
        others = set(parties) - {side.party}
        assert side.party in side.question
        assert not any(other in side.question for other in others)


@pytest.mark.parametrize(
    "question",
    [
        "中国和日本什么时候签署条约？",
        "中国和日本的贸易额是多少？",
        "中国为什么禁止日本海产品？",
        "中国对日本的处理水怎么看？",
        "共和国对和平怎么看？",
        "习近平和岸田在哪里会面？",
        "中国和日本有什么共同点？",
        "中国と日本はいつ条約に署名しましたか？",
        "中国と日本の貿易額はいくらですか？",
        "日本はなぜ処理水を放出しましたか？",
        "日本は処理水についてどう述べていますか？",
        "岸田首相と習主席はどこで会いましたか？",
    ],
)
def test_a_question_that_only_names_several_stays_one(question):
    assert split_sides(question) == ()


@pytest.mark.parametrize(
    ("sentence", "parties"),
    [
        ("中国外交部表示，处理水不安全。", [True, False]),
        ("日方称禁令没有科学依据。", [False, True]),
        ("据日本媒体报道，出口下降。", [False, True]),
        ("中国禁止进口日本海产品。", [False, False]),
        ("北京谴责排放，东京则要求取消禁令。", [True, True]),
        ("中国政府は処理水の放出を批判した。", [True, False]),
        ("日本政府によると、水は安全である。", [False, True]),
        ("貿易額は一割減った。", [False, False]),
        ("日本の半導体輸出規制は中国が「保護主義だ」と批判した。", [True, False]),
        ("中国商務省の報道官、何亜平氏は、撤回するよう求めた。", [True, False]),
    ],
)
def test_who_speaks_is_told(sentence, parties):
    article = Article(id="a", path="a.md", text=sentence, title="a")
    found = statements_of(["中国", "日本"], article, [Span(0, len(sentence))])
    assert [bool(statements) for statements in found] == parties
