"""Files and directories that survive: written beside, brought to the disk, renamed. Everything else that writes a
result, a model, a checkpoint or a cached array calls this module, so that there is one place to get it right.

Whenever a write is broken off, the name holds what it held before or what it was to hold, never a part of either.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from distiltune.errors import DistiltuneError, is_of_printing

CHECKSUMS: Final = "SHA256SUMS"
"""The file of a directory that holds the checksum of each other one, as `sha256sum` writes and checks it."""

_NEW, _OLD = ".new", ".old"
_LEFTOVER = re.compile(r"\.(?P<name>.+)\.\d+-[0-9a-f]{8}(?P<ending>\.new|\.old)")
_ABOUT_TO_BE_LOCKED_S = 60.0
_BLOCK_BYTES = 8 * 1024**2
_BUFFER_BYTES = 1024**2  # small tensors are written together
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # nor wait for the reader of a pipe
_ANEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | getattr(os, "O_BINARY", 0)

CarryOver = Callable[[Path, Path], None]
"""Moves out of a directory that is replaced (the first) what is to stay into the new one (the second)."""


@contextmanager
def writing_to(
    output: Path,
    kind: type[DistiltuneError],
    *,
    what: str = "The output",
    fix: str = "choose another --output, or make room or rights there",
) -> Iterator[None]:
    """Say what keeps something from being written to ``output`` that somebody named.

    Raises:
        DistiltuneError: of this ``kind``, in place of what the system says.

    """
    try:
        yield
    except OSError as error:
        if is_of_printing(error):
            raise
        raise kind(f"{what} cannot be written: {error.strerror or error}.", where=str(output), fix=fix) from error


def try_writing(directory: Path) -> None:
    """Write into a directory, or where it would be made, and leave nothing.

    Raises:
        OSError: if that cannot be done.

    """
    directory = directory.resolve()
    nearest = next(each for each in (directory, *directory.parents) if each.exists())
    with tempfile.TemporaryDirectory(dir=nearest):
        pass


def sync(path: Path) -> None:
    """Bring a file or the entries of a directory to the disk, where the system can (Windows opens no directories)."""
    if os.name != "posix" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing_file(path: Path, *, named: bool = False) -> Iterator[BinaryIO]:
    """A file to write into as it grows; at the end of the block it takes the place of the one that is there.

    Args:
        path: of the file. A link of this name is replaced, never followed: the folder may be a stranger's.
        named: the user named this very file. A link then is followed, so that what it points to is replaced and not
            the link; what is no file, such as a pipe, is written straight.

    Raises:
        OSError: if it cannot be written; the old one then is as it was, as it is where the block raises.

    """
    if named:
        path = path.resolve() if path.is_symlink() else path
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
    beside = path.with_name(f".{path.name}{_NEW}")
    own: os.stat_result | None = None
    try:
        beside.unlink(missing_ok=True)  # what a killed process left, or a link that somebody laid there
        with os.fdopen(os.open(beside, _ANEW, 0o666), "wb", buffering=_BUFFER_BYTES) as file:
            own = os.fstat(file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
        if not _is_named(own, beside):  # else a part of another process's file would get the name
            raise OSError(errno.EBUSY, "another process writes it at the same time", str(path))
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            if own is None or _is_named(own, beside):
                beside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def _is_named(file: os.stat_result, path: Path) -> bool:
    """Whether a file that is open still has this name."""
    try:
        return os.path.samestat(file, path.lstat())
    except OSError:
        return False


@contextmanager
def writing_text(path: Path, *, named: bool = False) -> Iterator[TextIO]:
    """The same for text: UTF-8, lone surrogates escaped.

    Raises:
        OSError: as `writing_file`.

    """
    with writing_file(path, named=named) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="\n")
        yield text
        text.flush()
        text.detach()  # the file is still to be brought to the disk


def write_whole(path: Path, content: bytes | str, *, named: bool = False) -> None:
    """Write a file in place of the one that is there; ``named`` as for `writing_file`.

    Raises:
        OSError: as `writing_file`.

    """
    with writing_file(path, named=named) as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))


def open_own(path: Path, flags: int) -> int:
    """A descriptor of a file that is written in place, such as a log; made if it is not there.

    Raises:
        OSError: if it cannot be opened, or is a link, or no file, or has a second name: writing would change what
            lies elsewhere.

    """
    descriptor = os.open(path, flags | os.O_CREAT | _NO_LINK, 0o644)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file of its own", str(path))
    return descriptor


def read_file(path: Path) -> bytes:
    """What a file of somebody else's folder holds.

    Raises:
        OSError: if it cannot be read, or is no file: a pipe would be waited for for ever.

    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def find_link(directory: Path, is_ours: Callable[[str], bool]) -> Path | None:
    """The first among what is ours in a directory, at any depth, that leads elsewhere: a link, a pipe, a device.

    None if there is none such.

    Args:
        directory: the directory, which may be a link itself: the user named it.
        is_ours: whether an entry of this name is written, replaced or removed by us.

    Raises:
        OSError: if something cannot be listed, which may hide a link.

    """
    for entry in sorted(directory.iterdir()):
        if not is_ours(entry.name):
            continue
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            return entry
        if entry.is_dir() and (found := find_link(entry, lambda name: True)) is not None:
            return found
    return None


@contextmanager
def writing_directory(
    directory: Path, *, replacing: bool = True, synced: bool = True, carry_over: CarryOver | None = None
) -> Iterator[Path]:
    """A new directory to write into; at the end of the block it gets the name ``directory``, whole.

    Args:
        directory: the name; the folder that it is in must be there.
        replacing: put it in the place of one that is there; otherwise the one that is there stays, and this one goes.
        synced: bring it to the disk before it is renamed: its entries, while the files in it are synced as they are
            written (`write_synced`). What can be made again need not be.
        carry_over: takes what is to stay out of the one that is replaced.

    Raises:
        OSError: if it cannot be written; the old one then is as it was, as it is where the block raises.

    """
    unique = f"{os.getpid()}-{secrets.token_hex(4)}"
    beside = directory.with_name(f".{directory.name}.{unique}{_NEW}")
    before = directory.with_name(f".{directory.name}.{unique}{_OLD}")
    try:
        with _claimed(beside):
            yield beside
            if synced:
                sync(beside)
            if not replacing:
                _rename_if_free(beside, directory)
            else:
                _swap_in(beside, directory, before)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    if before.exists():
        if carry_over is not None:
            carry_over(before, directory)
        shutil.rmtree(before, ignore_errors=True)
    if synced:
        sync(directory.parent)


@contextmanager
def writing_set(directory: Path, names: Iterable[str]) -> Iterator[Path]:
    """A folder to write files into that belong together; at the end of the block they get their places as a set.

    Args:
        directory: where they are wanted; made if it is not there.
        names: of all files that the set may have. Those that are there and are not written anew go with the old set,
            so that never a part of one stands beside a part of another.

    Raises:
        OSError: if they cannot be written; the old set then is as it was, as it is where the block raises.

    """
    directory.mkdir(parents=True, exist_ok=True)
    clear_abandoned(directory)
    unique = f"{os.getpid()}-{secrets.token_hex(4)}"
    beside, before = directory / f".set.{unique}{_NEW}", directory / f".set.{unique}{_OLD}"
    try:
        with _claimed(beside), _claimed(before):
            yield beside
            _exchange(directory, beside, before, tuple(names))
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)
    sync(directory)


def _exchange(directory: Path, beside: Path, before: Path, names: tuple[str, ...]) -> None:
    """Move the old files of these names away and the new ones into their places, or leave all as it was."""
    away: list[str] = []
    placed: list[str] = []
    try:
        for name in names:
            if os.path.lexists(directory / name):
                (directory / name).rename(before / name)
                away.append(name)
        for path in sorted(beside.iterdir()):
            path.rename(directory / path.name)
            placed.append(path.name)
    except BaseException:
        for name in placed:
            (directory / name).unlink()
        for name in away:
            (before / name).rename(directory / name)
        raise


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """A new folder, which others can see is in use (`clear_abandoned`) until the end of the block."""
    folder.mkdir()
    descriptor = _locked(folder)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock; None if somebody else has it, or the system has no such locks."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY | _NO_LINK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def clear_abandoned(directory: Path, is_ours: Callable[[str], bool] = lambda name: name == "set") -> None:
    """Remove what killed processes left of `writing_set`, or else of `writing_directory` under such names.

    What is in use is locked by whoever uses it. A folder of the last minute may be about to be locked; it stays.
    """
    with suppress(OSError):
        for path in directory.iterdir():
            found = _LEFTOVER.fullmatch(path.name)
            if found is None or not is_ours(found["name"]) or path.is_symlink():
                continue
            if time.time() - path.stat().st_mtime < _ABOUT_TO_BE_LOCKED_S:
                continue
            descriptor = _locked(path)
            if descriptor is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(descriptor)


def _rename_if_free(beside: Path, directory: Path) -> None:
    """Give it its name; another process may have been quicker, and its directory is as good."""
    try:
        beside.rename(directory)
    except OSError:
        if not directory.is_dir():
            raise


def _swap_in(beside: Path, directory: Path, before: Path) -> None:
    if directory.exists():
        directory.rename(before)
    try:
        beside.rename(directory)
    except OSError:
        if before.exists():
            before.rename(directory)
        raise


def clear_leftovers(directory: Path, carry_over: CarryOver | None = None) -> None:
    """Remove what killed processes left beside ``directory``; one that had been moved away goes back if it must.

    Nobody else may be writing ``directory`` meanwhile (`alone_in`).
    """
    for path in directory.parent.iterdir():
        found = _LEFTOVER.fullmatch(path.name)
        if found is None or found["name"] != directory.name:
            continue
        if found["ending"] == _OLD:
            if not directory.exists():
                path.rename(directory)
                continue
            if carry_over is not None:
                carry_over(path, directory)
        shutil.rmtree(path, ignore_errors=True)


def left_over_of(path: Path) -> str:
    """The name of the directory that this module wrote, or moved away, under such a name; empty if it did not."""
    found = _LEFTOVER.fullmatch(path.name)
    return found["name"] if found is not None else ""


@contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """Wait until no other process is in such a block for ``folder``, and keep others waiting; a killed one lets go.

    False where the system or the file system cannot lock a directory: others may then write at the same time.
    """
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            is_locked = True
        except OSError:
            is_locked = False
        yield is_locked
    finally:
        os.close(descriptor)


def write_synced(path: Path, content: bytes) -> str:
    """Write a file of a new directory and bring it to the disk; returns its SHA-256."""
    return write_blocks(path, [memoryview(content)])


def write_blocks(path: Path, blocks: Iterable[memoryview]) -> str:
    """The same of a file that comes in parts, of which none is copied."""
    digest = hashlib.sha256()
    with path.open("wb", buffering=_BUFFER_BYTES) as file:
        for block in blocks:
            for first in range(0, len(block), _BLOCK_BYTES):
                part = block[first : first + _BLOCK_BYTES]
                digest.update(part)
                file.write(part)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def checksum_lines(sums: Mapping[str, str]) -> bytes:
    """The content of ``SHA256SUMS`` for these files: name → SHA-256."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()


def find_damage(directory: Path, required: frozenset[str]) -> str:
    """What is wrong with a directory that has a ``SHA256SUMS``, in words; empty if nothing is.

    Every changed bit is found: of a file by its checksum, of the list itself because it is compared as a whole with
    what it should be.
    """
    try:
        listed = (directory / CHECKSUMS).read_bytes()
        names = [line[66:] for line in listed.decode("ascii").splitlines()]
        absent = sorted(required.difference(names))
        if absent:
            return f"{CHECKSUMS} does not list {absent[0]}"
        sums = {}
        for name in names:
            if not name or name != Path(name).name or name == CHECKSUMS:
                return f"{CHECKSUMS} is damaged"
            with (directory / name).open("rb") as file:
                sums[name] = hashlib.file_digest(file, "sha256").hexdigest()
        for name in names:
            if f"{sums[name]}  {name}\n".encode() not in listed:
                return f"{name} has another checksum than was written"
        return "" if checksum_lines(sums) == listed else f"{CHECKSUMS} is damaged"
    except (OSError, ValueError) as error:
        return f"{error}"
