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
    LISTS,
    QUESTIONS,
    ChoiceColumns,
    first_of,
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

    """

    id: object
    context: str
    question: str
    choices: tuple[str, ...]
    names: tuple[str, ...]
    label: object


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
    listed = columns.choices or first_of(row, LISTS)
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
    found = _choices(row, columns, question_column)
    if isinstance(found, Problem):
        return found
    choices, names = found
    label_column = columns.label or first_of(row, [each for each in LABELS if each != question_column])
    return RawChoice(row.get(columns.id), texts[0], texts[1], choices, names, row.get(label_column))


def _choices(
    row: Mapping[str, object], columns: ChoiceColumns, question_column: str
) -> tuple[tuple[str, ...], tuple[str, ...]] | Problem:
    """The choices and what they are called, or what is wrong with them."""
    question = row.get(question_column)
    listed = columns.choices or first_of(row, LISTS)
    names: Sequence[object] = ()
    if columns.choices and "+" in columns.choices and columns.choices not in row:
        names = columns.choices.split("+")
        values: object = [row.get(str(name)) for name in names]
    elif listed and listed in row:
        values = row[listed]
        values = literal(values) or values if isinstance(values, str) else values
    elif isinstance(question, Mapping):
        values = question.get("choices")
    else:
        names = series_in(row)
        values = [row[str(name)] for name in names]
    if isinstance(values, Mapping):  # the hub's {"label": ["A", ...], "text": [...]}
        names, values = values.get("label") or (), values.get("text")
    if isinstance(values, list) and values and all(isinstance(each, Mapping) for each in values):
        names = [each.get("label", each.get("key", i)) for i, each in enumerate(values)]
        values = [each.get("text") for each in values]
    if not isinstance(values, list | tuple) or (not values and not listed):
        return Problem("choices_missing", "There are no choices: a list of them, or a column for each.")
    given = list(values)
    while names and given and given[-1] in (None, "") and len(given) > 2:  # a table's row with fewer than others
        given.pop()
    return _checked(given, [str(name) for name in names][: len(given)])


def _checked(values: Sequence[object], names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]] | Problem:
    texts = [str(each) if isinstance(each, int | float) and not isinstance(each, bool) else each for each in values]
    if len(texts) < 2:
        return Problem("choices_too_few", f"There is nothing to choose from: {shown(list(values))}.")
    for number, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip() or not is_encodable(text):
            return Problem("choice_not_text", f"The choice {number} is {shown(text)}, not text.")
    return tuple(map(str, texts)), tuple(names) if len(names) == len(texts) else ()
