"""What a user names as data → files: a path, the word ``starter``, a data set's name on the hub, or data in memory."""

from __future__ import annotations

import difflib
import glob
import os
from dataclasses import dataclass
from pathlib import Path

from distiltune.data.files import data_files, format_suffix
from distiltune.data.held import held_under, is_held_name
from distiltune.data.hub import Split, fetch_data_set, parse_hub_name
from distiltune.errors import DataError
from distiltune.system.names import did_you_mean, means_a_path_here, names_beside, nearly

STARTER = "starter"
"""The word that stands for the data inside the package; ``./starter`` is a folder of that name."""

# what people also call data files, beside the suffixes that can be read
_SUFFIXES_OF_FILES = frozenset(
    {".gz", ".txt", ".xlsx", ".xls", ".zip", ".arrow", ".pkl", ".xml", ".yaml", ".pdf", ".html", ".md", ".docx"}
)
_SUFFIXES_OF_DATA = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".conll")
_ALIKE = 0.7  # as .cvs and .csv are, or .jsn and .json


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The data files that a source stands for, in reading order, and files beside them that are not data."""

    source: str
    files: tuple[Path, ...]
    ignored: tuple[Path, ...] = ()


def find_source(source: str | Path, split: Split, starter: Path) -> SourceFiles:
    """Find the files that ``source`` stands for.

    Args:
        source: a path to a file or directory, or a pattern of such; ``starter``; or ``[owner/]name[:configuration]`` on
            the hub. A path that exists wins over a name on the hub. The name of data in memory stands for itself.
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
        if found := matches(source):
            parts = [find_source(path, split, starter) for path in found]
            every, ignored = (tuple(f for part in parts for f in getattr(part, of)) for of in ("files", "ignored"))
            return SourceFiles(text, every, ignored)
        is_data_set = has_splits(source)
        path = Path(source).expanduser()
        exists = is_data_set or path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, no such user's home, no permission
        raise DataError("The file cannot be opened.", where=f"{text} ({error})", fix="check the path.") from error
    if is_data_set and nearly(text, [STARTER]):
        raise _no_starter(text)
    if is_data_set:
        return SourceFiles(text, tuple(fetch_data_set(text, split)))
    if not exists:
        raise not_found(path)
    inside = data_files(path)
    return SourceFiles(text, inside.files, inside.ignored)


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
        or ("/" not in text and bool(difflib.get_close_matches(suffix, _SUFFIXES_OF_DATA, 1, _ALIKE)))
        or means_a_path_here(text)
    )


def matches(pattern: str | Path) -> list[Path]:
    """The paths that a pattern such as ``part-*.jsonl`` stands for, sorted; none if it is a path or no pattern.

    ``**`` stands for folders at any depth; hidden files are not looked at.

    Raises:
        DataError: if it is a pattern, and nothing matches it.

    """
    if not glob.has_magic(str(pattern)):
        return []
    path = Path(pattern).expanduser()
    if os.path.lexists(path):
        return []
    found = sorted(Path(each) for each in glob.glob(str(path), recursive=True))  # noqa: PTH207 (of any root)
    if not found:
        raise DataError("No file matches this pattern.", where=str(pattern), fix="check the pattern and the folder")
    return found


def not_found(path: Path) -> DataError:
    """The `DataError` for a path that does not exist, with what its folder holds under nearly that name."""
    folder = path.parent
    if not folder.is_dir():
        near = did_you_mean(names_beside(folder))
        return DataError(
            "The file does not exist, nor does its folder.", where=str(path), fix=f"{near}check the folder {folder}."
        )
    fix = did_you_mean(names_beside(path)).strip() or f"look into {folder.absolute()}"
    return DataError("The file does not exist.", where=str(path), fix=fix)


def _no_starter(name: str) -> DataError:
    return DataError(
        f"There is no file {name!r} here.",
        where=name,
        fix=f"did you mean {STARTER}? A data set on the hub is named `owner/name`.",
    )
