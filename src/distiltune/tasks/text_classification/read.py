"""Rows → examples: a text, perhaps a second one, and labels as names or numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distiltune.data.column_names import mapped_columns
from distiltune.data.file_form import AS_USUAL, FileForm
from distiltune.data.files import table_class_names
from distiltune.data.hub import Split
from distiltune.data.plain_rows import ACCEPTED, ANSWER
from distiltune.data.reading import Reading, ToRead, Use, need_gold, read_sources
from distiltune.data.row_findings import RowFinding
from distiltune.data.rows import BadRow, Row
from distiltune.data.tag_schemes import looks_like_tags
from distiltune.data.values import (
    Problem,
    generated_id,
    gold_ignored,
    id_problem,
    id_text,
    rejected,
    sample_weight,
    shown,
    text_problem,
    weights_told,
)
from distiltune.errors import DataError
from distiltune.tasks.text_classification.bit_columns import bit_columns, plain_columns, way_to_name_bits
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.examples import TextExample, TextSet
from distiltune.tasks.text_classification.label_cells import (
    Cell,
    LabelForm,
    LabelSettings,
    cell_of,
    decide,
    labels_of_cell,
    rows_in_text,
)
from distiltune.tasks.text_classification.text_layouts import flat_row

_GOLD = ("label", "labels")
"""Fields whose columns a prediction does not need."""
_TO_TRAIN = ("sample_weight",)
"""Those that only a training needs."""


_MANY_TAGGED = 0.5
_DOUBTFUL = frozenset({"label_not_parted", "labels_by_number", "labels_not_read"})
"""Kinds of decisions that are for a person to look at."""


def read_texts(
    sources: Sequence[str | Path],
    split: Split,
    columns: TextColumns,
    max_rejected_share: float,
    use: Use = "training",
    labels: LabelSettings = LabelSettings(),  # noqa: B008 (frozen)
    form: FileForm = AS_USUAL,
) -> TextSet:
    """Read the texts of one split from all sources, in order, as `read_sources` does.

    Where no row has a label at all, every example's ``gold`` is None; where some do, a row without one is rejected. For
    a prediction the ``gold`` of each row without a label that can be used is None, and any number of rows may be
    rejected.

    Raises:
        DataError: if a source cannot be read, more rows than allowed are unusable, or none has gold to evaluate with.
        HubError: if a data set on the hub cannot be fetched.

    """
    unneeded = (*(_GOLD if use == "prediction" else ()), *(_TO_TRAIN if use != "training" else ()))
    mapped = mapped_columns(columns, without=unneeded)
    reading: Reading[TextExample] = Reading(form=form, mapped=mapped, second_text=("pair", columns.pair))
    reading.used.update(columns.all if use == "training" else ())
    read = read_sources(
        ToRead(
            sources,
            split,
            f"data/text_classification/{split}.jsonl",
            {"text": columns.text},
            max_rejected_share if use != "prediction" else 1.0,
        ),
        reading,
        lambda path: _read_file(path, columns, labels, reading, use),
    )
    if use != "evaluation":
        return read
    return need_gold(read, lambda example: example.gold is not None, f"{columns.label!r} or {columns.labels!r}")


@dataclass(frozen=True, slots=True)
class _Unlabelled:
    """A row whose text can be used, and what it has for a label; None: nothing.

    ``other`` is what stands in the second column of labels, where both have some; ``weight`` is of the row in the
    training loss, if it says so.
    """

    row: Row
    text: str
    pair: str | None
    cell: Cell | None
    other: Cell | None = None
    weight: float | None = None


def _read_file(
    path: Path, columns: TextColumns, settings: LabelSettings, reading: Reading[TextExample], use: Use
) -> None:
    """Add all rows of a file to ``reading``: their texts one by one, their labels once all of them are known."""
    decided: dict[str, str] = {}
    rows: list[_Unlabelled] = []
    for row in reading.rows(path):
        reading.findings.count_row()
        found = _text_of_row(row, columns, settings, reading, decided)
        if isinstance(found, _Unlabelled) and use == "training":
            found = _weighed(found, columns)
        if isinstance(found, RowFinding):
            reading.findings.add(found)
        else:
            rows.append(found)
    if use != "prediction":
        _check_one_source(rows, columns)
        _check_no_tags(rows, columns)
    names = _names_of_columns(rows, columns, decided)
    if names:
        reading.used.update(names if reading.used else ())
        rows = [replace(each, cell=_cell_of_columns(each.row, names)) for each in rows]
    else:
        cells = rows_in_text([each.cell for each in rows], settings)
        rows = _blanks_are_missing([replace(each, cell=cell) for each, cell in zip(rows, cells, strict=True)])
        classes = (table_class_names(path, column) for column in (columns.label, columns.labels))
        names = next(filter(None, classes), ())
    form = _decided(rows, names, settings, use, decided)
    if form is None:
        rows, form = [replace(each, cell=None) for each in rows], LabelForm(False, ())
    for kind, message in [*decided.items(), *form.decisions]:
        reading.findings.add(RowFinding("noted" if kind in _DOUBTFUL else "decided", kind, str(path), "", message))
    if use == "training" and any(each.weight is not None for each in rows):
        kind, message = weights_told(columns.sample_weight)
        reading.findings.add(RowFinding("decided", kind, str(path), "", message))
    if rows and all(each.cell is None for each in rows) and "labels_not_read" not in decided:
        message = f"No row has {columns.label!r} or {columns.labels!r}: there is nothing to compare with."
        if len(bits := bit_columns([each.row.value for each in rows])) > 1:
            message += f" The columns {', '.join(bits)} hold 0 and 1: as labels {way_to_name_bits(bits)}."
        reading.findings.add(RowFinding("noted", "no_label_column", str(path), "", message))
        use = "prediction"
    for each in rows:
        result = _labelled(each, columns, form, reading, use)
        if isinstance(result, RowFinding):
            reading.findings.add(result)
        else:
            reading.examples.append(result)


def _decided(
    rows: Sequence[_Unlabelled], names: Sequence[str], settings: LabelSettings, use: Use, decided: dict[str, str]
) -> LabelForm | None:
    """How a file's labels are to be understood; None where that cannot be told and a prediction needs none."""
    try:
        return decide([each.cell for each in rows if each.cell is not None], names, settings)
    except DataError as error:
        if use != "prediction":
            raise
        decided["labels_not_read"] = f"{error.what} There is nothing to compare with."
        return None


def _text_of_row(
    row: Row | BadRow,
    columns: TextColumns,
    settings: LabelSettings,
    reading: Reading[TextExample],
    decided: dict[str, str],
) -> _Unlabelled | RowFinding:
    """The row's texts, and what it has for labels; adds to ``decided`` how its layout was understood."""
    if isinstance(row, BadRow):
        return rejected("row_unreadable", row.where, None, f"The row {row.reason}")
    reading.columns_seen = reading.columns_seen or tuple(map(str, row.value))
    if row.told:
        decided.setdefault("form_read", row.decision)
    flat = flat_row(row, columns)
    if isinstance(flat, RowFinding):
        return flat
    if flat.decision is not None:
        decided.setdefault(*flat.decision)
        reading.used.update(row.value if reading.used else ())
    elif row.value.get(ANSWER) == ACCEPTED and reading.used:
        reading.used.add(ANSWER)
    return _text_of(flat.row, columns, settings)


def _weighed(each: _Unlabelled, columns: TextColumns) -> _Unlabelled | RowFinding:
    """The row with its weight, or the finding that this cannot be used."""
    weight = sample_weight(each.row.value, columns.sample_weight)
    if isinstance(weight, Problem):
        return rejected(weight.kind, each.row.where, each.row.value.get(columns.id), weight.message)
    return replace(each, weight=weight)


def _names_of_columns(rows: Sequence[_Unlabelled], columns: TextColumns, decided: dict[str, str]) -> tuple[str, ...]:
    """The columns of 0 and 1 that hold the labels, named or plain to see; none if labels are held otherwise."""
    if not rows:
        return ()
    named = _parts(columns.labels, rows[0].row)
    if named or any(each.cell is not None for each in rows):
        return tuple(named)
    plain = plain_columns([each.row.value for each in rows], columns)
    if plain:
        decided["label_columns"] = (
            f"The columns {', '.join(plain)} hold 0 and 1 and are read as labels, any number a text; for others: "
            f"--columns labels={'+'.join(plain[:2])}."
        )
    return plain


def _text_of(row: Row, columns: TextColumns, settings: LabelSettings) -> _Unlabelled | RowFinding:
    """The row's texts, checked, and its label as it is."""
    value = row.value
    text, pair, row_id = value.get(columns.text), value.get(columns.pair), value.get(columns.id)
    problem = text_problem(text, "text") or (pair is not None and text_problem(pair, "text_pair")) or id_problem(row_id)
    if problem:
        return rejected(problem.kind, row.where, row_id, problem.message)
    assert isinstance(text, str)  # text_problem has looked
    assert pair is None or isinstance(pair, str)
    names = dict.fromkeys((columns.label, columns.labels))
    found = [cell_of(value.get(name), settings, row.where, many=name == columns.labels) for name in names]
    cells = [cell for cell in found if cell is not None]
    given = [cell for cell in cells if cell.values] or cells
    return _Unlabelled(row, text, pair, given[0] if given else None, given[1] if len(given) > 1 else None)


def _check_one_source(rows: Sequence[_Unlabelled], columns: TextColumns) -> None:
    """Refuse a file whose two columns of labels say different things: either may be meant."""
    differing = [
        (each.cell, each.other)
        for each in rows
        if each.cell is not None and each.other is not None
        if set(map(str, each.cell.values)) != set(map(str, each.other.values))
    ]
    if differing:
        cell, other = differing[0]
        raise DataError(
            f"The columns {columns.label!r} and {columns.labels!r} do not agree in {len(differing):,} of "
            f"{len(rows):,} rows, the first time with {shown(list(cell.values))} and {shown(list(other.values))}.",
            where=cell.where,
            fix=f"take one of the two out, or say which counts: --columns labels={columns.label} or "
            f"--columns label={columns.labels}.",
        )


def _check_no_tags(rows: Sequence[_Unlabelled], columns: TextColumns) -> None:
    """Refuse a file whose labels are a tag for each word of the text."""
    counts: Counter[str] = Counter()
    tagged = []
    for each in rows:
        values = each.cell.values if each.cell is not None else ()
        values = tuple(values[0].split()) if len(values) == 1 and isinstance(values[0], str) else values
        if len(values) > 1 and len(values) == len(each.text.split()) and all(isinstance(tag, str) for tag in values):
            counts.update(map(str, values))
            tagged.append(each)
    if tagged and len(tagged) > _MANY_TAGGED * len(rows) and looks_like_tags(counts):
        column = columns.label if columns.label in tagged[0].row.value else columns.labels
        raise DataError(
            f"The labels of {len(tagged):,} of {len(rows):,} texts are a tag for each word, as those of "
            f"{shown(tagged[0].text)}.",
            where=tagged[0].row.where,
            fix=f"mark the words: --task token-classification --columns text={columns.text},tags={column}",
        )


def _labelled(
    each: _Unlabelled, columns: TextColumns, form: LabelForm, reading: Reading[TextExample], use: Use
) -> TextExample | RowFinding:
    """The example with its labels, or the finding that rejects it."""
    row_id, where = each.row.value.get(columns.id), each.row.where
    wanted = id_text(row_id) or generated_id(each.text, each.pair or "")
    gold = None if each.cell is None else labels_of_cell(each.cell, form)
    if each.cell is None and use != "prediction":
        return rejected("label_missing", where, row_id, "There is no label.")
    if isinstance(gold, Problem) and use != "prediction":
        return rejected(gold.kind, where, row_id, gold.message)
    if isinstance(gold, Problem):
        reading.findings.add(gold_ignored(gold.kind, where, row_id, gold.message))
        gold = None
    unique = reading.unique_id(row_id, wanted, where)
    places = form.names if form.hot and gold is not None else ()
    weight = 1.0 if each.weight is None else each.weight
    return TextExample(unique, each.text, each.pair, gold, places, where, weight)


def _parts(column: str, row: Row) -> list[str]:
    """The columns that ``toxic+insult`` names, if there is no column of just this name; else none."""
    return column.split("+") if "+" in column and column not in row.value else []


def _cell_of_columns(row: Row, names: Sequence[str]) -> Cell | None:
    """One value of each of these columns; None if the row has none of them."""
    values = tuple(row.value.get(name) for name in names)
    return None if all(value is None for value in values) else Cell(values, "columns", False, row.where)


def _blanks_are_missing(rows: list[_Unlabelled]) -> list[_Unlabelled]:
    """Where no row has a list, a blank cell is a label that is missing, not a text without labels."""
    cells = [row.cell for row in rows if row.cell is not None and row.cell.values]
    if not cells or any(cell.form != "one" for cell in cells):
        return rows
    return [replace(row, cell=None) if row.cell is not None and not row.cell.values else row for row in rows]
