"""What documents of a folder are called to those who ask: by their place in it, never by that on the machine."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path


def folders_of(named: Iterable[str]) -> tuple[Path, ...]:
    """The folders that were named; of a file the one that it is in, of a pattern the one that all its files are in."""
    return tuple(dict.fromkeys(_folder_of(Path(each).expanduser()) for each in named))


def names_in_folders(folders: Sequence[Path], files: Iterable[str]) -> dict[str, str]:
    """What each file is called: no two alike, with nothing of what lies above the folders.

    Of one folder that is the path below it, as ``letters/may.txt``; of several the folder's own name is before that.

    Args:
        folders: as `folders_of` has them.
        files: the documents in them, as they were found.

    """
    called: dict[str, str] = {}
    taken: set[str] = set()
    for file in files:
        name = _encodable(_below(Path(file), folders))
        again = 1
        free = name
        while free in taken:
            again += 1
            free = f"{name} ({again})"
        taken.add(free)
        called[file] = free
    return called


def _below(file: Path, folders: Sequence[Path]) -> str:
    folder = next((each for each in folders if file.is_relative_to(each)), None)
    if folder is None:
        return file.name
    below = file.relative_to(folder).as_posix()
    return below if len(folders) == 1 else f"{folder.resolve().name}/{below}"


def _folder_of(path: Path) -> Path:
    if path.is_dir():
        return path
    folder = path.parent
    while glob.has_magic(str(folder)) and not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _encodable(name: str) -> str:
    """A name that is no UTF-8 with a sign in the place of what cannot be sent."""
    return name.encode("utf-8", "replace").decode("utf-8")
