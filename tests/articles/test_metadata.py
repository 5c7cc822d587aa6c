from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.articles import find_furniture
from rag.articles.metadata import Metadata, detect_language, from_front_matter, from_text, title_of_file


def told(text):
    return from_text(text, furniture=find_furniture(text))


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("A bridge for the town\n\nIt is open.", "A bridge for the town"),
        ("Advertisement\n\nA bridge for the town\n\nIt is open.", "A bridge for the town"),
        ("It is open.\n\n# A bridge #\n\nMore.", "A bridge"),
        ("## A bridge\n\nMore.", "A bridge"),
        ("```\n# no heading\n```\nMore.", "```"),
        ("It is open.\n\nMore.", None),
        ("它今天开放。\n\n更多", None),
        ("- an item\n- another", None),
        ("17 November 2023\nMore.", None),
        ("word " * 60, None),
    ],
)
def test_the_title_is_a_heading_or_a_short_first_line(text, title):
    assert told(text)["title"] == (None if title == "```" else title)


@pytest.mark.parametrize(
    "line",
    [
        "Published: 17 November 2023",
        "Posted on November 17, 2023 at 10:30 am",
        "Friday, 17 November 2023",
        "2023-11-17",
        "culled from The Courier, 17 November 2023",
        "OSLO, Nov. 17, 2023 (Wire) -- The bridge is open.",
        "发布时间：2023-11-17 10:30",
        "2023年11月17日",
        "２０２３年１１月１７日",
        "中央新聞 2023年11月17日",
        "経済通信　２０２３年１１月１７日",
        "Dated 17 November 2023",
        "*Date:* 17 November 2023",
        "Held: 17 November 2023",
    ],
)
def test_a_dateline_tells_the_date(line):
    assert told(f"A bridge\n{line}\nText.")["published"] == "2023-11-17"


@pytest.mark.parametrize(
    "line",
    [
        "By Jane Roe, 3 June 2023",
        "*By Jane Roe | June 3, 2023*",
        "June 3, 2023 | By Jane Roe",
        "Saturday, June 3, 2023 by admin",
        "Published 3 June 2023",
        "Published 3 June 2023 by Jane Roe",
        "Published: 3 June 2023 | Updated: 4 June 2023",
        "3 June 2023 · 5 min read",
        "BY JANE ROE and J. VAN DER O'NEIL – Published 3 June 2023",
        "By Jane Roe, senior correspondent in Beijing, June 3, 2023 10:20 am EDT",
        "By Jane Roe, Kyodo News, Tokyo | 3 June 2023 | Updated 5 June 2023",
        "2023年6月3日 10:15 来源：新华网",
        "来源：新华社 2023年6月3日 10:15",
        "记者 王伟 2023年6月3日",
        "2023年6月3日 5時00分",
    ],
)
def test_a_line_with_who_wrote_it_tells_the_date(line):
    assert told(f"A bridge\n{line}\n\nText.")["published"] == "2023-06-03"


@pytest.mark.parametrize(
    "line",
    [
        "By 3 June 2023, the ministers had met.",
        "By Friday, 3 June 2023",
        "By noon, 3 June 2023",
        "3 June 2023 by noon",
        "By June, 3 June 2023",
        "By Jane Roe, 3 June 2023, the ship had sunk.",
        "By Jane Roe, who met the minister on 3 June 2023",
        "It was written by Jane Roe, 3 June 2023",
        "Photo by Jane Roe, 3 June 2023",
        "June 3, 2023: By Jane's account the ship sank.",
        "Updated: 3 June 2023",
        "记者2023年6月3日从外交部获悉。",
        "2023年6月3日 5時00分に地震がありました。",
    ],
)
def test_a_line_that_says_more_than_who_wrote_it_tells_no_date(line):
    assert told(f"A bridge\n{line}\n\nText.")["published"] is None


days = st.dates(date(1900, 1, 1), date(2099, 12, 31))
written_days = st.sampled_from(["%d %B %Y", "%B %d, %Y", "%Y-%m-%d", "%b. %d, %Y", "%Y/%m/%d"])
names = st.lists(
    st.sampled_from(["Jane", "Roe", "O'Neil", "J.", "Müller", "and", "van der Berg", "Tokyo"]), min_size=1, max_size=4
).filter(lambda parts: parts[0] != "and")
# Each sentence has a word that no byline has.
prose = st.lists(
    st.sampled_from(
        ["drowned", "by", "on", "the", "Jane", "ship", "published", "sank", "of", "Tokyo", "from", "and", "|", ","]
    ),
    max_size=8,
)


@given(day=days, form=written_days, names=names, mark=st.sampled_from([", ", " | ", " – ", " · ", " on "]))
def test_a_byline_tells_its_date_whatever_the_names_and_marks(day, form, names, mark):
    for line in (f"By {' '.join(names)}{mark}{day:{form}}", f"{day:{form}} | by {' '.join(names)}"):
        assert told(f"A bridge\n{line}\n\nText.")["published"] == day.isoformat(), line


@given(
    day=days,
    form=written_days,
    words=st.tuples(prose, prose).filter(lambda words: "drowned" in words[0] + words[1]),
    stop=st.sampled_from(["", "."]),
)
def test_no_sentence_tells_the_date_of_its_article(day, form, words, stop):
    line = " ".join([*words[0], f"{day:{form}}", *words[1]])
    assert told(f"A bridge\n{line[0].upper()}{line[1:]}{stop}\n\nText.")["published"] is None


@pytest.mark.parametrize(
    "text",
    [
        "A bridge\nIt was opened on 17 November 2023.\nText.",
        "A bridge\nUpdated: 17 November 2023\nText.",
        "A bridge\nPublished: 4/5/2023\nText.",
        "A bridge\n2023-11-17\n2023-11-18\nText.",
        "A.\n" * 6 + "2023-11-17\n" + "B.\n" * 6,
    ],
)
def test_a_date_in_the_story_is_not_the_articles(text):
    assert told(text)["published"] is None


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("culled from The Courier", "The Courier"),
        ("culled from The CourierAdvertisement", "The Courier"),
        ("Source: The Courier, 17 November 2023", "The Courier"),
        ("© 2023 The Courier. All rights reserved.", "The Courier"),
        ("来源：南方日报", "南方日报"),
        ("The source of the river is unknown.", None),
    ],
)
def test_the_source_stands_in_a_line_of_its_own(line, source):
    assert told(f"A bridge\n\nIt is open.\n\n{line}")["source"] == source


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The bridge of the town was opened by the mayor and is in use.", "en"),
        ("Die Brücke der Stadt wurde vom Bürgermeister eröffnet.", None),
        ("会议昨天在北京举行，双方交换了意见。", "zh"),
        ("会議は昨日東京で開かれた。", "ja"),
        ("회의가 어제 서울에서 열렸다.", "ko"),
        ("The academy (中国大连高级经理学院) is in the north of the country and is for the leaders of firms.", "en"),
        ("12 34", None),
    ],
)
def test_the_language_follows_from_script_and_stop_words(text, language):
    assert detect_language(text) == language


def test_front_matter_that_is_no_date_stays_as_written():
    metadata = from_front_matter({"published": "last spring", "Title": "A", "tags": "x, y"})
    assert metadata.fields == {"title": "A"}
    assert metadata.others == {"published": "last spring", "tags": "x, y"}
    assert metadata.origins["published"] == "front matter"


def test_a_field_without_a_value_is_kept_as_it_stands_and_a_weaker_witness_fills_it():
    metadata = from_front_matter({"author": "", "published": "", "tags": ""})
    assert (metadata.fields, metadata.others) == ({}, {"author": "", "published": "", "tags": ""})
    filled = metadata.or_else({"published": "2023-06-03"}, origin="text")
    assert (filled.fields, filled.origins) == ({"published": "2023-06-03"}, {"published": "text"})


def test_a_weaker_witness_fills_only_what_is_missing():
    metadata = Metadata(fields={"title": "A"}, origins={"title": "html"})
    filled = metadata.or_else({"title": "B", "source": "C", "url": None}, origin="text")
    assert filled.fields == {"title": "A", "source": "C"}
    assert filled.origins == {"title": "html", "source": "text"}


@pytest.mark.parametrize(("path", "title"), [("a/old-bridge_2.md", "old bridge 2"), ("---.txt", "---")])
def test_a_file_name_becomes_a_title(path, title):
    assert title_of_file(path) == title
