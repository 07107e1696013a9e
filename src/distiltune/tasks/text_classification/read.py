"""Rows → examples: a text, perhaps a second one, and labels as names or numbers."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from distiltune.data.column_names import mapped_columns
from distiltune.data.file_form import AS_USUAL, FileForm
from distiltune.data.files import table_class_names
from distiltune.data.held import holds_documents
from distiltune.data.hub import Split
from distiltune.data.kept_reading import Keeping
from distiltune.data.plain_rows import ACCEPTED, ANSWER
from distiltune.data.reading import Reading, ToRead, Use, need_gold, read_sources
from distiltune.data.row_findings import RowFinding
from distiltune.data.rows import BadRow, Row, told_in_full
from distiltune.data.stored import Growing
from distiltune.data.values import (
    Problem,
    generated_id,
    gold_ignored,
    id_problem,
    id_text,
    rejected,
    sample_weight,
    text_problem,
    weights_told,
)
from distiltune.errors import DataError
from distiltune.tasks.text_classification.bit_columns import bit_columns, plain_columns, way_to_name_bits
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.examples import TEXT_FORM, TextExample, TextSet
from distiltune.tasks.text_classification.label_cells import (
    Cell,
    LabelForm,
    LabelSettings,
    blanks_are_missing,
    cell_of,
    decide,
    labels_of_cell,
    lists_in_brackets,
    rows_in_text,
)
from distiltune.tasks.text_classification.text_layouts import flat_row
from distiltune.tasks.text_classification.unlabelled import NO_CELL, CellKinds, Unlabelled, UnlabelledFile

_GOLD = ("label", "labels")
"""Fields whose columns a prediction does not need."""
_TO_TRAIN = ("sample_weight",)
"""Those that only a training needs."""


_DOUBTFUL = frozenset({"label_not_parted", "labels_by_number", "labels_not_read", "many_without_labels"})
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
    second = ("pair", columns.pair)
    reading = Reading[TextExample](form=form, mapped=mapped, second_text=second, grown=Growing(TEXT_FORM))
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
        Keeping({"split": split, "use": use, **_as_values(columns, labels, form)}, form=TEXT_FORM),
    )
    if use != "evaluation":
        return read
    return need_gold(read, lambda example: example.gold is not None, f"{columns.label!r} or {columns.labels!r}")


def _as_values(columns: TextColumns, labels: LabelSettings, form: FileForm) -> dict[str, object]:
    """What reading depends on, for the cache."""
    return {"columns": asdict(columns), "labels": asdict(labels), "form": asdict(form)}


def _read_file(
    path: Path, columns: TextColumns, settings: LabelSettings, reading: Reading[TextExample], use: Use
) -> None:
    """Add all rows of a file to ``reading``: their texts one by one, their labels once all of them are known."""
    file = UnlabelledFile(columns)
    for row in reading.rows(path):
        reading.findings.count_row()
        if (finding := _add_row(row, settings, reading, file, use)) is not None:
            reading.findings.add(finding)
    reading.columns[path].update(file.questions)
    if use != "prediction":
        file.check()
    rows, kind_of, decided = file.rows.done(), array("q"), file.decided
    names = _names_of_columns(rows, file)
    if names:
        reading.used.update(names if reading.used else ())
        file.kinds = CellKinds()
        kind_of.extend(file.kinds.number_of(_cell_of_columns(each, names)) for each in rows)
    cells: list[Cell | None] = [*file.kinds.cells()]
    if not names:
        cells = blanks_are_missing(rows_in_text(lists_in_brackets(cells, settings), settings), settings)
        classes = (table_class_names(path, column) for column in (columns.label, columns.labels))
        names = next(filter(None, classes), ())
    form = _decided([cell for cell in cells if cell is not None], names, settings, use, decided)
    if form is None:
        cells, form = [None] * len(cells), LabelForm(False, ())
    forms = [("form_read", message) for message in told_in_full(file.told)]
    for kind, message in [*forms, *decided.items(), *form.decisions]:
        reading.findings.add(RowFinding("noted" if kind in _DOUBTFUL else "decided", kind, str(path), "", message))
    if use == "training" and file.is_weighed:
        kind, message = weights_told(columns.sample_weight)
        reading.findings.add(RowFinding("decided", kind, str(path), "", message))
    if len(rows) and all(cell is None for cell in cells) and "labels_not_read" not in decided:
        if not holds_documents(path):
            message = f"No row has {columns.label!r} or {columns.labels!r}: there is nothing to compare with."
            if len(bits := bit_columns(each.row or {} for each in rows)) > 1:
                message += f" The columns {', '.join(bits)} hold 0 and 1: as labels {way_to_name_bits(bits)}."
            reading.findings.add(RowFinding("noted", "no_label_column", str(path), "", message))
        use = "prediction"
    form = replace(form, unsaid=any(cell is None for cell in cells))
    golds = [None if cell is None else labels_of_cell(cell, form) for cell in cells]
    for each, kind_number in zip(rows, kind_of or (each.kind for each in rows), strict=True):
        result = _labelled(each, golds[kind_number] if kind_number != NO_CELL else None, form, reading, use)
        if isinstance(result, RowFinding):
            reading.findings.add(result)
        else:
            reading.add(result)


def _decided(
    cells: Sequence[Cell], names: Sequence[str], settings: LabelSettings, use: Use, decided: dict[str, str]
) -> LabelForm | None:
    """How a file's labels are to be understood; None where that cannot be told and a prediction needs none."""
    try:
        return decide(cells, names, settings)
    except DataError as error:
        if use != "prediction":
            raise
        decided["labels_not_read"] = f"{error.what} There is nothing to compare with."
        return None


def _add_row(
    row: Row | BadRow, settings: LabelSettings, reading: Reading[TextExample], file: UnlabelledFile, use: Use
) -> RowFinding | None:
    """Add a row's texts to the file, and what it has for labels; the finding that rejects it, if it cannot be used."""
    if isinstance(row, BadRow):
        return rejected("row_unreadable", row.where, None, f"The row {row.reason}")
    reading.columns_seen = reading.columns_seen or tuple(map(str, row.value))
    if row.told:
        file.told[row.decision] = None
    flat = flat_row(row, file.columns)
    if isinstance(flat, RowFinding):
        return flat
    file.questions.update(dict.fromkeys(flat.questions))
    if flat.decision is not None:
        file.decided.setdefault(*flat.decision)
        reading.used.update(row.value if reading.used else ())
    elif row.value.get(ANSWER) == ACCEPTED and reading.used:
        reading.used.add(ANSWER)
    return _add_texts(flat.row, settings, file, use)


def _add_texts(row: Row, settings: LabelSettings, file: UnlabelledFile, use: Use) -> RowFinding | None:
    """Add the row's texts, checked, and its label as it is."""
    value, columns = row.value, file.columns
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
    weight = sample_weight(value, columns.sample_weight) if use == "training" else None
    if isinstance(weight, Problem):
        return rejected(weight.kind, row.where, row_id, weight.message)
    cell, other = given[0] if given else None, given[1] if len(given) > 1 else None
    kept = value if cell is None or not cell.values or "+" in columns.labels else None
    each = Unlabelled(row.where, row_id, text, pair, file.kinds.number_of(cell), weight, kept)
    file.add(each, value, cell, other)
    return None


def _names_of_columns(rows: Sequence[Unlabelled], file: UnlabelledFile) -> tuple[str, ...]:
    """The columns of 0 and 1 that hold the labels, named or plain to see; none if labels are held otherwise."""
    first = rows[0].row if rows else None
    if first is None:  # its label stands in the column for it, and no columns are named
        return ()
    named = _parts(file.columns.labels, first)
    if named or file.kinds.firsts:
        return tuple(named)
    plain = plain_columns((each.row or {} for each in rows), file.columns)
    if plain:
        file.decided["label_columns"] = (
            f"The columns {', '.join(plain)} hold 0 and 1 and are read as labels, any number a text; for others: "
            f"--columns labels={'+'.join(plain[:2])}."
        )
    return plain


def _labelled(
    each: Unlabelled, gold: tuple[str, ...] | Problem | None, form: LabelForm, reading: Reading[TextExample], use: Use
) -> TextExample | RowFinding:
    """The example with its labels, or the finding that rejects it."""
    row_id, where = each.row_id, each.where
    wanted = id_text(row_id) or generated_id(each.text, each.pair or "")
    if gold is None and use != "prediction":
        none = " If none applies, leave the cell empty or write an empty list." if form.several else ""
        if form.unsaid and each.kind != NO_CELL:
            none = " Its list is empty, and no text has several; if no label applies to it: --problem multi-label."
        return rejected("label_missing", where, row_id, f"There is no label.{none}")
    if isinstance(gold, Problem) and use != "prediction":
        return rejected(gold.kind, where, row_id, gold.message)
    if isinstance(gold, Problem):
        reading.findings.add(gold_ignored(gold.kind, where, row_id, gold.message))
        gold = None
    unique = reading.unique_id(row_id, wanted, where)
    places = form.names if form.hot and gold is not None else ()
    weight = 1.0 if each.weight is None else each.weight
    return TextExample(unique, each.text, each.pair, gold, places, where, weight)


def _parts(column: str, row: Mapping[str, object]) -> list[str]:
    """The columns that ``toxic+insult`` names, if there is no column of just this name; else none."""
    return column.split("+") if "+" in column and column not in row else []


def _cell_of_columns(each: Unlabelled, names: Sequence[str]) -> Cell | None:
    """One value of each of these columns; None if the row has none of them."""
    values = tuple((each.row or {}).get(name) for name in names)
    return None if all(value is None for value in values) else Cell(values, "columns", False, each.where)
