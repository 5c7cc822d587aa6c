"""Questions in Chinese and Japanese that ask what each of several parties says, and which sentences are a party's.

Neither script marks names, so parties are what stands joined where such a question has them: before 对…怎么看, or は
before について. A sentence is a party's where its name stands close before a verb of saying (Chinese), or with は or が
in a sentence that has one (Japanese), or behind 据 and before によると.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ZH_SAY = (
    r"(?:怎[么麼](?:说|說|看|评价|評價|回应|回應|解释|解釋)|如何(?:看待|看|回应|回應|评价|評價|解释|解釋|表态|表態)|"
    r"(?:有何|有什[么麼]|持什[么麼]|是什[么麼])(?:不同的?)?"
    r"(?:看法|立场|立場|态度|態度|观点|觀點|说法|說法|回应|回應|反应|反應|主张|主張)|"
    r"(?:说|說)了(?:些)?什[么麼])"
)
_ZH_NOUN = r"(?:看法|立场|立場|态度|態度|观点|觀點|说法|說法|回应|回應|反应|反應|主张|主張)"
_ZH_EACH = r"(?:各自|分别|分別|都|双方|雙方)?"
_JA_SAY = (
    r"(?:どう|何と|どのように|どんな)(?:ことを)?"
    r"(?:言|述べ|考え|主張|見|反応|説明|評価|受け止め|思|語|発言|批判|立場|見解|意見)"
)
_JA_NOUN = r"(?:見解|立場|反応|主張|意見|態度|見方|説明)"
_PARTIES = r"(?P<parties>[^，,。？?はがを]{3,40}?)"
_FORMS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_PARTIES}{_ZH_EACH}(?:对于|對於|关于|關於|对|對|就)(?P<topic>[^？?]+?)(?:问题|問題)?{_ZH_EACH}(?:上)?{_ZH_SAY}.*",
        rf"{_PARTIES}{_ZH_EACH}(?:怎[么麼]看|如何看待|如何回应|如何回應|怎[么麼]评价)(?P<topic>[^？?]+)",
        rf"{_PARTIES}(?:对于|對於|关于|關於|对|對|就|在)(?P<topic>[^？?]+?)(?:上)?的{_ZH_NOUN}.*",
        rf"{_PARTIES}は(?:それぞれ)?、?(?P<topic>[^？?]+?)(?:について|に関して|に対して|をめぐって|を)(?:それぞれ)?、?{_JA_SAY}.*",
        rf"(?P<topic>[^？?、]+?)(?:について|に関して|に対して|をめぐって)、?{_PARTIES}は(?:それぞれ)?{_JA_SAY}.*",
        rf"(?P<topic>[^？?]+?)に(?:対する|ついての|関する){_PARTIES}の{_JA_NOUN}.*",
        rf"{_PARTIES}の(?P<topic>[^？?の]+?)に(?:対する|ついての|関する)(?:それぞれの)?{_JA_NOUN}.*",
        rf"{_PARTIES}(?:各自|分别|分別)(?P<topic>)(?:都)?{_ZH_SAY}.*",
        rf"{_PARTIES}は(?P<topic>)それぞれ、?{_JA_SAY}.*",
    )
)
# 和 and 与 stand within words too: 共和国, 和平, 与会.
_BETWEEN = re.compile(
    r"(?<!共)[和](?![平解谐諧睦])|[与與](?![会會])|[跟及]|以及|、|(?<=[^ぁ-ん])[とや](?=[^ぁ-ん])|および"
)
# Two countries by a sign each: 中日, 日中両国.
_PAIR = re.compile(r"([中日美米韩韓俄])([中日美米韩韓俄])(?:两国|兩國|両国|双方|雙方|政府)?")
_COUNTRIES = {"中": "中国", "日": "日本", "美": "美国", "米": "米国", "韩": "韩国", "韓": "韓国", "俄": "俄罗斯"}
_EACH = re.compile(r"各自|分别|分別|それぞれ、?")
_NAME = re.compile(r"[\u30a1-\u30fa\u30fc\u3400-\u9fffA-Za-zＡ-Ｚ0-9·・]{2,14}")
_ASKS = re.compile(r"[什谁誰哪何怎]|双方|雙方|两国|兩國|両国")
_ZH_VERB = (
    r"(?:说|說|表示|称|稱|认为|認為|指出|强调|強調|要求|批评|批評|谴责|譴責|反对|反對|宣布|呼吁|呼籲|主张|主張|回应|回應|敦促|承诺|承諾|"
    r"否认|否認|警告|抗议|抗議|支持|欢迎|歡迎|希望|担心|擔心|重申|声明|聲明|解释|解釋)"
)
# Who may speak for a name: 日本政府, 中国商務省の報道官、何亜平氏; what else goes by it does not: 日本の規制.
_JA_SPEAKER = (
    r"(?:(?:側|政府|当局|政権|の?[^。、はが「」“”]{0,12}?(?:省|庁|相|大臣|報道官|大使|大使館|長官|主席|大統領|委員会|協会|代表|"
    r"知事|教授|長|氏|さん))(?:の[^。、はが「」“”]{1,8})?(?:、[^。、はが「」“”]{1,10})?)?"
)
_JA_VERB = re.compile(
    r"述べ|語っ|話し|表明|主張|批判|求め|反発|発表|説明|強調|指摘|訴え|反論|否定|警告|抗議|歓迎|支持|懸念|言っ|言い|呼びかけ|"
    r"としている|との考え|との立場"
)


def match_unspaced(question: str) -> tuple[Sequence[str], Sequence[str], str] | None:
    """Return the parties, each one's own question, and what is asked about; None if it is no such question."""
    plain = re.sub(r"\s+", "", question).rstrip("？?。！!")
    for form in _FORMS:
        match = form.fullmatch(plain)
        if match is None:
            continue
        pair = _PAIR.fullmatch(match["parties"])
        parties = [_COUNTRIES[sign] for sign in pair.groups()] if pair else _BETWEEN.split(match["parties"])
        parties = [part for part in parties if part]
        if len(set(parties)) == len(parties) > 1 and all(_may_speak(part) for part in parties):
            start, end = match.span("parties")
            before, after = plain[:start], _EACH.sub("", plain[end:])
            return parties, [f"{before}{party}{after}？" for party in parties], match["topic"]
    return None


def _may_speak(part: str) -> bool:
    return _NAME.fullmatch(part) is not None and not _ASKS.search(part)


def speaks_unspaced(names: Sequence[str], sentence: str) -> bool:
    """Tell whether a party of these names says something in a sentence of Chinese or Japanese."""
    plain = re.sub(r"「[^」]*」|“[^”]*”|『[^』]*』", "“”", sentence)
    for name in names:
        called = re.escape(name)
        if re.search(rf"{called}[^，,。、；：“”]{{0,12}}?(?<!不)(?:也|则|則|都|曾|已)?{_ZH_VERB}", plain):
            return True
        if re.search(rf"(?:据|據|根据|根據){called}|{called}[^。、]{{0,10}}(?:によると|によれば)", plain):
            return True
        if re.search(rf"{called}{_JA_SPEAKER}[はが]", plain) and _JA_VERB.search(plain):
            return True
    return False
