"""What a user names as data → files: a path, the word ``starter``, a data set's name on the hub, or data in memory."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from distiltune.data.files import data_files, format_suffix
from distiltune.data.held import held_under, is_held_name
from distiltune.data.hub import Split, fetch_data_set, parse_hub_name
from distiltune.errors import DataError

STARTER = "starter"
"""The word that stands for the data inside the package; ``./starter`` is a folder of that name."""

# what people also call data files, beside the suffixes that can be read
_SUFFIXES_OF_FILES = frozenset({".gz", ".txt", ".xlsx", ".xls", ".zip", ".arrow", ".pkl", ".xml", ".yaml"})


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The data files that a source stands for, in reading order, and files beside them that are not data."""

    source: str
    files: tuple[Path, ...]
    ignored: tuple[Path, ...] = ()


def find_source(source: str | Path, split: Split, starter: Path) -> SourceFiles:
    """Find the files that ``source`` stands for.

    Args:
        source: a path to a file or directory; ``starter``; or ``[owner/]name[:configuration]`` on the hub.
            A path that exists wins over a name on the hub. The name of data in memory stands for itself.
        split: which files of a data set on the hub.
        starter: the file that ``starter`` stands for.

    Raises:
        DataError: if there is no such file (naming those that are called nearly so), or it is no data file.
        HubError: if a data set cannot be fetched.

    """
    text = str(source)
    if source == STARTER:
        return SourceFiles(text, (starter,))
    if held_under(source) is not None:
        return SourceFiles(text, (Path(text),))
    try:
        is_data_set = has_splits(source)
        path = Path(source).expanduser()
        exists = is_data_set or path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, no such user's home, no permission
        raise DataError("The file cannot be opened.", where=f"{text} ({error})", fix="check the path.") from error
    if is_data_set:
        return SourceFiles(text, tuple(fetch_data_set(text, split)))
    if not exists:
        raise _not_found(path)
    found = data_files(path)
    return SourceFiles(text, found.files, found.ignored)


def has_splits(source: str | Path) -> bool:
    """Whether ``source`` names a data set that knows its splits (``starter``, or one on the hub), not files.

    Nothing is fetched: a name that could be one on the hub, and is no path that exists, counts as one.
    """
    if isinstance(source, Path) or is_held_name(source):
        return False
    return source == STARTER or not (Path(source).expanduser().exists() or _looks_like_path(source))


def _looks_like_path(text: str) -> bool:
    """Whether ``text`` can only be meant as a path."""
    suffix = Path(text).suffix.lower()
    return (
        text.startswith((".", "/", "~"))
        or format_suffix(text) is not None
        or suffix in _SUFFIXES_OF_FILES
        or parse_hub_name(text) is None
    )


def _not_found(path: Path) -> DataError:
    """The `DataError` for a path that does not exist, with what its folder holds under nearly that name."""
    folder = path.parent
    if not folder.is_dir():
        return DataError(
            "The file does not exist, nor does its folder.",
            where=str(path),
            fix=f"check the folder {folder}.",
        )
    try:
        names = [each.name for each in folder.iterdir()]
    except OSError:
        names = []  # a folder that may not be listed
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    fix = f"is it {' or '.join(str(folder / name) for name in close)}?" if close else f"look into {folder}."
    return DataError("The file does not exist.", where=str(path), fix=fix)
