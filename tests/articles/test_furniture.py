from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.articles import find_furniture


def marked(text):
    return [text[span.start : span.end] for span in find_furniture(text)]


TRIMMINGS = [
    "Advertisement",
    "ADVERTISEMENT",
    "- Advertisement -",
    "ACME Advert",
    "Story continues below advertisement",
    "Leave a Reply",
    "Your email address will not be published. Required fields are marked *",
    "Reading Time:7 minutes",
    "5 min read",
    "Why you can trust The Courier",
    "0123456789abcdef0123456789abcdef",
    "Subscribe",
    "Sign up for our weekly newsletter",
    "Read more: Ten bridges that fell",
    "Share this article",
    "Follow us on Telegram",
    "We use cookies to improve your experience on our site.",
    "Related articles",
    "© 2023 The Courier. All rights reserved.",
    "All rights reserved",
    "Photo: Agency/via Wire",
    "The mayor opens the bridge on Monday. | POOL / VIA REUTERS",
    "01:54",
    "![the bridge](bridge.jpg)",
    "[1]: https://example.org/bridge",
    "<!-- begin -->",
    "関連記事",
    "责任编辑：王某",
]

SENTENCES = [
    "Advertisement rates rose by a tenth last year.",
    "The advertisement showed a bridge.",
    "Share prices fell.",
    "Subscribe is a word of six letters more than sub.",
    "Readers may leave a reply below the text.",
    "The reading time: seven minutes, was too long for them.",
    "We use cookies as the base of this cake.",
    "Related articles were found in the attic.",
    "All rights reserved to the people were taken away.",
    "He wrote 0123456789abcdef0123456789abcdef on the wall.",
    "Photography is an art.",
    "The choice is A | B.",
    "## Related articles",
    "## Advertisement",
    "1972",
    "44",
    "# 44",
    "Copyright is a matter of law in most countries.",
    "Photo: this is a whole sentence. And so is this.",
    "Print",
    "The session ran from 01:54 to 02:30.",
]


@pytest.mark.parametrize("line", TRIMMINGS)
def test_a_trimming_is_marked_as_a_whole_line(line):
    assert marked(f"The first sentence.\n\n  {line}\nThe last sentence.") == [line]


@pytest.mark.parametrize("line", SENTENCES)
def test_an_ordinary_line_stays(line):
    assert marked(f"The first sentence.\n{line}\nThe last sentence.") == []


@pytest.mark.parametrize(
    ("line", "trimming"),
    [
        ("culled from The CourierAdvertisement", "Advertisement"),
        ("AdvertisementThe bridge is open.", "Advertisement"),
        ("The bridge is open.Leave a Reply", "Leave a Reply"),
        ("The mayor opens the bridge.  Photo: Agency/via Wire", "Photo: Agency/via Wire"),
        (
            "The bridge is open. Your email address will not be published. Required fields are marked *",
            "Your email address will not be published. Required fields are marked *",
        ),
    ],
)
def test_a_trimming_that_shares_a_line_is_marked_alone(line, trimming):
    assert marked(f"First.\n{line}\nLast.") == [trimming]


def test_a_caption_repeated_above_its_credit_is_marked():
    caption = "The mayor opens the bridge on Monday."
    assert marked(f"First.\n{caption}\n{caption} | POOL / VIA KYODO") == [caption, f"{caption} | POOL / VIA KYODO"]


def test_the_line_above_a_credit_stays_if_it_is_another():
    assert marked("First.\nThe mayor opens the bridge. | KYODO") == ["The mayor opens the bridge. | KYODO"]


def test_a_bare_number_is_a_count_only_beside_a_trimming():
    assert marked("First.\nReading time: 4 minutes\n44\nLast.") == ["Reading time: 4 minutes", "44"]


def test_a_videos_title_that_follows_twice_is_marked():
    assert marked("First.\n\n01:54\n\nA title\n\nA title\n\nLast.") == ["01:54", "A title", "A title"]


def test_a_timetable_is_not_made_of_videos():
    assert marked("09:00\nDoors\n09:30\nTalk\n10:00\nBreak\n10:30\nTalk") == []


@given(st.lists(st.sampled_from([*TRIMMINGS, *SENTENCES, "", "Advertisement ", ".", "\u2028", "😀"]), max_size=12))
@settings(deadline=None)
def test_furniture_is_sorted_disjoint_and_inside_the_text(lines):
    text = "\n".join(lines)
    spans = find_furniture(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(before.end <= after.start for before, after in pairwise(spans))
    assert all(text[span.start : span.end].strip() == text[span.start : span.end] for span in spans)
