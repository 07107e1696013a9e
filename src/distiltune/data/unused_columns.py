"""Columns that nothing reads: named once a file, with what one may be meant for by its name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from distiltune.data.column_names import columns_text
from distiltune.data.row_findings import RowFinding

_SECOND_TEXTS: Final = frozenset(
    (
        *("textb", "text2", "secondtext", "sentence2", "sent2", "hypothesis", "context", "premise", "passage"),
        *("question", "question2", "response", "title", "target", "aspect", "query"),
    )
)
_CHOOSING: Final = frozenset(
    (
        *("status", "isdeleted", "deleted", "discarded", "iscorrect", "isvalid", "valid"),
        *("isapproved", "approved", "isactive"),
    )
)
_SPLITS: Final = frozenset(["split", "fold", "subset", "partition", "datasplit"])
_PARTS: Final = frozenset(["train", "training", "test", "dev", "val", "valid", "validation", "eval", "holdout"])
_BEGINNINGS: Final = ("start", "begin")
_SHOWN_COLUMNS: Final = 12
_SHOWN_VALUES: Final = 4
_SHOWN_CHARACTERS: Final = 60

SeenColumns = dict[str, dict[str, None] | None]
"""The columns of a file's flat rows; of those that may say which part a row is of, the first few values, else None."""


def note_columns(row: Mapping[str, object], seen: SeenColumns) -> None:
    """Add a row's columns to those seen."""
    if not row.keys() <= seen.keys():
        for name in row:
            seen.setdefault(name, {} if _plain(name) in _SPLITS else None)
    for name, values in seen.items():
        if values is not None and len(values) < _SHOWN_VALUES and row.get(name):
            values[str(row[name])] = None


def unused_findings(
    path: Path, seen: SeenColumns, used: Collection[str], second_text: tuple[str, str] | None
) -> list[RowFinding]:
    """What there is to say of a file's columns that the task does not read; nothing if it reads all.

    Args:
        path: of the file.
        seen: its columns.
        used: those that the task reads, as they are mapped.
        second_text: the field of a second text that ``--columns`` may map, and its column; None: there is none.

    """
    unused = [name for name in seen if name and name not in used]
    if not unused:
        return []
    more = f" and {len(unused) - _SHOWN_COLUMNS} more" if len(unused) > _SHOWN_COLUMNS else ""
    names = [name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…" for name in unused]
    said = [f"Columns not used: {', '.join(names[:_SHOWN_COLUMNS])}{more}."]
    seconds = [name for name in unused if _plain(name) in _SECOND_TEXTS]
    if seconds and second_text is not None and second_text[1] not in seen:
        way = f"--columns {columns_text({second_text[0]: seconds[0]})}"
        said.append(f"If `{seconds[0]}` is a second text to read with the first: {way}.")
    said += [
        f"`{name}`{_listed(seen[name] or ())} does not choose rows: all are read; those that you do not want, take out."
        for name in unused
        if _plain(name) in _CHOOSING or _PARTS & {_plain(each) for each in seen[name] or ()}
    ]
    findings = [RowFinding("decided", "columns_unused", str(path), "", " ".join(said))]
    if edges := _edges(unused):
        message = (
            f"`{edges[0]}` and `{edges[1]}` look like the place of an entity, one a row; they are not read, and what "
            "the row says is taken to be of the whole text."
        )
        findings.append(RowFinding("noted", "marks_one_a_row", str(path), "", message))
    return findings


def _edges(names: Iterable[str]) -> tuple[str, str] | None:
    """Two columns that say where something begins and ends, as ``begin_offset`` and ``end_offset``; None without."""
    plain = {_plain(name): name for name in names}
    for key, name in plain.items():
        for word in _BEGINNINGS:
            if word in key and (end := plain.get(key.replace(word, "end", 1))) is not None:
                return name, end
    return None


def _listed(values: Collection[str]) -> str:
    return f" ({', '.join(values)})" if values else ""


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))
