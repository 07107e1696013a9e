"""JSON objects that hold no rows as they are: what each looks like, and how rows come of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_APART: Final = {
    "annotatable": ("tagtog's ann.json", "export the whole project as entitiestsv or CoNLL"),
    "assets": ("Azure's labels", "its documents are files of their own; write rows of a text and its spans"),
    "%FEATURE_STRUCTURES": ("a UIMA CAS", "export CoNLL or WebAnno TSV 3, which INCEpTION offers too"),
}
"""A name that only one tool's objects have: what it is, and what to export instead."""
_FIELDS: Final = frozenset(
    {"text", "label", "labels", "sentence", "question", "context", "answer", "answer_text", "id", "tokens", "tags"}
)
"""Names of columns: lists under one of these are columns, and under other names may be texts of a class each."""
_SHOWN: Final = 4
_IN_COLUMNS: Final = (
    "its rows stand in columns, as pandas writes them: "
    "df.to_json('data.jsonl', orient='records', lines=True) writes rows."
)
_ROWS_OF_CLASSES: Final = "[{'text': t, 'label': k} for k, ts in d.items() for t in ts]"
_ROWS_BY_NAME: Final = "[{'id': k, **row} for k, row in d.items()]"
_ROWS_OF_THE_VIEWER: Final = "[each['row'] for each in d['rows']]"
_ROWS_OF_DROP: Final = (
    "[{'question': q['question'], 'context': p['passage'], 'answer_text': q['answer']['spans']} "
    "for p in d.values() for q in p['qa_pairs'] if q['answer']['spans']]"
)


def way_to_rows(document: Mapping[str, object], path: Path) -> str:
    """What a JSON object is that is not read, and how to have rows of it, in a sentence; empty if that is not known."""
    for name, (what, instead) in _APART.items():
        if name in document:
            return f"it looks like {what}, which is not read: {instead}."
    values = list(document.values())
    if _is_of_the_viewer(document):
        return (
            "it is what the hub's viewer gives, a few rows of a data set: name the data set itself "
            f"(--train OWNER/NAME), or make rows of these: {_code(_ROWS_OF_THE_VIEWER, path)}"
        )
    if values and all(map(_are_rows, values)):
        if len(values) == 1:
            (name,) = document
            return f"its list of rows stands under {name!r}: {_code(f'd[{name!r}]', path)}"
        return (
            f"it has a list of rows for each of {_listed(document)}: save each in a file of its own, and name them "
            "apart (--train, --validation)."
        )
    if are_columns(document):
        return _IN_COLUMNS
    if values and all(map(_are_texts, values)):
        way = f"if {_listed(document)} are labels with a list of texts each: {_code(_ROWS_OF_CLASSES, path)}"
        are_even = len({len(value) for value in values if isinstance(value, list)}) == 1
        return f"{way}; otherwise {_IN_COLUMNS}" if are_even else way
    if values and all(isinstance(value, dict) for value in values):
        return _of_objects(document, path)
    return ""


def are_columns(document: Mapping[str, object]) -> bool:
    """Whether it holds columns of one length, as pandas writes them: lists by name, or what has the rows' numbers."""
    if {"columns", "index", "data"} <= document.keys():
        return True
    values = list(document.values())
    first = values[0] if values else None
    if isinstance(first, dict):
        return are_numbered_columns(document)
    if not isinstance(first, list) or not all(isinstance(each, list) and len(each) == len(first) for each in values):
        return False
    return bool(_FIELDS & {name.lower() for name in document}) or not all(map(_are_texts, values))


def are_numbered_columns(document: Mapping[str, object]) -> bool:
    """Whether each value is a column as `DataFrame.to_json` writes it: an object by the numbers of the rows."""
    values = list(document.values())
    first = values[0] if values else None
    if not isinstance(first, dict) or not first or not all(str(name).isdecimal() for name in first):
        return False
    return all(isinstance(value, dict) and value.keys() == first.keys() for value in values)


def _of_objects(document: Mapping[str, object], path: Path) -> str:
    """How rows come of an object that holds objects alone: one that is a document itself, DROP's, or rows by name."""
    first = next(iter(document.values()))
    if isinstance(first, dict) and {"passage", "qa_pairs"} <= first.keys():
        return f"it looks like DROP; its questions whose answers are spans: {_code(_ROWS_OF_DROP, path)}"
    if len(document) == 1:
        ((name, inside),) = document.items()
        if isinstance(inside, dict) and any(isinstance(value, list) for value in inside.values()):
            return f"what it holds stands under {name!r}: {_code(f'd[{name!r}]', path)}"
    return f"it has a row for each of {_listed(document)}: {_code(_ROWS_BY_NAME, path)}"


def _is_of_the_viewer(document: Mapping[str, object]) -> bool:
    rows = document.get("rows")
    return (
        isinstance(rows, list)
        and bool(rows)
        and all(isinstance(e, dict) and {"row_idx", "row"} <= e.keys() for e in rows)
    )


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def _listed(document: Mapping[str, object]) -> str:
    names: Sequence[str] = list(map(str, document))
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _code(rows: str, path: Path) -> str:
    """A line to paste that writes these rows, in which ``d`` is what the file holds, to another file."""
    is_packed = path.suffix.lower() == ".gz"
    opened = "gzip.open(sys.argv[1], 'rt', " if is_packed else "open(sys.argv[1], "
    code = (
        f"import {'gzip, ' if is_packed else ''}json, sys; d = json.load({opened}encoding='utf-8-sig')); "
        f"json.dump({rows}, open(sys.argv[2], 'w', encoding='utf-8'))"
    )
    quoted = shlex.quote(code) if set(code) & set('"$`\\!') else f'"{code}"'
    stem = path.name.split(".json")[0]
    return f"python -c {quoted} {shlex.quote(str(path))} {shlex.quote(f'{stem}-rows.json')}"
