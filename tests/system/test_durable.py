"""What is written is whole or not there, whenever the writing is broken off."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from distiltune.errors import DataError
from distiltune.system.durable import (
    clear_abandoned,
    clear_leftovers,
    find_link,
    left_over_of,
    open_own,
    read_file,
    try_writing,
    write_whole,
    writing_directory,
    writing_file,
    writing_set,
    writing_text,
    writing_to,
)


class Killed(BaseException):
    """The process ends here."""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def content(directory: Path) -> str:
    return (directory / "a").read_text()


def write(directory: Path, text: str) -> None:
    with writing_directory(directory) as beside:
        (beside / "a").write_text(text)


def write_half(path: Path) -> None:
    with writing_text(path) as file:
        file.write("half a li")
        raise Killed


def write_half_a_directory(directory: Path, error: BaseException) -> None:
    with writing_directory(directory) as beside:
        (beside / "a").write_text("half")
        raise error


def fail_to_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, b"one")
    write_whole(path, "tw\ud800o")
    assert (path.read_bytes(), names(tmp_path)) == (b"tw\\ud800o", {"file"})
    fail_to_sync(monkeypatch)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"three")
    assert (path.read_bytes(), names(tmp_path)) == (b"tw\\ud800o", {"file"})


def test_a_file_that_grows_has_its_name_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines.jsonl"
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(path.name if path.exists() else "beside")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    with writing_text(path) as file:
        file.writelines(f"{number} é \ud83d\n" for number in range(3))
        assert not path.exists()
    assert path.read_bytes() == "".join(f"{number} é \\ud83d\n" for number in range(3)).encode()
    assert synced == ["beside", path.name], "the file before it has its name, its folder after"
    with pytest.raises(Killed):
        write_half(path)
    assert path.read_text().startswith("0")
    assert names(tmp_path) == {path.name}


def test_a_link_that_was_named_is_followed_and_a_pipe_written_straight(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_whole(tmp_path / "link", b"content", named=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"content"
    if not hasattr(os, "mkfifo"):
        return
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()), daemon=True)
    reader.start()
    with writing_file(tmp_path / "pipe", named=True) as file:
        file.write(b"through")
    reader.join(10)
    assert read == [b"through"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_that_was_not_named_is_never_followed(tmp_path: Path) -> None:
    """Neither one of the file's name nor one of the name under which it is written."""
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs")
    for name in ("file", ".file.new"):
        (tmp_path / name).symlink_to(theirs)
        write_whole(tmp_path / "file", b"ours")
        assert (theirs.read_text(), (tmp_path / "file").read_text()) == ("theirs", "ours")
        assert names(tmp_path) == {"file", "theirs"}
        assert not (tmp_path / "file").is_symlink()


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links can be told on POSIX systems")
@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "directory"])
def test_what_is_written_in_place_is_a_file_of_its_own(tmp_path: Path, kind: str) -> None:
    theirs, path = tmp_path / "theirs", tmp_path / "log"
    theirs.write_text("theirs")
    if kind == "link":
        path.symlink_to(theirs)
    elif kind == "hard link":
        path.hardlink_to(theirs)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OSError, match=r"file|link|directory|device"):
        open_own(path, os.O_WRONLY)
    assert theirs.read_text() == "theirs"
    os.close(open_own(tmp_path / "new", os.O_WRONLY))


def test_links_among_what_is_ours_are_found(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "ours" / "deep").mkdir(parents=True)
    (run / "theirs").symlink_to(tmp_path)
    assert find_link(run, lambda name: name == "ours") is None
    (run / "ours" / "deep" / "link").symlink_to("nowhere")
    assert find_link(run, lambda name: name == "ours") == run / "ours" / "deep" / "link"
    assert find_link(run, lambda name: True) == run / "ours" / "deep" / "link"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.timeout(20)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert find_link(tmp_path, lambda name: True) == tmp_path / "pipe"
    for name in ("pipe", ".", "none"):
        with pytest.raises(OSError, match=r"no file|No such"):
            read_file(tmp_path / name)
    (tmp_path / "file").write_bytes(b"ours")
    assert read_file(tmp_path / "file") == b"ours"


@pytest.mark.parametrize("error", [OSError("no room"), Killed()])
def test_a_directory_is_replaced_whole_or_not_at_all(tmp_path: Path, error: BaseException) -> None:
    directory = tmp_path / "it"
    write(directory, "one")
    write(directory, "two")
    assert (content(directory), names(tmp_path)) == ("two", {"it"})
    with pytest.raises(type(error)):
        write_half_a_directory(directory, error)
    assert (content(directory), names(tmp_path)) == ("two", {"it"})


def test_the_first_of_two_stays_where_none_is_to_be_replaced(tmp_path: Path) -> None:
    with writing_directory(tmp_path / "it", replacing=False) as beside:
        (beside / "a").write_text("slower")
        write(tmp_path / "it", "quicker")
    assert (content(tmp_path / "it"), names(tmp_path)) == ("quicker", {"it"})
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="irector"), writing_directory(tmp_path / "file", replacing=False) as beside:
        (beside / "a").write_text("")


@pytest.mark.parametrize("n_renames", [0, 1, 2])
def test_what_a_killed_writer_left_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_renames: int) -> None:
    directory = tmp_path / "it"
    write(directory, "old")
    for other in (".it.more.7-0123abcd.new", ".it.new", "it.7-0123abcd.new", ".other.7-0123abcd.old"):
        (tmp_path / other).mkdir()
    others = names(tmp_path)
    rename, n_left = Path.rename, n_renames

    def killed_at_a_rename(self: Path, target: Path) -> Path:
        nonlocal n_left
        n_left -= 1
        if n_left < 0:
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed_at_a_rename)
        patch.setattr("shutil.rmtree", lambda *arguments, **named: None)
        if n_renames < 2:
            with pytest.raises(Killed):
                write(directory, "new")
        else:
            write(directory, "new")
    left = names(tmp_path) - others
    assert left
    assert all(left_over_of(tmp_path / name) == "it" for name in left)
    clear_leftovers(directory)
    assert (content(directory), names(tmp_path)) == ("new" if n_renames == 2 else "old", others)


def test_what_keeps_something_from_being_written_is_told_in_one_manner(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    output = tmp_path / "file" / "data.json"
    with pytest.raises(DataError) as caught, writing_to(output, DataError, what="The data", fix="name another"):
        write_whole(output, b"")
    error = caught.value
    assert error.what.startswith("The data cannot be written: ")
    assert (error.where, error.fix) == (str(output), "name another")
    with pytest.raises(DataError, match="The output"), writing_to(output, DataError):
        try_writing(output)
    try_writing(tmp_path / "a" / "b")
    assert names(tmp_path) == {"file"}


def write_two(folder: Path, text: str, names: tuple[str, ...] = ("a", "b")) -> None:
    with writing_set(folder, ("a", "b")) as beside:
        for name in names:
            (beside / name).write_text(text)


def held(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_set_of_files_is_of_one_writing(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("stays")
    write_two(tmp_path, "first")
    write_two(tmp_path, "second", ("a",))
    assert held(tmp_path) == {"a": "second", "other": "stays"}, "b is of the first"


@pytest.mark.parametrize("n_renames", range(4))
def test_a_set_of_files_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_renames: int
) -> None:
    write_two(tmp_path, "first")
    rename, done = Path.rename, [0]

    def fail(self: Path, target: Path) -> Path:
        done[0] += 1
        if done[0] == n_renames + 1:
            raise OSError(errno.EIO, "the disk")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="the disk"):
        write_two(tmp_path, "second")
    assert held(tmp_path) == {"a": "first", "b": "first"}


def write_half_a_set(folder: Path) -> None:
    with writing_set(folder, ("a", "b")) as beside:
        (beside / "a").write_text("half")
        raise Killed


def test_a_set_that_is_broken_off_leaves_the_old_one(tmp_path: Path) -> None:
    write_two(tmp_path, "first")
    with pytest.raises(Killed):
        write_half_a_set(tmp_path)
    assert held(tmp_path) == {"a": "first", "b": "first"}


def test_what_a_killed_writer_of_a_set_left_is_cleared_and_what_is_in_use_stays(tmp_path: Path) -> None:
    left, fresh = tmp_path / ".set.12-0123abcd.new", tmp_path / ".set.12-0123abce.new"
    left.mkdir()
    os.utime(left, (0, 0))
    fresh.mkdir()
    with writing_set(tmp_path, ("a",)) as beside:
        os.utime(beside, (0, 0))
        clear_abandoned(tmp_path)
        assert beside.is_dir()
        assert not left.exists()
        assert fresh.is_dir(), "whoever made it may be about to lock it"


def write_while(path: Path, meanwhile: Callable[[], None]) -> None:
    with writing_text(path) as slow:
        slow.write("the slow one")
        meanwhile()


def test_two_writers_of_one_file_do_not_make_a_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def another_is_killed() -> None:
        with pytest.raises(Killed):
            write_half(path)

    with pytest.raises(OSError, match="another process"):
        write_while(path, another_is_killed)
    assert names(tmp_path) == set()
    with pytest.raises(OSError, match="another process"):
        write_while(path, lambda: write_whole(path, "the quick one"))
    assert path.read_text() == "the quick one"
