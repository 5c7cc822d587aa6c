import pytest

from rag.articles.dates import find_dates, parse_date


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("2023", "2023"),
        ("2023-11", "2023-11"),
        ("2023-11-17", "2023-11-17"),
        ("2023-1-7", "2023-01-07"),
        ("2023/11/17", "2023-11-17"),
        ("2023.11.17", "2023-11-17"),
        ("2023-11-17T08:30:00Z", "2023-11-17"),
        ("2023-11-17 08:30:00", "2023-11-17"),
        ("17 November 2023", "2023-11-17"),
        ("17th of Nov. 2023", "2023-11-17"),
        ("November 17, 2023", "2023-11-17"),
        ("Friday, Sept. 1, 2023", "2023-09-01"),
        ("May 2023", "2023-05"),
        ("2023年11月17日", "2023-11-17"),
        ("2023年11月", "2023-11"),
        ("２０２３年１１月１７日", "2023-11-17"),
        ("2023년 11월 17일", "2023-11-17"),
        ("29 February 2024", "2024-02-29"),
    ],
)
def test_written_dates_become_iso_dates(written, iso):
    assert parse_date(written) == iso


@pytest.mark.parametrize(
    "written", ["", "soon", "4/5/2023", "2023-13-01", "30 February 2023", "20231", "17 Nov", "c. 2023", "2023-11-17x"]
)
def test_what_is_no_date_or_could_be_two_is_none(written):
    assert parse_date(written) is None


def test_only_full_dates_are_found_in_a_line():
    line = "Seen in May 2023 and on 17 November 2023."
    assert list(find_dates(line)) == [(24, 40, "2023-11-17")]
    assert line[24:40] == "17 November 2023"
