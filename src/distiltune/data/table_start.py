"""What the first lines of a table show, and signs in all of them: what parts fields, whether rows have names, which
lines say more of the columns, whether databases' signs for nothing and for a line break are in it."""

from __future__ import annotations

import contextlib
import csv
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from distiltune.data.file_form import FileForm
from distiltune.data.streams import MAX_LINE_CHARACTERS, bounded_lines, open_text

LINES_LOOKED_AT: Final = 100
MOST_HEADERS: Final = 2
"""So many lines below the names may say more of the columns: Qualtrics has two, Orange too."""
NULL: Final = r"\N"
"""A field that is nothing, as PostgreSQL's COPY and MySQL's ``--tab`` and ``INTO OUTFILE`` write it."""

_FEWEST_LINES: Final = 2
_FEWEST_FITTING: Final = 0.5
_DELIMITERS: Final = ",;\t|"
_SAYS_DELIMITER: Final = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
_KINDS: Final = frozenset(
    {
        *("string", "str", "text", "character", "char", "varchar", "object", "category", "categorical", "factor"),
        *("int", "integer", "int64", "float", "float64", "double", "number", "numeric", "bool", "boolean", "date"),
        *("datetime", "discrete", "continuous", "meta", "class", "response", "open-ended response"),
    }
)
"""What a line of kinds of values has: of types, SurveyMonkey's, Orange's."""
_OF_QUALTRICS: Final = "ImportId"


@dataclass(frozen=True, slots=True)
class FirstLines:
    """The first lines of a table that hold something, but for one that says what parts fields, as ``said``."""

    lines: list[str]
    said: str = ""


def first_lines(path: Path, form: FileForm) -> FirstLines:
    """The first lines of a table. Raises `DataError` if it cannot be read."""
    # before any look at a field: one of a header may be as long as others
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_CHARACTERS))
    with open_text(path, newline="", encoding=form.encoding) as stream:
        filled = (line for line in bounded_lines(stream, path) if line.strip("\r\n"))
        lines = list(itertools.islice(filled, LINES_LOOKED_AT))
    if lines and (said := _SAYS_DELIMITER.fullmatch(lines[0])):
        return FirstLines(lines[1:], said[1])
    return FirstLines(lines)


def says_delimiter(line: str) -> bool:
    """Whether a line says what parts fields, and is no row."""
    return _SAYS_DELIMITER.fullmatch(line) is not None


def delimiters_of(lines: Sequence[str]) -> tuple[str, str]:
    """What parts fields most often in the first line, and what does in the rows as well.

    The two are one wherever half of the rows have as many fields by the first; where none fits them, too. Of several
    that give as many fields, the first of comma, semicolon, tab and bar.
    """
    names = lines[0] if lines else ""
    widths = {each: len(next(iter(_fields([names], each)), ())) for each in _DELIMITERS}
    by_width = sorted((each for each in _DELIMITERS if widths[each] > 1), key=lambda each: -widths[each])
    if len(by_width) < 2:
        return (by_width or [_DELIMITERS[0]])[0], (by_width or [_DELIMITERS[0]])[0]
    fitting = (each for each in by_width if _share_of_width(lines[1:], each, widths[each]) >= _FEWEST_FITTING)
    return by_width[0], next(fitting, by_width[0])


def _share_of_width(lines: Sequence[str], delimiter: str, width: int) -> float:
    """How many of the rows have as many fields, 0 to 1; names of rows and empty fields at an end aside."""
    rows = [each for each in _fields(lines, delimiter) if each]
    return sum(len(row) in (width, width + 1) for row in rows) / len(rows) if rows else 0.0


def _fields(lines: Iterable[str], delimiter: str) -> list[list[str]]:
    """The rows of these lines by this delimiter; none where they cannot be parted."""
    try:
        return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return []


def instead_of_tab(lines: Sequence[str]) -> str:
    """What parts the fields of all these lines, none of which has a tab; empty if there is no such sign."""
    if len(lines) < _FEWEST_LINES or any("\t" in line for line in lines):
        return ""
    for delimiter in ",;|":
        with contextlib.suppress(csv.Error):
            widths = {len(fields) for fields in csv.reader(lines, delimiter=delimiter)}
            if len(widths) == 1 and widths.pop() > 1:
                return delimiter
    return ""


def rows_have_names(lines: Sequence[str], delimiter: str) -> bool:
    """Whether each row has one field more than there are names, the first of which is a number of its own.

    R's ``write.table`` and pandas' ``index_label=False`` write tables so.
    """
    names, *rows = _fields(lines, delimiter) or [[]]
    if len(rows) < _FEWEST_LINES or any(len(row) != len(names) + 1 for row in rows[:-1]):  # the last may be cut off
        return False
    numbers = [row[0] for row in rows if row]
    are_own = all(map(str.isdecimal, numbers)) and len(set(numbers)) == len(numbers)
    return are_own and any(row[-1].strip() for row in rows if row)


def more_headers(rows: Sequence[Sequence[str]]) -> int:
    """How many of a table's first rows say more of its columns, as a line of types does, and are no examples."""
    if len(rows) > 1 and _is_of_qualtrics(rows[1]):
        return 2
    if rows and _is_of_qualtrics(rows[0]):
        return 1
    return sum(1 for _ in itertools.takewhile(_are_kinds, rows))


def _is_of_qualtrics(fields: Sequence[str]) -> bool:
    filled = [each for each in fields if each.strip()]
    return bool(filled) and all(each.lstrip().startswith("{") and _OF_QUALTRICS in each for each in filled)


def _are_kinds(fields: Sequence[str]) -> bool:
    """Whether two fields or more are filled, all of them with kinds of values."""
    filled = [each.strip().casefold() for each in fields if each.strip()]
    return len(filled) > 1 and _KINDS.issuperset(filled)


@dataclass(frozen=True, slots=True)
class SignsSeen:
    """What signs stand in a table.

    Attributes:
        has_quotes: whether there is a quotation mark.
        has_escapes: whether it has a database's nulls, and tabs between fields: then backslashes are escapes.

    """

    has_quotes: bool
    has_escapes: bool


def signs_seen(lines: Iterable[str], delimiter: str) -> SignsSeen:
    """Look for these in the lines of a table, as far as they are needed."""
    is_tab = delimiter == "\t"
    has_quotes = has_escapes = False
    for line in lines:
        has_quotes = has_quotes or '"' in line
        if is_tab and not has_escapes and NULL in line:
            has_escapes = NULL in line.rstrip("\r\n").split("\t")
        if has_quotes and (has_escapes or not is_tab):
            break
    return SignsSeen(has_quotes, has_escapes)


def unescaped(text: str) -> str:
    r"""A text in which ``\n``, ``\t`` and the like are what they stand for; any other sign after a backslash itself."""
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text) if "\\" in text else text
