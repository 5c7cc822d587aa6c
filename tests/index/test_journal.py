import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.index.journal import Journal

DIM = 3
HASHES = [hashlib.sha256(bytes([number])).hexdigest() for number in range(4)]
ROWS = np.arange(4 * DIM, dtype=np.float32).reshape(4, DIM)
RECORD = 32 + 4 * DIM + 4


def written(file, *, fingerprint="words-1"):
    with Journal(file, fingerprint=fingerprint, dim=DIM) as journal:
        journal.append(HASHES[:3], ROWS[:3])
        journal.append(HASHES[3:], ROWS[3:])
    return file.read_bytes()


def known(file, *, fingerprint="words-1", dim=DIM):
    with Journal(file, fingerprint=fingerprint, dim=dim) as journal:
        hashes = list(journal.hashes())
        return dict(zip(hashes, journal.rows(np.arange(len(hashes))).tolist(), strict=True))


def first(count):
    return dict(zip(HASHES[:count], ROWS[:count].tolist(), strict=True))


def test_a_journal_gives_back_what_was_written(tmp_path):
    written(tmp_path / "journal")
    assert known(tmp_path / "journal") == first(4)


@given(data=st.data())
def test_a_journal_torn_at_any_byte_keeps_its_whole_records_and_goes_on(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("journal") / "journal"
    content = written(file)
    end = data.draw(st.integers(0, len(content)))
    file.write_bytes(content[:end])
    head = len(content) - 4 * RECORD
    whole = max(0, (end - head) // RECORD)
    assert known(file) == first(whole)
    with Journal(file, fingerprint="words-1", dim=DIM) as journal:
        journal.append(HASHES[whole:], ROWS[whole:])
    assert file.read_bytes() == content


@given(data=st.data())
def test_a_journal_with_any_byte_changed_never_gives_a_wrong_vector(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("journal") / "journal"
    content = bytearray(written(file))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    assert known(file).items() <= first(4).items()


def test_another_encoders_journal_is_begun_anew(tmp_path):
    written(tmp_path / "journal")
    assert known(tmp_path / "journal", fingerprint="words-2") == {}
    assert known(tmp_path / "journal") == {}


def test_another_length_of_vector_begins_anew(tmp_path):
    written(tmp_path / "journal")
    assert known(tmp_path / "journal", dim=DIM + 1) == {}


def test_a_closed_journal_takes_nothing(tmp_path):
    journal = Journal(tmp_path / "journal", fingerprint="words-1", dim=DIM)
    with pytest.raises(ValueError, match="not open"):
        journal.append(HASHES, ROWS)
