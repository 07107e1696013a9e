"""What a file's first rows have in their columns, without the rest of it being read."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from distiltune.data.annotation_forms import rows_by_name
from distiltune.data.file_form import AS_USUAL, FileForm
from distiltune.data.files import format_suffix, iter_rows
from distiltune.data.plain_rows import ANSWER
from distiltune.data.rows import BadRow, Row
from distiltune.data.streams import MAX_JSON_BYTES, open_text, reading

_START_CHARACTERS = 1 << 16
_ROWS_NEAR_START = 32
_MOST_ROWS_LOOKED_AT = 10_000
_SAY_WHAT_IS_RIGHT = frozenset({"spans", "tags", "cats", "label", "labels", "answers", "choices"})
"""Columns of an annotation tool's row, made plain, that tell what it is for; one that was passed over has none."""
_JSON_MARK = re.compile(r"[ \t\n\r]*([\[{,:])[ \t\n\r]*")


def first_columns(
    path: Path, form: FileForm = AS_USUAL, is_enough: Callable[[list[str]], bool] = lambda columns: True
) -> list[str]:
    """The columns of a file's first rows, together.

    Nothing is read but the start of the file, as far as these rows go; and on from there, a few thousand rows at most,
    while the columns are not enough: the first rows may be those that nobody has marked. Empty if there is no row.
    Raises `DataError` as `iter_rows` does, if what is wrong is found so early.
    """
    if format_suffix(path) == ".json":
        with reading(path, form.encoding):
            columns = _columns_near_start(path, form, is_enough)
        if columns:
            return columns
    # what quotation marks are needs the whole file to be told, and hardly matters to names
    if form.quoting == "auto":
        quick = replace(form, quoting="none" if format_suffix(path) == ".tsv" else "csv", is_for_names=True)
        if columns := _columns_of_rows(path, quick, is_enough):
            return columns
    return _columns_of_rows(path, form, is_enough)


def first_rows(path: Path, form: FileForm = AS_USUAL) -> list[Row]:
    """The first rows of a file, 32 or fewer. Raises `DataError` as `iter_rows` does."""
    found = (row for row in iter_rows(path, form) if isinstance(row, Row) and row.value.keys() != {"header"})
    return list(itertools.islice(found, _ROWS_NEAR_START))


def bad_rows(path: Path, form: FileForm = AS_USUAL) -> list[BadRow]:
    """The first rows of a file that cannot be read, 32 or fewer. Raises `DataError` as `iter_rows` does."""
    return list(itertools.islice((row for row in iter_rows(path, form) if isinstance(row, BadRow)), _ROWS_NEAR_START))


def _columns_of_rows(path: Path, form: FileForm, is_enough: Callable[[list[str]], bool]) -> list[str]:
    """The columns of the first rows, and of more until they are enough."""
    # A line that tells of the file, as MRQA's begin, is no row.
    found = (row for row in iter_rows(path, form) if isinstance(row, Row) and row.value.keys() != {"header"})
    rows: list[Row] = []
    n_wanted = _ROWS_NEAR_START
    while True:
        rows += itertools.islice(found, n_wanted - len(rows))
        columns, is_sure = _names_of(rows)
        if len(rows) < n_wanted or (is_sure and is_enough(columns)) or n_wanted >= _MOST_ROWS_LOOKED_AT:
            return columns
        n_wanted *= 8


def _names_of(rows: Sequence[Row]) -> tuple[list[str], bool]:
    """The columns of rows, and whether some row says what it is for; of an annotation tool's those that do.

    A row in which nobody marked or chose anything may be of any task: it counts where no other says more.
    """
    holding = [row.value for row in rows if row.told and _holds_something(row.value)]
    telling = holding or [row.value for row in rows if row.told and _is_answered(row.value)]
    plain = [row.value for row in rows if not row.told]
    empty = [row.value for row in rows if row.told and _SAY_WHAT_IS_RIGHT & row.value.keys()]
    names = _names(telling or plain or empty or [row.value for row in rows[:1]])
    if telling and "label" in names and not any(row.get("spans") for row in telling):
        names = [name for name in names if name != "spans"]  # of the intents of a chatbot that knows no entities
    return names, bool(telling or plain)


def _holds_something(value: Mapping[str, object]) -> bool:
    return any(value.get(name) not in (None, "", [], {}) for name in _SAY_WHAT_IS_RIGHT)


def _is_answered(value: Mapping[str, object]) -> bool:
    """Whether a row, made plain, has columns of answers without a name that says what they are for."""
    return not _SAY_WHAT_IS_RIGHT & value.keys() and ANSWER not in value


def _names(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """The columns of rows of one form, of which one may show more than another: nobody has marked it yet.

    Marks that no row has are none, where the rows have categories. What stands in Label Studio's ``data`` is named with
    that before it, ``data.text``.
    """
    names: dict[str, None] = {}
    for row in rows:
        for name, value in row.items():
            if name == "data" and isinstance(value, dict) and "annotations" in row:
                names.update(dict.fromkeys(f"data.{each}" for each in value))
            else:
                names[str(name)] = None
    has_marks = any(row.get("spans") or _has_tags(row.get("tags")) for row in rows)
    return [name for name in names if name not in ("spans", "tags") or has_marks or "cats" not in names]


def _has_tags(tags: object) -> bool:
    return isinstance(tags, list) and any(tag not in ("O", None) for tag in tags)


def _columns_near_start(path: Path, form: FileForm, is_enough: Callable[[list[str]], bool]) -> list[str]:
    """The columns of the rows in a JSON document's first block, which grows until they are enough.

    Empty if there is none, or if the document has another form or is damaged, which `_iter_json` tells.
    """
    with open_text(path, newline="", max_bytes=MAX_JSON_BYTES, encoding=form.encoding) as stream:
        text = stream.read(_START_CHARACTERS)
        more, columns = text, list[str]()
        while more:
            rows: list[Row] = []
            with contextlib.suppress(ValueError, RecursionError):
                for row in _rows_of_start(text):
                    rows += _rows_that_tell(row, form)
            columns, is_sure = _names_of(rows)
            if columns and ((is_sure and is_enough(columns)) or len(rows) > _MOST_ROWS_LOOKED_AT):
                return columns
            more = stream.read(7 * len(text))
            text += more
    return columns


def _rows_that_tell(value: object, form: FileForm) -> list[Row]:
    """The rows that a value stands for, as they are plain; itself where none of these says what it is for."""
    plain = [Row(each.value, "", each.told) for each in rows_by_name(value, form.mapped)]
    telling = [row for row in plain if not row.told or _SAY_WHAT_IS_RIGHT & row.value.keys() or _is_answered(row.value)]
    if telling or not isinstance(value, dict):
        return telling
    return [Row(value, "", plain[0].told if plain else "")]  # of a tool's, those that say more go before it


def _rows_of_start(start: str) -> Iterator[object]:
    """The whole rows in the start of a JSON document; raises ValueError where they end or it is not JSON."""
    decode = json.JSONDecoder().raw_decode
    place, mark = 0, "{"
    in_object = start.lstrip().startswith("{")
    while in_object:
        name, place = decode(start, _after(mark, start, place))
        place, mark = _after(":", start, place), ","
        if name == "data":
            break
        _, place = decode(start, place)
    place = _after("[", start, place)
    while True:
        row, place = decode(start, place)
        yield row
        place = _after(",", start, place)


def _after(mark: str, text: str, place: int) -> int:
    """Where the text goes on after this mark, which must come next. Raises ValueError if it does not."""
    found = _JSON_MARK.match(text, place)
    if found is None or found[1] != mark:
        raise ValueError(f"no {mark} at {place}")
    return found.end()
