"""Whether an article names a party, however it spells the name."""

import pytest

from rag.answering.mentions import is_named_in
from rag.records import Article


def article(text, **facts):
    return Article(**{"id": "a", "path": "a.md", "text": text, "title": "Nets"} | facts)


@pytest.mark.parametrize(
    ("party", "text", "named"),
    [
        ("Tveit", "Runa Tveit spoke.", True),
        ("Runa Tveit", "Tveit spoke.", True),
        ("Runa Tveit", "Ms Tveit spoke.", True),
        ("Runa Tveit", "Arvid Tveit spoke.", False),
        ("Runa Tveit", "But Tveit spoke.", True),
        ("Runa Tveit", "The list had RUNA TVEIT, the speech only Tveit.", True),
        ("China", "Chinese exports rose.", True),
        ("Foreign Minister Bo Shan", "Mr Shan spoke.", True),
        ("Foreign Minister Bo Shan", "The foreign minister of Peru spoke.", False),
        ("President Adler", "President Brandt spoke.", False),
        ("Prime Minister Adler", "Adler spoke.", True),
        ("Zelensky", "Zelenskyy spoke.", True),
        ("Sergei Wu", "The ambassador, Wu Deming, spoke. Wu left.", False),
        ("Wu Deming", "The ambassador, Wu Deming, spoke. Wu left.", True),
        ("Anna Berger", "Berger spoke in the Berger Hall.", True),
        ("the mayor", "Mayor Tveit spoke.", True),
        ("the mayor", "The minister spoke.", False),
        ("the ministry's spokesman", "A spokesman for the ministry spoke.", True),
        ("May", "It may rain.", False),
        ("the US", "They gave us a lift.", False),
        ("the US", "Washington spoke.", True),
        ("the U.S.", "Kenya's farmers spoke.", False),
        ("Americans", "The United States spoke.", True),
        ("the WHO", "The World Health Organization spoke.", True),
        ("the WHO", "The worried owner had offers.", False),
        ("the Chinese foreign ministry", "Beijing spoke.", True),
        ("Japan", "Chinese exports rose.", False),
        ("Kestrel's chief executive", "Kestrel spoke.", True),
    ],
)
def test_an_article_names_a_party_however_it_spells_it(party, text, named):
    assert is_named_in(party, article(text)) == named


def test_title_author_and_source_name_too():
    for facts in ({"title": "A speech by Runa Tveit"}, {"author": "R. TVEIT"}, {"source": "Tveit & Sons"}):
        assert is_named_in("Tveit", article("The net was legal.", **facts))
