"""The names of columns as ``--columns`` maps them: reading the text of that flag, and what to say of a wrong one."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from distiltune.data.row_findings import RowFinding
from distiltune.errors import DataError, RecipeError

C = TypeVar("C")

_PART: Final = re.compile(
    r"""\s*(?P<name>[^=,"']*?)\s*=\s*
    (?:"(?P<double>(?:[^"]|"")*)"|'(?P<single>(?:[^']|'')*)'|(?P<plain>[^,]*?))
    \s*(?:,|$)""",
    re.VERBOSE,
)
_PLAIN: Final = re.compile(r"""[^\s,"'][^,]*""")
_TABLE: Final = re.compile(r"\.(csv|tsv)(\.gz)?(,|$)", re.IGNORECASE)
_CLOSE: Final = 0.55
_SHOWN_COLUMNS: Final = 30


def split_columns(text: str) -> list[tuple[str, str]]:
    """The fields and their columns in ``text=Review,label="Mood, today"``.

    A column whose name has a comma stands in quotation marks, in which one of its own is written twice.

    Raises:
        RecipeError: if a part maps no column, or a field or a column is named twice.

    """
    where = f"--columns {text}"
    pairs: list[tuple[str, str]] = []
    place = 0
    while place < len(text):
        found = _PART.match(text, place)
        if found is None:
            part = text[place:].partition(",")[0]
            if part.strip():
                raise _maps_nothing(part, pairs, where)
            place += len(part) + 1
            continue
        quoted = found["double"] is not None or found["single"] is not None
        column = (found["double"] or "").replace('""', '"') or (found["single"] or "").replace("''", "'")
        column = column if quoted else found["plain"]
        if not column or not found["name"]:
            raise _maps_nothing(found[0].rstrip(","), pairs, where)
        pairs.append((found["name"], column))
        place = found.end()
    for i, (what, flaw) in enumerate((("field", "is mapped twice"), ("column", "is mapped to two fields"))):
        names = [pair[i] for pair in pairs]
        for name in names:
            if names.count(name) > 1:
                raise RecipeError(f"The {what} {name!r} {flaw}.", where=where, fix="name it once.")
    return pairs


def parse_columns(kind: Callable[..., C], text: str) -> C:
    """Read ``question=q,context=passage`` into a record whose fields name columns; the others keep their defaults.

    Raises `RecipeError` for a field that does not exist, is named twice, or has no column, as `split_columns` does.
    """
    record: Any = kind
    fields = {each.name: str(each.default) for each in dataclasses.fields(record)}
    columns = dict(split_columns(text))
    for name in columns:
        if name not in fields:
            raise unknown_field(name, fields, where=f"--columns {text}")
    return kind(**columns)


def mapped_columns(columns: object, without: Collection[str] = ()) -> dict[str, str]:
    """The fields of a record of columns that are not as they are by default, each with its column.

    ``without`` are fields whose columns need not be there.
    """
    record: Any = columns
    return {
        each.name: getattr(record, each.name)
        for each in dataclasses.fields(record)
        if each.name not in without and getattr(record, each.name) != each.default
    }


def _maps_nothing(part: str, pairs: Sequence[tuple[str, str]], where: str) -> RecipeError:
    fix = "write field=column."
    if pairs and "=" not in part:
        field, column = pairs[-1]
        whole = columns_text({field: f"{column},{part}"})
        fix = f"write field=column; a column whose name has a comma in quotation marks: {whole}"
    return RecipeError(f"{part.strip()!r} maps no column.", where=where, fix=fix)


def columns_text(mapped: Mapping[str, str]) -> str:
    """What stands after ``--columns`` for this, as it is written in a shell."""
    text = mapping_text(mapped)
    return text if re.fullmatch(r"[\w.,=+/:@-]*", text) else "'" + text.replace("'", "'\\''") + "'"


def mapping_text(mapped: Mapping[str, str]) -> str:
    """This as `split_columns` reads it."""
    return ",".join(f"{field}={_quoted(column)}" for field, column in mapped.items())


def no_header(fields: Iterable[str]) -> str:
    """The flags for a table without a header, with numbers for these fields in the order of the columns."""
    return f"--no-header --columns {columns_text({name: str(i) for i, name in enumerate(fields, start=1)})}"


def _quoted(column: str) -> str:
    if _PLAIN.fullmatch(column) and column == column.strip():
        return column
    return '"' + column.replace('"', '""') + '"'


def nearest(name: str, names: Iterable[str]) -> str:
    """The one of these names that is meant by a mistyped one: up to case and signs, else the most alike; or empty."""
    plain: dict[str, str] = {}
    for each in names:
        plain.setdefault(_plain(each), each)
    if _plain(name) in plain:
        return plain[_plain(name)]
    close = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=_CLOSE)
    return plain[close[0]] if close else ""


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold())) or name


def unknown_field(name: str, fields: Mapping[str, str], where: str) -> RecipeError:
    """The error for a field that does not exist.

    Args:
        name: as it was written.
        fields: those that there are, each with the column that it has by default.
        where: for the message.

    """
    by_column = {column: field for field, column in fields.items()}
    meant = by_column.get(name) or nearest(name, fields) or by_column.get(nearest(name, by_column), "")
    asked = f"did you mean {meant!r}? " if meant else ""
    return RecipeError(f"There is no field {name!r} to map.", where=where, fix=f"{asked}Fields: {', '.join(fields)}.")


def absent_column(
    field: str, mapped: Mapping[str, str], seen: Collection[str], where: str, paths: Sequence[Path] = ()
) -> DataError:
    """The error for a column that no row has.

    Args:
        field: the field that it is mapped to.
        mapped: all fields that are mapped, each with its column.
        seen: the columns that there are.
        where: for the message.
        paths: the files, whose names of columns may stand further down, below a title.

    """
    column = mapped[field]
    names = list(map(str, seen))
    meant = nearest(column, [name for name in names if name not in mapped.values()])
    if not meant and column.isdecimal() and 0 < int(column) <= len(names):
        meant = names[int(column) - 1]
    way = f"did you mean --columns {columns_text({**mapped, field: meant})}? " if meant else ""
    if all(name.isdecimal() for name in mapped.values()) and _TABLE.search(where):
        # by number: what seem to be names may be the first row
        way = (
            f"if the first line is a row: --no-header --columns {columns_text(mapped)}; otherwise {way or 'name it. '}"
        )
    from distiltune.data.lines_below import has_title, lines_below  # of a mistake alone

    for path in paths:
        if column.isdecimal() and has_title(path) and (first := next(lines_below(path), None)) is not None:
            listed = ", ".join(first.fields[:_SHOWN_COLUMNS])
            way = (
                f"{path.name} begins with a line of one field, as a title is; delete the lines above line "
                f"{first.number} ({listed}), and leave --no-header out if that has the names. "
            )
            break
        below = next((line for line in lines_below(path) if column in line.fields), None)
        if below is not None:
            way = f"line {below.number} of {path.name} has it: delete the lines above it. {way}"
            break
    more = f" and {len(names) - _SHOWN_COLUMNS} more" if len(names) > _SHOWN_COLUMNS else ""
    return DataError(
        f"No row has the column {column!r}, which --columns names for {field}.",
        where=where,
        fix=f"{way}The columns are {', '.join(names[:_SHOWN_COLUMNS])}{more}.",
    )


def check_mapped(mapped: Mapping[str, str], seen: Mapping[Path, Mapping[str, None]]) -> list[RowFinding]:
    """Check that each column that was mapped is there; a finding for each file of several that lacks one.

    Args:
        mapped: field → column, as ``--columns`` says.
        seen: file → the columns of all its flat rows; nothing of a file without such.

    Raises:
        DataError: if no file has one, with the nearest that is there.

    """
    findings = []
    files = {path: columns for path, columns in seen.items() if columns}
    for field, column in mapped.items():
        lacking = [path for path, columns in files.items() if not _has(columns, column)]
        if lacking and len(lacking) == len(files):
            every = dict.fromkeys(name for columns in files.values() for name in columns)
            raise absent_column(field, mapped, every, ", ".join(map(str, files)), list(files))
        message = f"No row has the column {column!r}, which --columns names for {field}; rows of other files have."
        findings += [RowFinding("decided", "column_absent", str(path), "", message) for path in lacking]
    return findings


def _has(columns: Collection[str], column: str) -> bool:
    """Whether the column is there, or where it is several joined by ``+``, all of them."""
    return column in columns or ("+" in column and all(part.strip() in columns for part in column.split("+")))
