"""Rows as annotation tools write them → flat rows of a text and its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from distiltune.data.annotators import refused
from distiltune.data.row_findings import RowFinding
from distiltune.data.rows import Row
from distiltune.data.values import rejected
from distiltune.tasks.text_classification.columns import TextColumns

_MARKS_FIX: Final = "for marks in a text: --task token-classification"


@dataclass(frozen=True, slots=True)
class Flat:
    """A flat row, and what was decided to get it: kind and sentence."""

    row: Row
    decision: tuple[str, str] | None = None


def flat_row(row: Row, columns: TextColumns) -> Flat | RowFinding:
    """The row as a flat one, or the finding that it is none."""
    value = row.value
    row_id = value.get(columns.id)
    if columns.text in value and (said := refused(value, row.where, row_id)):
        return said
    if isinstance(value.get("cats"), dict) and columns.label not in value:
        return _of_categories(row, "cats", columns)
    if _is_by_name(value.get(columns.label)):
        return _of_categories(row, columns.label, columns)
    if isinstance(value.get("data"), dict) and isinstance(value.get("annotations"), list):
        return _of_label_studio(row, columns)
    if columns.text in value and isinstance(value.get("accept"), list) and "options" in value:
        chosen = ("labels_of_choice", "The labels are those that the annotator chose (`accept`).")
        return Flat(_with(row, {columns.label: value["accept"]}), chosen)
    decision: tuple[str, str] | None = None
    if columns.text not in value and isinstance(value.get("data"), str):
        decision = ("text_in_data", "The text is taken from the column `data`, as doccano writes it.")
        row = _with(row, {columns.text: value["data"]})
    has_label = columns.label in value or columns.labels in value
    if value.get("spans") and not has_label:
        return rejected("label_is_a_span", row.where, row_id, f"The row has marks in its text: {_MARKS_FIX}.")
    annotations = value.get("annotations")
    if isinstance(annotations, list) and not has_label:
        return _of_doccano(row, annotations, columns)
    return Flat(row, decision)


def _is_by_name(value: object) -> bool:
    """Whether it is a number for each of several labels by its name."""
    return isinstance(value, dict) and len(value) > 1 and all(isinstance(each, int | float) for each in value.values())


def _of_categories(row: Row, name: str, columns: TextColumns) -> Flat | RowFinding:
    """Each label with 1 or 0, as spaCy's ``cats`` are, in the column ``name``."""
    categories: Any = row.value[name]
    for category, value in categories.items():
        if isinstance(value, str) or value not in (0, 1):
            message = f"The category {category!r} is {value!r}, neither 0 nor 1."
            return rejected("label_not_0_or_1", row.where, row.value.get(columns.id), message)
    chosen = [str(category) for category, value in categories.items() if value]
    decision = ("labels_of_cats", f"The labels are the categories in `{name}` that are 1.")
    return Flat(_with(row, {columns.label: chosen}), decision)


def _of_label_studio(row: Row, columns: TextColumns) -> Flat | RowFinding:
    """Label Studio's JSON: ``data`` with the text, ``annotations`` with what each person chose."""
    data: Any = row.value["data"]
    row_id = row.value.get(columns.id)
    texts = {name: value for name, value in data.items() if isinstance(value, str)}
    name = columns.text if columns.text in texts else next(iter(texts), "") if len(texts) == 1 else ""
    if not name:
        names = ", ".join(map(str, data)) or "no data"
        message = f"The task has {names}; which is the text is not said: --columns text=NAME."
        return rejected("text_missing", row.where, row_id, message)
    chosen = [each for each in map(_choices, _people(row.value["annotations"])) if each is not None]
    if any(each == _MARKS_FIX for each in chosen):
        return rejected("label_is_a_span", row.where, row_id, f"The task has marks in its text: {_MARKS_FIX}.")
    questions = {question for each in chosen if isinstance(each, dict) for question in each}
    if len(questions) > 1 and columns.label not in questions:
        message = f"There are choices of several kinds: --columns label=NAME, of {', '.join(sorted(questions))}."
        return rejected("label_ambiguous", row.where, row_id, message)
    question = columns.label if columns.label in questions else next(iter(questions), "")
    answers = [each.get(question, []) for each in chosen if isinstance(each, dict)]
    if any(answer != answers[0] for answer in answers):
        return rejected("annotators_disagree", row.where, row_id, f"The annotators disagree: {answers!r:.200}.")
    flat: dict[str, object] = {columns.text: texts[name], columns.id: row_id}
    if columns.pair in texts:
        flat[columns.pair] = texts[columns.pair]
    if answers:
        flat[columns.label] = answers[0]
    decision = ("labels_of_choice", f"The text is `{name}` of each task, its labels what the annotators chose.")
    return Flat(Row(flat, row.where), decision)


def _people(annotations: object) -> list[dict[str, Any]]:
    """What each person submitted."""
    each = annotations if isinstance(annotations, list) else []
    return [person for person in each if isinstance(person, dict) and not person.get("was_cancelled")]


def _choices(person: Mapping[str, Any]) -> dict[str, Any] | str | None:
    """What one person chose, by the name of the question; a sentence if it is marks in a text."""
    found: dict[str, Any] = {}
    results = person.get("result")
    for result in results if isinstance(results, list) else []:
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            continue
        if "start" in value and "end" in value:
            return _MARKS_FIX
        for kind in ("choices", "rating", "number"):
            if kind in value:
                found[str(result.get("from_name"))] = value[kind]
    return found


def _of_doccano(row: Row, annotations: list[object], columns: TextColumns) -> Flat | RowFinding:
    """doccano's older JSON lines: labels by number, whose names are not in the file."""
    labels = [each.get("label") for each in annotations if isinstance(each, dict)]
    if any(isinstance(each, dict) and "start_offset" in each for each in annotations):
        message = f"The row has marks in its text: {_MARKS_FIX}."
        return rejected("label_is_a_span", row.where, row.value.get(columns.id), message)
    message = "The labels are doccano's numbers; export it with the labels' text to have their names."
    return Flat(_with(row, {columns.label: labels}), ("labels_by_number", message))


def _with(row: Row, changes: Mapping[str, object]) -> Row:
    return Row({**row.value, **changes}, row.where)
