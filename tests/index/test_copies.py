import random
import string

import numpy as np
import pytest

from rag.index.copies import Copy, find_copies, own_text, shingles, sign
from rag.records import Article, Span

RNG = random.Random(1)  # noqa: S311 - texts, no secrets
WORDS = ["".join(RNG.choices(string.ascii_lowercase, k=6)) for _ in range(2000)]


def report(words, *, numbers):
    return " ".join(RNG.choices(WORDS, k=words)) + " " + " ".join(map(str, numbers))


def copies(**texts):
    dates = {"early": "2023-01-01", "late": "2023-01-02"}
    articles = [Article(name, name, text, name, published=dates.get(name)) for name, text in texts.items()]
    articles.sort(key=lambda a: (a.published is None, a.published, a.id))
    signatures = np.array([np.frombuffer(sign(a), "<u4") for a in articles])
    own = {a.id: own_text(a) for a in articles}
    return find_copies([a.id for a in articles], signatures, text=own.__getitem__)


AGENCY = report(300, numbers=[318, 15.5, 2023])


def test_the_same_text_is_an_exact_copy_of_the_earlier_article():
    assert copies(late=AGENCY, early=AGENCY) == [Copy("late", "early", exact=True)]


def test_an_article_without_a_date_is_the_copy():
    assert copies(a=AGENCY, late=AGENCY) == [Copy("a", "late", exact=True)]


@pytest.mark.parametrize("added", ["By our correspondent. 17 November. ", "Tokyo (Agency) "])
def test_a_copy_with_a_line_of_its_own_is_found(added):
    assert copies(a=AGENCY, b=added + AGENCY) == [Copy("b", "a", exact=False)]


def test_every_copy_names_the_first_of_its_group():
    found = copies(
        a=AGENCY, b="Tokyo. " + AGENCY, c="Beijing. " + AGENCY, d="Osaka. " + AGENCY, e=report(300, numbers=[])
    )
    assert [(copy.article, copy.of) for copy in found] == [("b", "a"), ("c", "a"), ("d", "a")]


def test_a_report_with_new_figures_is_no_copy():
    words = " ".join(RNG.choices(WORDS, k=300))
    assert copies(may=f"{words} 318 and 15.5", june=f"{words} 402 and 17.1") == []


def test_other_articles_are_no_copies():
    assert copies(**{f"a{number}": report(200, numbers=[number]) for number in range(30)}) == []


def test_copies_are_found_in_text_without_spaces():
    text = "".join(chr(0x4E00 + RNG.randrange(3000)) for _ in range(300))
    assert copies(a=text, b="新華社。" + text) == [Copy("b", "a", exact=False)]


def test_furniture_makes_no_difference():
    one = Article("a", "a", f"Menu Login {AGENCY}", "a", furniture=(Span(0, 11),))
    assert own_text(one).strip() == AGENCY


@pytest.mark.parametrize("text", ["", "one", "…"])
def test_the_shortest_texts_have_a_signature(text):
    assert len(sign(Article("a", "a", text, "a"))) == 4 * 128
    assert shingles(text)


def test_looking_for_copies_tells_how_far_it_is():
    articles = [Article(name, name, AGENCY, name) for name in "ab"]
    signatures = np.array([np.frombuffer(sign(article), "<u4") for article in articles])
    told = []
    find_copies(["a", "b"], signatures, text=lambda _: AGENCY, progress=lambda *step: told.append(step))
    assert told == [(band, 32) for band in range(33)]
