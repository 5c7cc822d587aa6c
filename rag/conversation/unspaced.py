"""Follow-ups in Chinese and Japanese, which put no blanks between words and mark no names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.conversation.naming import YEAR
from rag.conversation.turns import Leaning, Turn

_KANA = re.compile(r"[\u3041-\u30ff]")
_ELLIPSIS = re.compile(
    r"(?:那么|那麼|那|还有|還有|至于|至於)?(?P<zh>[^，,？?]{1,20}?)(?:呢|怎么样|怎麼樣|又如何)[？?]?"
    r"|(?:では|じゃあ|それでは|それなら|で)?、?(?P<ja>[^、？?]{1,20}?)(?:について)?は(?:どう(?:です|でしょう)?か?)?[？?]"
)
_BARE_UNSPACED = re.compile(
    r"(?:但是?|可是|那)?(?:为什么|為什麼|为何|為何|什么时候|什麼時候|何时|何時|在?哪里|在?哪裡|谁|誰|谁说的|多少|怎么|怎麼|如何|なぜ|"
    r"どうして|いつ|どこ|だれ|いくら|どのように|何人|いくつ)(?:ですか|でしたか|呢|なの|か)?[？?。]?"
)
_POINTING_UNSPACED = re.compile(
    r"[他她它]们|[他她它]們|[他她它]|[这這那][个個些次项項种種时時里裡]|该(?=[\u4e00-\u9fff])|其(?![他中实它])|"
    r"彼女(?!ら)|彼(?![方岸女ら])|彼ら|それ|これ|その|この|そこ|当時|同社|同国|同氏"
)
_UNSPACED_PLACE = re.compile(
    r"中国|中國|日本|美国|美國|米国|アメリカ|韩国|韓国|香港|台湾|臺灣|台灣|欧盟|东盟|英国|法国|德国|俄罗斯|ロシア|印度|インド|"
    r"北京|东京|東京|上海|首尔|ソウル|冲绳|沖縄|福建|夏威夷|旧金山|舊金山|サンフランシスコ|ワシントン|华盛顿"
)


def understand_unspaced(typed: str, turns: Sequence[Turn]) -> Leaning | None:
    """Return what a question means after the turns before it; None if it leans on none of them."""
    last = turns[-1]
    if match := _ELLIPSIS.fullmatch(typed):
        return _replaced_unspaced((match["zh"] or match["ja"]).strip("、，"), last)
    if _BARE_UNSPACED.fullmatch(typed):
        return Leaning(typed, behind=True)
    pointing = _POINTING_UNSPACED.search(typed)
    if pointing is None:
        named = _UNSPACED_PLACE.search(typed) or YEAR.search(typed)
        return None if named else Leaning(typed, behind=True, sure=False)
    if last.short_answer and re.search(r"谁|誰|だれ", last.question) and pointing.group() in {"他", "她", "彼", "彼女"}:
        return Leaning(typed[: pointing.start()] + last.short_answer + typed[pointing.end() :])
    return Leaning(typed, behind=True)


def _replaced_unspaced(what: str, last: Turn) -> Leaning:
    asked = last.question.strip()
    for kind in (YEAR, _UNSPACED_PLACE):
        core = what.removeprefix("在")
        if kind.fullmatch(core) and (found := kind.search(asked)):
            return Leaning(asked[: found.start()] + core + asked[found.end() :], made_of_last=True)
    if len(what) == 2 and what not in asked:  # noqa: PLR2004  # a pair: 进口 and 出口, 輸入 and 輸出 share one sign
        for match in re.finditer(r"(?=([\u4e00-\u9fff]{2}))", asked):
            if sum(a == b for a, b in zip(match[1], what, strict=True)) == 1:
                return Leaning(asked[: match.start()] + what + asked[match.start() + 2 :], made_of_last=True)
    return Leaning(f"{what}はどうですか？" if _KANA.search(asked) else f"{what}呢？", behind=True)
