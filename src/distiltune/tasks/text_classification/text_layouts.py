"""Rows as annotation tools write them → flat rows of a text and its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from distiltune.data.annotators import refused
from distiltune.data.label_studio import marks_of, other_marks, results_of, submitted, whole_texts
from distiltune.data.plain_rows import ANSWER, by_person
from distiltune.data.row_findings import RowFinding
from distiltune.data.rows import Row
from distiltune.data.values import rejected
from distiltune.tasks.text_classification.columns import TextColumns

_MARKS_FIX: Final = "for marks in a text: --task token-classification"
_IN_TEXT: Final = "text"


@dataclass(frozen=True, slots=True)
class Flat:
    """A flat row, what was decided to get it: kind and sentence; and questions that `--columns` may name as columns."""

    row: Row
    decision: tuple[str, str] | None = None
    questions: tuple[str, ...] = ()


def flat_row(row: Row, columns: TextColumns) -> Flat | RowFinding:
    """The row as a flat one, or the finding that it is none."""
    value = row.value
    row_id = value.get(columns.id)
    if (columns.text in value or value.keys() == {ANSWER}) and (said := refused(value, row.where, row_id)):
        return said
    if isinstance(value.get("cats"), dict) and columns.label not in value:
        return _of_categories(row, "cats", columns)
    if _is_by_name(value.get(columns.label)):
        return _of_categories(row, columns.label, columns)
    if isinstance(value.get("data"), dict) and isinstance(value.get("annotations"), list):
        return _of_label_studio(row, columns)
    if columns.text in value and isinstance(value.get("accept"), list) and "options" in value:
        return _of_prodigy(row, value["accept"], value["options"], columns)
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
    # in the column of any number: that each is 0 says that none applies
    return Flat(_with(row, {columns.label: None, columns.labels: chosen}), decision)


def _of_prodigy(row: Row, accepted: Any, options: object, columns: TextColumns) -> Flat:
    """Prodigy's ``accept``: the ids of what was chosen; the texts of the ``options`` where the ids are numbers."""
    listed = options if isinstance(options, list) else []
    texts = {str(each.get("id")): each.get("text") for each in listed if isinstance(each, dict)}
    message = "The labels are those that the annotator chose (`accept`)"
    of_first = next((f", such as {key} for {text!r}" for key, text in texts.items() if str(text) != key), "")
    are_numbers = all(key.isdecimal() and isinstance(text, str) and text.strip() for key, text in texts.items())
    if are_numbers and {str(each) for each in accepted} <= texts.keys():
        named = [texts[str(each)] for each in accepted]
        told = f"{message}, by the texts of the `options`, as their ids are numbers{of_first}."
        return Flat(_with(row, {columns.label: named}), ("labels_of_choice", told))
    told = f"{message}, by the ids of the `options`{of_first}." if of_first else f"{message}."
    return Flat(_with(row, {columns.label: accepted}), ("labels_of_choice", told))


def _of_label_studio(row: Row, columns: TextColumns) -> Flat | RowFinding:
    """Label Studio's JSON: ``data`` with the text, ``annotations`` with what each person chose."""
    data: Any = row.value["data"]
    row_id = row.value.get(columns.id)
    texts = {name: value for name, value in data.items() if isinstance(value, str)}
    name = columns.text if columns.text in texts else next(iter(texts), "") if len(texts) == 1 else ""
    if not name and (kinds := [kind for each in submitted(row.value) for kind in other_marks(each)]):
        message = f"The task has marks of a kind that is not read ({', '.join(sorted(set(kinds)))}), and no plain text."
        return rejected("text_missing", row.where, row_id, message)
    if not name:
        names = ", ".join(map(str, data)) or "no data"
        message = f"The task has {names}; which is the text is not said: --columns text=NAME."
        return rejected("text_missing", row.where, row_id, message)
    people = submitted(row.value)
    chosen = list(map(whole_texts, people))
    if not any(chosen) and (marked := [kind for each in people for kind in _marks(each)]):
        listed = ", ".join(sorted(set(marked)))
        way = _MARKS_FIX if listed == _IN_TEXT else f"marks of this kind ({listed}) are not read"
        return rejected("label_is_a_span", row.where, row_id, f"The task has marks and no choice: {way}.")
    questions = {question for each in chosen for question in each}
    if len(questions) > 1 and columns.label not in questions:
        message = f"There are choices of several kinds: --columns label=NAME, of {', '.join(sorted(questions))}."
        return rejected("label_ambiguous", row.where, row_id, message)
    question = columns.label if columns.label in questions else next(iter(questions), "")
    answers = [each.get(question, []) for each in chosen]
    if any(answer != answers[0] for answer in answers):
        return rejected("annotators_disagree", row.where, row_id, f"The annotators disagree: {answers!r:.200}.")
    shown = row.value.get(columns.text)  # of a page what it shows
    flat: dict[str, object] = {columns.text: shown if isinstance(shown, str) else texts[name], columns.id: row_id}
    if columns.pair in texts:
        flat[columns.pair] = texts[columns.pair]
    if answers:
        flat[columns.label] = answers[0]
    told = f"The text is `{name}` of each task, its labels what the annotators chose."
    if any("taxonomy" in value for each in people for value in _values(each)):
        told += " Of a taxonomy each path is a label, its parts joined by a slash."
    decision = ("labels_of_choice", told)
    return Flat(Row(flat, row.where), decision, tuple(sorted(questions)))


def _values(person: Mapping[str, object]) -> list[dict[str, object]]:
    """The values of one person's results."""
    return [value for result in results_of(person) if isinstance(value := result.get("value"), dict)]


def _marks(person: Mapping[str, object]) -> list[str]:
    """The kinds of marks that one person made."""
    return [_IN_TEXT for _ in marks_of(person)] + other_marks(person)


def _of_doccano(row: Row, annotations: list[object], columns: TextColumns) -> Flat | RowFinding:
    """doccano's older JSON lines: labels by number, whose names are not in the file."""
    if any(isinstance(each, dict) and "start_offset" in each for each in annotations):
        message = f"The row has marks in its text: {_MARKS_FIX}."
        return rejected("label_is_a_span", row.where, row.value.get(columns.id), message)
    people = [[each.get("label") for each in person] for person in by_person(annotations)]
    labels = people[0] if people else []
    if any(_as_set(each) != _as_set(labels) for each in people):
        message = f"The annotators disagree: {people!r:.200}."
        return rejected("annotators_disagree", row.where, row.value.get(columns.id), message)
    message = "The labels are doccano's numbers; export it with the labels' text to have their names."
    return Flat(_with(row, {columns.label: labels}), ("labels_by_number", message))


def _as_set(labels: list[object]) -> set[str]:
    return set(map(repr, labels))


def _with(row: Row, changes: Mapping[str, object]) -> Row:
    return Row({**row.value, **changes}, row.where)
