"""Passages of an article that did not change are kept from generation to generation, so cutting must not change."""

import hashlib
import re

from rag.index.manifest import FORMAT
from rag.passages import split_passages
from rag.records import Article

TEXT = (
    "# The bridge\n\nMr. Harada of the U.S. firm Orvel Inc. opened it on Jan. 5, 2031, at 3 p.m. It cost 4.2 "
    "million euros (see p. 12). “It holds,” he said. “Why? Because it is new!” Nobody laughed … and then all did.\n\n"
    "## Afterwards\n\n- A first point, e.g. about tolls\n- A second one; it has no end\n\n"
    "1. Tolls fell.\n2. Traffic rose by 8.4%.\n\n> Quoted: the mayor thanked Dr. Lindqvist, Ph.D.\n\n"
    "中国禁止水产品。为什么？没有人知道！“这座桥很好。”他说。\n\n橋は五月に開いた。「なぜですか」と彼は言った。誰も知らない。前の年より３．１％増えた。\n\n"
    "> The tenant may keep a dog\n> if the landlord agrees.\n\nArt. 4 Holidays. The employee has 27 days.\n"
)
CUT = "d62f067597900de0"


class Words:
    """A tokenizer whose tokens are words, and single characters where there are no gaps."""

    def token_spans(self, texts):
        return [[match.span() for match in re.finditer(r"[A-Za-z0-9]+|[^\sA-Za-z0-9]", text)] for text in texts]


def test_articles_are_cut_as_by_the_version_that_wrote_this_format():
    article = Article(id="a", path="a.md", text=TEXT, title="The bridge")
    cut = [
        (passage.start, passage.end, [(one.start, one.end) for one in passage.sentences])
        for size in (12, 40, 200)
        for passage in split_passages(article, tokenizer=Words(), max_tokens=size, overlap_sentences=1)
    ]
    digest = hashlib.sha256(repr(cut).encode()).hexdigest()[:16]
    assert (FORMAT, digest) == (4, CUT), "articles are cut otherwise: raise FORMAT, so that indexes are built anew"
