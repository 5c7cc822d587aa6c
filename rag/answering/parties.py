"""Who can say something: people and bodies by what they are called, and governments by their countries and capitals."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rag.index.lexical import mostly_unspaced

# People, or bodies of them, by what they are called: those can say something.
SPEAKER = re.compile(
    r"(?:\w+(?:ers|ors|ians|ents|ants|ees|ives|crats|ates)|\w{3,}ist|union|party|parties|government|company|companies|firm|"
    r"ministry|ministries|critic|official|women|woman|men|man|expert|side|authority|authorities|bank|church|churches|"
    r"court|judge|police|press|media|army|opposition|industry|president|minister|premier|chancellor|"
    r"spokes(?:man|men|woman|women|person|people)|ambassador|mayor|deputy|deputies|governor|secretary|secretaries|"
    r"senator|chair(?:man|men|woman|women|person)?|director|head|chief|leader|founder|manager|owner|coach|coaches|captain|"
    r"king|queen|prince|princess|pope|bishop|general|commissioner|commission|council|committee|agency|agencies|"
    r"association|federation|league|society|societies|institute|institution|university|universities|academy|think tank|"
    r"board|group|organi[sz]ation|delegation|delegate|embassy|envoy|negotiator|lawyer|attorney|prosecutor|prosecution|developer|employer|worker|farmer|trader|lender|insurer|buyer|seller|writer|defen[cs]e|"
    r"plaintiff|defendant|advocate|analyst|researcher|scholar|professor|historian|"
    r"doctor|engineer|teacher|author|editor|newspaper|observer|campaigner|politician|lawmaker|"
    r"legislator|parliament|congress|senate|cabinet|administration|team|club|village|town|city|cities|state|"
    r"province|public|family|families|speaker|railway|school|hospital|farm|works|airline|bloc|diplomat|"
    r"regulator|supplier|maker|operator|member|commentary|report)s?",
    re.IGNORECASE,
)
# Whose words are those of the state or body that they belong to.
OFFICE = re.compile(
    r"(?:(?:vice-?|deputy-?)?(?:minister|president|premier|chancellor)|ministr(?:y|ie)|government|governor|authorit(?:y|ie)|"
    r"official|officer|leader(?:ship)?|spokes(?:man|men|woman|women|person|people)|speaker|ambassador|embassy|envoy|"
    r"diplomat|delegat(?:e|ion)|negotiator|secretar(?:y|ie)|commissioner|commission|parliament|congress|council|senate|"
    r"cabinet|administration|legislator|lawmaker|head|chief|chair(?:man|woman|person)?|director|founder|manager|owner|"
    r"lawyer|mayor|king|queen|side|representative|regulator|agency|office|board|chamber|captain|coach|politician|skipper|"
    r"counterpart)s?",
    re.IGNORECASE,
)
# What is no person: whoever "the company" is, it is not Governor Oda.
BODY = re.compile(
    r"(?:union|party|government|company|firm|ministry|authority|bank|church|court|police|press|media|army|council|"
    r"committee|commission|agency|association|federation|league|society|institute|institution|university|academy|board|"
    r"group|organi[sz]ation|embassy|parliament|congress|senate|cabinet|administration|team|club|department|office|"
    r"chamber|airline|cooperative|courier|gazette|ledger|times|post|news|tribune|herald|network)s?",
    re.IGNORECASE,
)
TITLES = frozenset(
    """
    dr mr mrs ms prof professor doctor sir lord lady captain councillor president premier minister chancellor mayor
    """.split()  # noqa: SIM905  # a list of strings would be three lines
)
# A person by more than one name, or a body.
WHOLE_NAME = re.compile(r"[A-Z]\w+(?: [A-Z]\w+)+")
# Capitals stand for their governments, as the press has it. A list of those in the news oftenest, as no rule tells a
# capital from another town. Demonyms are told by their likeness: Japanese, Japan.
_GOVERNMENTS = """
China/Beijing, Japan/Tokyo, United States/US/USA/America/Washington, Russia/Kremlin/Moscow,
Britain/UK/United Kingdom/London, France/Paris, Germany/Berlin, Italy/Rome, Spain/Madrid, Portugal/Lisbon,
European Union/EU/European Commission/Brussels, Greece/Athens, Turkey/Ankara, Poland/Warsaw,
Czech Republic/Czechia/Prague, Austria/Vienna, Hungary/Budapest, Romania/Bucharest, Bulgaria/Sofia, Serbia/Belgrade,
Croatia/Zagreb, Slovenia/Ljubljana, Switzerland/Bern, Netherlands/The Hague, Denmark/Copenhagen, Sweden/Stockholm,
Norway/Oslo, Finland/Helsinki, Ireland/Dublin, Ukraine/Kiev/Kyiv, Belarus/Minsk, Cyprus/Nicosia, Israel/Jerusalem,
Iran/Tehran, Iraq/Baghdad, Syria/Damascus, Lebanon/Beirut, Egypt/Cairo, Saudi Arabia/Riyadh, India/New Delhi/Delhi,
Pakistan/Islamabad, Afghanistan/Kabul, Bangladesh/Dhaka, Indonesia/Jakarta, Philippines/Manila, Vietnam/Hanoi,
Thailand/Bangkok, Malaysia/Kuala Lumpur, South Korea/Seoul, North Korea/Pyongyang, Taiwan/Taipei, Australia/Canberra,
New Zealand/Wellington, Canada/Ottawa, Mexico/Mexico City, Brazil/Brasilia, Argentina/Buenos Aires, Chile/Santiago,
Colombia/Bogota, Venezuela/Caracas, Cuba/Havana, Kenya/Nairobi, Nigeria/Abuja, Ethiopia/Addis Ababa,
South Africa/Pretoria, Algeria/Algiers, Morocco/Rabat, Sudan/Khartoum,
中国/中國/中方/北京, 日本/日方/东京/東京, 美国/美國/米国/アメリカ/美方/华盛顿/華盛頓/ワシントン,
韩国/韓国/韓國/韩方/首尔/ソウル, 俄罗斯/俄羅斯/ロシア/俄方/莫斯科/モスクワ, 朝鲜/北朝鮮/平壤/平壌,
英国/英國/イギリス/伦敦/ロンドン, 法国/法國/フランス/巴黎/パリ, 德国/德國/ドイツ/柏林/ベルリン,
欧盟/歐盟/欧州連合/布鲁塞尔, 印度/インド/新德里/ニューデリー
"""


def _by_name() -> Mapping[str, tuple[str, ...]]:
    entries = (tuple(entry.strip().split("/")) for entry in _GOVERNMENTS.split(","))
    return {name.casefold(): names for names in entries for name in names}


GOVERNMENTS = _by_name()


def without_office(party: str) -> str:
    """Return the name behind an office or a title: "Foreign Minister Wang Yi"; all, if there is no name behind one."""
    words = party.split()
    behind = max((place + 1 for place, word in enumerate(words) if is_title(word)), default=0)
    rest = words[behind:]
    return " ".join(rest) if rest and all(word[0].isupper() for word in rest) else party


def is_title(word: str) -> bool:
    """Tell whether a word is an office or a title, as it stands before a name."""
    plain = word.rstrip(".")
    return plain.lower() in TITLES or OFFICE.fullmatch(plain) is not None


def names_of(party: str) -> tuple[str, ...]:
    """Return what a party is called: a country's names with its capital's, or the party's name alone."""
    plain = party.casefold().replace(".", "").removeprefix("the ").strip()
    return GOVERNMENTS.get(plain, (party,))


def names(party: str, sentence: str) -> bool:
    """Tell whether a sentence has a name of a party in it."""
    plain = [name.casefold().removeprefix("the ").strip() for name in names_of(party)]
    if mostly_unspaced(party):
        return any(name in sentence for name in plain)
    return re.search(rf"(?<!\w)(?:{'|'.join(map(re.escape, plain))})(?!\w)", sentence.casefold()) is not None
