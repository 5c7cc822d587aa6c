import numpy as np
import pytest

from rag.answering.checking import Checked, Checker
from rag.answering.judging import Finding, Reading
from rag.records import Article, Hit, Passage, Span
from rag.sentences import split_sentences


class SharedWords:
    """A reader that takes the share of a claim's words that its evidence has for support."""

    def support(self, claims, evidence):
        shares = [self._share(claim, text) for claim, text in zip(claims, evidence, strict=True)]
        return np.array([[share, 0, 1 - share] for share in shares], np.float32)

    @staticmethod
    def _share(claim, text):
        words = claim.lower().rstrip(".").split()
        return sum(word in text.lower() for word in words) / len(words)


def findings(text, *, title="Trade", published=None, language=None):
    article = Article(id="a", path="a.md", text=text, title=title, published=published, language=language)
    spans = tuple(split_sentences(text))
    reading = Reading(Hit(Passage("a", 0, 0, len(text), spans), 1.0, 1), article)
    return [Finding(reading, Span(span.start, span.end), 0.5) for span in spans]


def check(claim, text, *, hints=(), **article):
    return Checker(SharedWords()).check(claim, findings(text, **article), hints=hints)


def test_a_claim_is_attributed_to_the_sentence_that_carries_it():
    checked = check("The bridge opened in May.", "A road was built. The bridge opened in May. It rained.")
    assert checked.kept
    assert [finding.text for finding in checked.findings] == ["The bridge opened in May."]


def test_a_claim_without_evidence_is_not_kept():
    assert check("Bananas are yellow.", "The bridge opened in May.").reason is not None
    assert check("Bananas are yellow.", "").findings == ()


def test_of_sentences_alike_the_one_that_the_writer_pointed_at_is_cited():
    evidence = [*findings("The bridge opened."), *findings("The bridge opened.")]
    checked = Checker(SharedWords()).check("The bridge opened.", evidence, hints=[1])
    assert checked.findings[0] is evidence[1]


def test_a_checked_claim_has_evidence_or_a_reason():
    with pytest.raises(ValueError, match="evidence"):
        Checked("It opened.", kept=True, support=0.9, findings=(), reason=None)
