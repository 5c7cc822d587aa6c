import errno

import pytest

from rag.index.staging import Entry, Staging


def test_a_full_disk_is_told_with_the_systems_error(tmp_path):
    with Staging(tmp_path / "staging.sqlite", cache_bytes=1 << 16) as staging:
        staging._store.connection.execute("PRAGMA max_page_count = 40")
        with pytest.raises(OSError, match="full") as error:  # noqa: PT012 - which of them fails is SQLite's to say
            for number in range(5_000):
                staging.add(Entry(str(number), file="talks.md", hash="h" * 64, place="", kept=False))
            staging.flush()
    assert error.value.errno == errno.ENOSPC
