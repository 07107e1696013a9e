"""Rows as the usual data sets have them → questions with their choices and what says which is right.

SWAG's endings, RACE's articles with questions and options, choices with letters as CommonsenseQA and ARC have them,
columns with a choice each as in a table: what a row holds is told by its columns alone (`columns`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from distiltune.data.literals import literal
from distiltune.data.values import Problem, is_encodable, shown, text_problem
from distiltune.tasks.multiple_choice.columns import (
    CONTEXTS,
    LABELS,
    NAMES,
    QUESTIONS,
    TEXTS,
    ChoiceColumns,
    first_of,
    list_in,
    series_in,
)


@dataclass(frozen=True, slots=True)
class RawChoice:
    """A question of a row, its texts checked.

    Attributes:
        id: as the row has it.
        context: of the question; empty if there is none.
        question: empty if the choices go on from the context.
        choices: two or more.
        names: what the choices are called in the data, as letters or by their columns; none where nothing is said.
        label: what says which is right, as it was read; None if nothing does.
        label_column: the column that says it.
        has_numbers: whether a choice is a number in the data, and no text.

    """

    id: object
    context: str
    question: str
    choices: tuple[str, ...]
    names: tuple[str, ...]
    label: object
    label_column: str = ""
    has_numbers: bool = False


def questions_of(row: Mapping[str, object], columns: ChoiceColumns) -> Iterator[RawChoice | Problem]:
    """The questions in a row: one, or of an article with a list of them each."""
    if isinstance(row.get("questions"), list) and isinstance(row.get("options"), list):
        yield from _of_article(row, columns)
    else:
        yield _question(row, columns)


def _of_article(row: Mapping[str, object], columns: ChoiceColumns) -> Iterator[RawChoice | Problem]:
    """RACE's own files: lists of questions, of their options and of the right letters."""
    questions, options, answers = row["questions"], row["options"], row.get("answers")
    assert isinstance(questions, list)  # questions_of has looked
    assert isinstance(options, list)
    labels = answers if isinstance(answers, list) else [None] * len(questions)
    if not len(questions) == len(options) == len(labels):
        n = f"{len(questions)} questions, {len(options)} lists of options and {len(labels)} answers"
        yield Problem("questions_of_other_number", f"The article has {n}.")
        return
    for number, (question, choices, label) in enumerate(zip(questions, options, labels, strict=True)):
        row_id = f"{row.get(columns.id, 'article')}-{number}"
        rest = {name: value for name, value in row.items() if name in CONTEXTS}
        yield _question({**rest, "id": row_id, "question": question, "options": choices, "answer": label}, _PLAIN)


def columns_read(row: Mapping[str, object], columns: ChoiceColumns) -> set[str]:
    """Which of a row's columns `questions_of` reads."""
    if isinstance(row.get("questions"), list) and isinstance(row.get("options"), list):
        return {"questions", "options", "answers", columns.id, *(name for name in row if name in CONTEXTS)}
    question = columns.question or first_of(row, QUESTIONS)
    label = columns.label or first_of(row, [each for each in LABELS if each != question])
    listed = columns.choices or list_in(row)
    choices = listed.split("+") if "+" in listed and listed not in row else [listed] if listed else series_in(row)
    return {columns.context or first_of(row, CONTEXTS), question, label, columns.id, *choices}


_PLAIN = ChoiceColumns()


def _question(row: Mapping[str, object], columns: ChoiceColumns) -> RawChoice | Problem:
    context_column = columns.context or first_of(row, CONTEXTS)
    question_column = columns.question or first_of(row, QUESTIONS)
    texts = []
    for name, column in (("context", context_column), ("question", question_column)):
        value = row.get(column) if column else None
        problem = text_problem(value, name) if value not in (None, "") else None
        if problem is not None:
            return problem
        texts.append(value if isinstance(value, str) else "")
    if not any(texts):
        return Problem("question_missing", "There is neither a question nor a text before the choices.")
    found = _choices(row, columns)
    if isinstance(found, Problem):
        return found
    texts_of, names = found
    label_column = columns.label or first_of(row, [each for each in LABELS if each != question_column])
    has_numbers = any(not isinstance(each, str) for each in texts_of)
    label = row.get(label_column)
    choices = tuple(map(str, texts_of))
    return RawChoice(row.get(columns.id), texts[0], texts[1], choices, names, label, label_column, has_numbers)


_Choices = tuple[tuple[object, ...], tuple[str, ...]]
"""The choices, texts or numbers, and what they are called."""


def _choices(row: Mapping[str, object], columns: ChoiceColumns) -> _Choices | Problem:
    """The choices and what they are called, or what is wrong with them."""
    listed = columns.choices or list_in(row)
    names: Sequence[object] = ()
    if columns.choices and "+" in columns.choices and columns.choices not in row:
        names = columns.choices.split("+")
        values: object = [row.get(str(name)) for name in names]
    elif listed and listed in row:
        values = row[listed]
        values = literal(values) or values if isinstance(values, str) else values
    else:
        names = series_in(row)
        values = [row[str(name)] for name in names]
    n_cells = len(names)
    names = names if are_in_order(names) else ()
    if isinstance(values, Mapping):
        names, values = _of_object(values)
    if isinstance(values, list) and values and all(isinstance(each, Mapping) for each in values):
        names, values = _of_objects(values)
    if not isinstance(values, list | tuple) or (not values and not listed):
        return Problem("choices_missing", "There are no choices: a list of them, or a column for each.")
    given = list(values)
    while (
        (names or n_cells) and given and given[-1] in (None, "") and len(given) > 2
    ):  # a table's row with fewer than others
        given.pop()
    return _checked(given, [str(name) for name in names][: len(given)])


def are_in_order(names: Sequence[object]) -> bool:
    """Whether names of columns can be names of choices: numbers only from 0 or 1 on, as others only number columns."""
    numbers = [int(name) for name in map(str, names) if name.isdecimal()]
    return not numbers or numbers in (list(range(len(names))), list(range(1, len(names) + 1)))


def _of_object(value: Mapping[object, object]) -> tuple[Sequence[object], object]:
    """Names and texts in an object: the hub's ``{"label": ["A", ...], "text": [...]}``, or ``{"A": "...", ...}``."""
    texts = value.get("text")
    if isinstance(texts, list):
        labels = value.get("label")
        return labels if isinstance(labels, list) else (), texts
    return list(value), list(value.values())


def _of_objects(values: Sequence[Mapping[str, object]]) -> tuple[Sequence[object], Sequence[object]]:
    """Names and texts of ``[{"label": "A", "text": "..."}, ...]``; what is not each one's own is no name."""
    named = ([str(each[key]).strip() for each in values] for key in NAMES if all(key in each for each in values))
    names = next((found for found in named if all(found) and len(set(found)) == len(found)), ())
    text = next((key for key in TEXTS if all(key in each for each in values)), "text")
    return names, [each.get(text) for each in values]


def _checked(values: Sequence[object], names: Sequence[str]) -> _Choices | Problem:
    if len(values) < 2:
        return Problem("choices_too_few", f"There is nothing to choose from: {shown(list(values))}.")
    for number, text in enumerate(values):
        is_number = isinstance(text, int | float) and not isinstance(text, bool)
        if not is_number and (not isinstance(text, str) or not text.strip() or not is_encodable(text)):
            return Problem("choice_not_text", f"The choice {number} is {shown(text)}, not text.")
    return tuple(values), tuple(names) if len(names) == len(values) else ()
