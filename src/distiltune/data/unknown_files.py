"""What a file of another suffix looks like inside, so that a message can say what to call it."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from distiltune.data.column_layout import facts_of, lay_out
from distiltune.data.other_kinds import HEAD_BYTES, OtherKind, kind_of, kind_of_name
from distiltune.data.streams import encoding_of, open_bytes
from distiltune.data.tag_schemes import looks_like_tags
from distiltune.errors import DataError

_START_BYTES: Final = 1 << 16
_TAG: Final = re.compile(r"O|[BIESLU]-\S+")
_FEWEST_LINES: Final = 2
_LINES_LOOKED_AT: Final = 1_000


def way_to_name(path: Path) -> str:
    """What the file looks like and the name that says so, as an advice; empty if it looks like nothing.

    Nothing but the file's start is read. Of what is no text, what to do with it.
    """
    found = _looks_like(path)
    if found is None:
        kind = other_kind(path)
        return f"{path.name} is {kind.what}: {kind.fix.rstrip('.')}" if kind is not None else ""
    what, suffix = found
    if path.suffix.lower() == suffix:
        return ""
    return f"{path.name} looks like {what}: call it {name_with(path, suffix)}"


def other_kind(path: Path) -> OtherKind | None:
    """What the file is if it is an archive, a workbook, a document or the like, by its start, else by its name."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:
        return None
    by_name = kind_of_name(path)
    if by_name is not None and path.suffix.lower() == ".gz":  # what is packed is an archive of several
        return by_name
    return kind_of(head, path) or by_name


def name_with(path: Path, suffix: str) -> str:
    """The file's name with this suffix instead of its own."""
    name = path.name.removesuffix(".gz") if path.suffix.lower() == ".gz" else path.name
    stem = name.rsplit(".", 1)[0] if "." in name.lstrip(".") else name
    return f"{stem}{suffix}"


def words_and_tags(path: Path) -> tuple[int, int] | None:
    """The columns, from 1, of the words and of the tags in a table that has both in each line; None if it has not.

    Nothing but the file's start is read, and its first line counts as any other.
    """
    lines = _filled_lines(path)
    if not lines:
        return None
    if _are_labelled_words(_lines(path)):
        return 1, 2
    delimiter = max("\t,;", key=lambda each: sum(each in line for line in lines))
    facts = facts_of([[line.split(delimiter)] for line in lines])
    layout = lay_out(facts, [])
    columns = facts.get(layout.width, [])
    if not (layout.tokens and layout.tags) or not looks_like_tags(columns[layout.tags - 1].values):
        return None
    return layout.tokens, layout.tags


def has_remarks(path: Path) -> bool:
    """Whether a table with tabs has, near its start, lines that begin with # and fewer fields than the others."""
    lines = _filled_lines(path)
    width = max((line.count("\t") for line in lines), default=0)
    return any(line.startswith("#") and line.count("\t") < width for line in lines)


def _filled_lines(path: Path) -> list[str]:
    """The lines at a file's start that hold something; none if it cannot be read."""
    return [line for line in _lines(path) if line.strip()]


def _lines(path: Path) -> list[str]:
    """The lines at a file's start."""
    start = _start_of(path) if path.is_file() else None
    return _decoded(start or b"").splitlines()[:_LINES_LOOKED_AT]


def _start_of(path: Path) -> bytes | None:
    """The first bytes of a file; None if they cannot be read."""
    try:
        with open_bytes(path) as stream:
            return stream.read(_START_BYTES)
    except (OSError, EOFError, DataError):
        return None


def _decoded(start: bytes) -> str:
    """The text that a file begins with, in the encoding that it tells of itself, as Excel's Unicode text does."""
    return start.decode(encoding_of(start[:4]), "replace")


def _looks_like(path: Path) -> tuple[str, str] | None:
    """The form that a file has by its start, in words, and the suffix of that form."""
    if not path.is_file():
        return None
    start = _start_of(path)
    if start is None:
        return None
    if start.startswith(b"PAR1"):
        return "Parquet", ".parquet"
    text = _decoded(start)
    if "\0" in text or not text.strip():
        return None
    lines = text.splitlines()
    return _like_json(text, lines) or _like_columns(lines[: -1 if len(start) == _START_BYTES else None])


def _like_json(text: str, lines: Sequence[str]) -> tuple[str, str] | None:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    first = next(line for line in lines if line.strip())
    try:
        is_row = isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        is_row = False
    has_more = sum(bool(line.strip()) for line in lines) >= _FEWEST_LINES
    if is_row and has_more:
        return "JSON lines", ".jsonl"
    return ("JSON", ".json") if is_row or re.match(r"\s*(\[\s*[{\[]|\{\s*\")", text) else None


def _like_columns(lines: Sequence[str]) -> tuple[str, str] | None:
    """Words with tags, or a table by what every line has as often."""
    filled = [line for line in lines if line.strip()]
    if len(filled) < _FEWEST_LINES:
        return None
    fields = [line.split() for line in filled]
    n_tagged = sum(len(each) > 1 and bool(_TAG.fullmatch(each[-1])) for each in fields)
    if n_tagged > 0.9 * len(filled) or _are_labelled_words(lines):
        return "words with a tag each, as CoNLL has them", ".conll"
    for delimiter, what, suffix in (
        ("\t", "a table with tabs", ".tsv"),
        (",", "a table with commas", ".csv"),
        (";", "a table with semicolons", ".csv"),
        ("|", "a table with bars", ".csv"),
    ):
        if _has_columns(filled, delimiter):
            return what, suffix
    return None


def _are_labelled_words(lines: Sequence[str]) -> bool:
    """Whether lines are words with a label each without a prefix, as Few-NERD's, and with empty lines between.

    A table's texts have blanks in them, and its lines are not parted.
    """
    filled = [re.split(r"[ \t]+", line.strip()) for line in lines if line.strip()]
    has_gaps = any(not line.strip() for line in lines[1:-1])
    if not has_gaps or {len(each) for each in filled} != {2}:
        return False
    labels = Counter(label for _, label in filled)
    return labels["O"] > 0 and len(labels) < len({word for word, _ in filled})


def _has_columns(lines: Sequence[str], delimiter: str) -> bool:
    """Whether all lines have as many fields, and more than one."""
    try:
        is_tab = delimiter == "\t"
        fields = (line.split("\t") for line in lines) if is_tab else csv.reader(lines, delimiter=delimiter)
        widths = {len(each) for each in fields if each}
    except csv.Error:
        return False
    return len(widths) == 1 and widths.pop() > 1
