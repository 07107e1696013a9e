"""The first lines of a table below its first one, among which the names of its columns may stand, under a title."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from distiltune.data.streams import bounded_lines, open_text
from distiltune.errors import DataError

_LINES_LOOKED_AT: Final = 20
_DELIMITERS: Final = ",;\t|"


class LineBelow(NamedTuple):
    """A line of a table that has two fields or more, all of them filled and different.

    Attributes:
        number: from 1.
        fields: without blanks around them.

    """

    number: int
    fields: list[str]


def has_title(path: Path) -> bool:
    """Whether the first line that holds something has but one field, whatever parts them."""
    lines = _first_lines(path)
    first = next((line for line in lines if line.strip()), "")
    return bool(first) and all(len(_fields(first, delimiter)) == 1 for delimiter in _DELIMITERS)


def lines_below(path: Path) -> Iterator[LineBelow]:
    """Such lines near the start of a file, the first line excepted, parted by what gives most fields.

    None of a file that is no table, or that cannot be read: only a message wants to know.
    """
    for number, line in enumerate(_first_lines(path)[1:], 2):
        fields = max((_fields(line, delimiter) for delimiter in _DELIMITERS), key=len)
        if len(fields) > 1 and all(fields) and len(set(fields)) == len(fields):
            yield LineBelow(number, fields)


def _first_lines(path: Path) -> list[str]:
    if not {".csv", ".tsv"} & set(path.suffixes[-2:]):
        return []
    try:
        with open_text(path, newline="", encoding="") as stream:
            return list(itertools.islice(bounded_lines(stream, path), _LINES_LOOKED_AT))
    except (DataError, OSError, UnicodeError):
        return []


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return [each.strip() for each in next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), ())]
    except csv.Error:
        return []
