"""What is wrong with `--columns` where the task is not known yet, so that no task's own fields can say it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from distiltune.data.column_names import absent_column, columns_text, split_columns, unknown_field
from distiltune.data.files import format_suffix
from distiltune.data.unknown_files import has_remarks, name_with, words_and_tags
from distiltune.errors import RecipeError
from distiltune.tasks.entry import TaskEntry
from distiltune.tasks.table import TASKS

BY_NUMBER: Final = "--columns text=1,label=2"
"""How columns are named in a table without a header, for example."""


def check_fields(columns: str) -> None:
    """Check that some task knows all the fields that are mapped.

    Raises:
        RecipeError: if none does, naming the nearest field of any.

    """
    fields_of: dict[str, Mapping[str, str]] = {e.name: e.renamed("") for e in TASKS.values() if e.columns}
    every = {field: column for fields in fields_of.values() for field, column in fields.items()}
    mapped = dict(split_columns(columns))
    where = f"--columns {columns}"
    for name in mapped:
        if name not in every:
            raise unknown_field(name, every, where)
    if not any(mapped.keys() <= fields.keys() for fields in fields_of.values()):
        of = "; ".join(f"{task}: {', '.join(fields)}" for task, fields in fields_of.items())
        raise RecipeError(f"No task has all of these fields: {', '.join(mapped)}.", where=where, fix=of)


def check_seen(columns: str, seen: Collection[str], where: str, paths: Sequence[Path] = ()) -> None:
    """Check that the columns that are mapped are among those seen.

    Raises:
        DataError: if one is not, naming the nearest that is.

    """
    mapped = dict(split_columns(columns))
    for field, column in mapped.items():
        if column not in seen and not all(part in seen for part in column.split("+")):
            raise absent_column(field, mapped, seen, where, paths)


def ready_columns(columns: str, seen: Sequence[str], rows: Sequence[Mapping[str, object]] = ()) -> dict[str, str]:
    """The tasks whose rows these would be if their columns were mapped, each with the ``--columns`` that does it.

    Args:
        columns: what is mapped already.
        seen: the columns that there are.
        rows: the first ones; a column whose values are none of a field is not proposed for it.

    """
    found: dict[str, str] = {}
    for entry in TASKS.values():
        for kind in entry.columns:
            if mapped := _mapped(entry, kind, columns, seen, rows):
                found.setdefault(entry.name, f"--columns {columns_text(mapped)}")
    return found


def _mapped(
    entry: TaskEntry[Any], kind: Sequence[str], columns: str, seen: Sequence[str], rows: Sequence[Mapping[str, object]]
) -> dict[str, str]:
    """Each field of this kind of row with the column that it is called after or like; empty if one has none."""
    from distiltune.data.field_values import can_hold  # of a mistake alone

    mapped = dict(split_columns(columns))
    fields = entry.renamed("")
    plain = {"".join(filter(str.isalnum, name.casefold())): name for name in reversed(seen)}
    plain |= {name.casefold(): name for name in reversed(seen) if name.isalnum()}  # `Sentence` before `Sentence #`
    for field in kind:
        if field not in fields:  # a column of a form of its own, which nobody maps
            return {}
        if (own := mapped.get(field, fields[field])) in seen:
            if field not in mapped and not can_hold(field, [row.get(own) for row in rows]):
                return {}
            continue
        if field in mapped:
            return {}
        names = ("".join(filter(str.isalnum, name)) for name in (field, *entry.also_called.get(field, ())))
        there = (plain[name] for name in names if name in plain and plain[name] not in mapped.values())
        column = next((name for name in there if can_hold(field, [row.get(name) for row in rows])), "")
        if not column:
            return {}
        mapped[field] = column
    return mapped


def no_header_advice(no_header: bool, table: Path | None = None) -> str:
    """How a table whose first line is no header is read, to go on with in a message.

    Args:
        no_header: whether that was said already.
        table: the file, which is looked into: words with a tag each go by other fields than texts with a label.

    """
    tagged = words_and_tags(table) if table is not None else None
    if tagged is not None and table is not None and format_suffix(table) == ".tsv" and has_remarks(table):
        # a table has no remarks: only as .conll can such lines be passed over
        return f" {table.name} looks like words with a tag each and remarks: call it {name_with(table, '.conll')}."
    fields = BY_NUMBER if tagged is None else f"--columns word={tagged[0]},tag={tagged[1]}"
    if no_header:
        return f" Without a header columns go by number, as in {fields}."
    if tagged is not None and table is not None:
        name = f", or call it {name_with(table, '.conll')}" if format_suffix(table) == ".tsv" else ""
        return f" {table.name} looks like words with a tag each and has no header: --no-header {fields}{name}."
    return f" If the first line of a table is a row and no header: --no-header {fields}, or whichever they are."
