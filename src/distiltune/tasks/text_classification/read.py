"""Rows → examples: a text, perhaps a second one, and labels as names or numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from distiltune.data.files import iter_rows, parquet_class_names
from distiltune.data.findings import Finding
from distiltune.data.hub import Split
from distiltune.data.reading import (
    Problem,
    Reading,
    ReadSet,
    ToRead,
    Use,
    generated_id,
    gold_ignored,
    id_problem,
    id_text,
    need_gold,
    read_sources,
    rejected,
    shown,
    text_problem,
)
from distiltune.data.rows import BadRow, Row
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.examples import TextExample

LABELS_APART = "|"
"""What parts several labels in one cell of a table."""

TextSet = ReadSet[TextExample]


def read_texts(
    sources: Sequence[str | Path],
    split: Split,
    columns: TextColumns,
    max_rejected_share: float,
    use: Use = "training",
) -> TextSet:
    """Read the texts of one split from all sources, in order, as `read_sources` does.

    Where no row has a label at all, every example's ``gold`` is None; where some do, a row without one is rejected. For
    a prediction the ``gold`` of each row without a label that can be used is None.

    Raises:
        DataError: if a source cannot be read, more rows than allowed are unusable, or none has gold to evaluate with.
        HubError: if a data set on the hub cannot be fetched.

    """
    reading: Reading[TextExample] = Reading()
    read = read_sources(
        ToRead(sources, split, f"data/text_classification/{split}.jsonl", {"text": columns.text}, max_rejected_share),
        reading,
        lambda path: _read_file(path, columns, reading, use),
    )
    if use != "evaluation":
        return read
    return need_gold(read, lambda example: example.gold is not None, f"{columns.label!r} or {columns.labels!r}")


def _read_file(path: Path, columns: TextColumns, reading: Reading[TextExample], use: Use) -> None:
    names = {column: parquet_class_names(path, column) for column in (columns.label, columns.labels)}
    examples: list[TextExample] = []
    for row in iter_rows(path):
        reading.findings.count_row()
        if isinstance(row, BadRow):
            reading.findings.add(rejected("row_unreadable", row.where, None, f"The row {row.reason}"))
            continue
        reading.columns_seen = reading.columns_seen or tuple(map(str, row.value))
        result = _example_of(row, columns, names, reading, use)
        if isinstance(result, Finding):
            reading.findings.add(result)
        else:
            examples.append(result)
    if all(example.gold is None for example in examples):
        reading.examples += examples
        if examples:
            message = f"No row has {columns.label!r} or {columns.labels!r}: there is nothing to compare with."
            reading.findings.add(Finding("noted", "no_label_column", str(path), "", message))
        return
    for example in examples:
        if example.gold is None and use != "prediction":
            finding = rejected("label_missing", example.where, example.id, "There is no label.")
            reading.findings.add(finding)
        else:
            reading.examples.append(example)


def _example_of(
    row: Row, columns: TextColumns, names: Mapping[str, Sequence[str]], reading: Reading[TextExample], use: Use
) -> TextExample | Finding:
    value = row.value
    text, pair, row_id = value.get(columns.text), value.get(columns.pair), value.get(columns.id)
    gold: tuple[str, ...] | Problem | None = None
    listed = False
    problem = text_problem(text, "text") or (pair is not None and text_problem(pair, "text_pair")) or id_problem(row_id)
    if not problem:
        for column in (columns.label, columns.labels):
            if gold is None and value.get(column) is not None:
                listed = column == columns.labels or isinstance(value[column], list)
                gold = _labels(value[column], names[column], listed=listed)
        if isinstance(gold, Problem) and use == "prediction":
            reading.findings.add(gold_ignored(gold.kind, row.where, row_id, gold.message))
            gold = None
        problem = gold if isinstance(gold, Problem) else None
    if problem:
        return rejected(problem.kind, row.where, row_id, problem.message)
    assert isinstance(text, str)  # text_problem has looked
    assert pair is None or isinstance(pair, str)
    assert not isinstance(gold, Problem)
    wanted = id_text(row_id) or generated_id(text, pair or "")
    return TextExample(reading.unique_id(row_id, wanted, row.where), text, pair, gold, listed, row.where)


def _labels(value: object, names: Sequence[str], *, listed: bool) -> tuple[str, ...] | Problem | None:
    """The labels of a cell: one, or a list of them; None for an empty cell that can hold one."""
    if listed and isinstance(value, str):
        value = _parted(value)
    if not isinstance(value, list):
        found = _label(value, names)
        return (found,) if isinstance(found, str) and found else found or None
    labels = [_label(each, names) for each in value]
    problem = next((each for each in labels if isinstance(each, Problem)), None)
    return problem or tuple(sorted({str(label) for label in labels if label}))


def _parted(text: str) -> list[object]:
    """Labels written in one cell: as a JSON list, or parted by ``|``."""
    if text.startswith("["):
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if isinstance(value, list):
            return value
    return [part.strip() for part in text.split(LABELS_APART)]


def _label(value: object, names: Sequence[str]) -> str | Problem:
    """A label's name: text as it is, a number by its name or its digits; empty for an empty cell."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if names and not 0 <= value < len(names):
            return Problem("label_missing", f"The label is {value}, which stands for no label.")
        return names[value] if names else str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return Problem("label_not_a_number", f"The label is {value}, which is no number.")
        return repr(value)
    if not isinstance(value, str):
        return Problem("label_not_text", f"The label is {shown(value)}, neither text nor a number.")
    problem = text_problem(value, "label")
    return problem if problem and problem.kind == "label_not_encodable" else value.strip()
