import errno
import os
import threading
from pathlib import Path

import pytest

from rag.outputs import is_same_file, is_terminal, why_no_output, write_output


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_has_the_mode_that_the_user_gives_new_files(tmp_path):
    (tmp_path / "usual").touch()
    write_output(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_file_keeps_its_mode(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"old")
    file.chmod(0o600)
    write_output(file, b"new")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o600)
    assert names_in(tmp_path) == ["a"]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_one_and_its_file_is_written(tmp_path, there):
    target, link = tmp_path / "target", tmp_path / "link"
    if there:
        target.write_bytes(b"old")
    link.symlink_to("target")
    write_output(link, b"new")
    assert (link.is_symlink(), target.is_symlink(), target.read_bytes()) == (True, False, b"new")


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_output(pipe, b"new")
    reader.join()
    assert read == [b"new"]
    assert pipe.is_fifo()
    assert names_in(tmp_path) == ["pipe"]


def test_a_device_is_written_to_where_it_stands(monkeypatch):
    # Nothing may be made or replaced, least of all if this should fail for a superuser.
    def forbidden(*_):
        raise AssertionError("a device would have been replaced")

    monkeypatch.setattr(Path, "replace", forbidden)
    monkeypatch.setattr("rag.outputs._replace", forbidden)
    write_output(Path(os.devnull), b"new")


def test_a_folder_is_refused_and_nothing_is_left(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_output(tmp_path / "folder", b"new")
    assert names_in(tmp_path) == ["folder"]


def test_a_file_in_a_folder_that_takes_no_new_ones_is_written(tmp_path, monkeypatch):
    file = tmp_path / "a"
    file.write_bytes(b"a longer old text")

    def refused(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("rag.outputs._replace", refused)
    write_output(file, b"new")
    assert file.read_bytes() == b"new"
    with pytest.raises(PermissionError):
        write_output(tmp_path / "b", b"new")


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    file = tmp_path / "a"
    file.write_bytes(b"old")

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_output(file, b"new")
    assert file.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a"]


def test_what_cannot_be_written_is_known_before(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("no folder/file")
    assert why_no_output(tmp_path) == "Is a directory"
    assert why_no_output(tmp_path / "no folder" / "a") == "No such file or directory"
    assert why_no_output(tmp_path / "dangling") == "No such file or directory"
    assert why_no_output(tmp_path / "file" / "a") in {"Not a directory", "No such file or directory"}
    assert why_no_output(tmp_path / "a") is None
    assert why_no_output(tmp_path / "file") is None
    assert why_no_output(Path(os.devnull)) is None


def test_a_terminal_is_known_by_its_device(tmp_path):
    ours, theirs = os.openpty()
    try:
        assert is_terminal(Path(os.ttyname(theirs)))
    finally:
        os.close(ours)
        os.close(theirs)
    (tmp_path / "file").touch()
    for other in (tmp_path, tmp_path / "file", tmp_path / "none", Path(os.devnull)):
        assert not is_terminal(other)


def test_a_folder_that_takes_no_files_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path) != tmp_path)
    assert why_no_output(tmp_path / "new") == os.strerror(errno.EACCES)
    (tmp_path / "old").touch()
    assert why_no_output(tmp_path / "old") is None


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "a"
    file.write_bytes(b"old")

    def broken(*_):
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr("rag.outputs._replace", broken)
    with pytest.raises(OSError, match="too large"):
        write_output(file, b"new")
    assert file.read_bytes() == b"old"


def test_one_file_is_known_by_either_path(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").write_bytes(b"a")
    assert is_same_file(tmp_path / "b", tmp_path / "a")
    for other in ("c", "none"):
        assert not is_same_file(tmp_path / "a", tmp_path / other)
    assert not is_same_file(tmp_path, tmp_path)
    assert not is_same_file(Path(os.devnull), Path(os.devnull))
