"""The columns of rows with choices: as `--columns` names them, and as the usual data sets do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from distiltune.data.column_names import parse_columns
from distiltune.tasks.entry import FirstRows


@dataclass(frozen=True, slots=True)
class ChoiceColumns:
    """What the columns are called: each field names the column that holds it; empty: as the row shows.

    Attributes:
        context: the text that the question is about.
        question: the question, or the beginning that the choices end.
        choices: a list of texts; or ``A+B+C+D``: these columns, a choice each.
        label: the right choice: its number, its letter or its text.
        id: of the row.

    """

    context: str = ""
    question: str = ""
    choices: str = ""
    label: str = ""
    id: str = "id"

    @staticmethod
    def parse(text: str) -> ChoiceColumns:
        """Read ``question=q,choices=A+B+C,label=right``; raises `RecipeError` as `parse_columns` says."""
        return parse_columns(ChoiceColumns, text)


CONTEXTS: Final[Sequence[str]] = ("context", "article", "passage", "sent1", "premise", "ctx", "sentence")
QUESTIONS: Final[Sequence[str]] = ("question", "sent2", "question_stem", "goal")
LISTS: Final[Sequence[str]] = ("choices", "options", "endings")
LABELS: Final[Sequence[str]] = ("label", "answer", "answerKey", "answer_idx", "correct_answer", "correct", "gold")
NAMES: Final[Sequence[str]] = ("label", "key", "id", "letter", "choice_id", "option_id")
"""What an object that is a choice calls its name."""
TEXTS: Final[Sequence[str]] = ("text", "content", "value", "choice", "option", "answer")
"""What it calls its text."""
_NAMES: Final = ("ending", "choice", "option", "answer", "sol")
SERIES: Final[Sequence[Sequence[str]]] = (
    *(tuple(f"{name}{sign}{i}" for i in range(10)) for name in _NAMES for sign in ("", "_")),
    *(tuple(f"{name}{sign}{i}" for i in range(1, 11)) for name in _NAMES for sign in ("", "_")),
    *(tuple(f"{name}{letter}" for letter in "ABCDEFGHIJ") for name in ("", "answer", "option", "option_")),
    tuple("abcdefghij"),
)
"""Columns with a choice each, of which a row has the first two or more."""

KINDS: Final[Sequence[tuple[str, ...]]] = (
    *(("question", "choices"), ("question", "options"), ("sent1", "sent2", "ending0"), ("goal", "sol1", "sol2")),
    *(("ctx", "endings"), ("question_stem", "choices"), ("article", "questions", "options")),
)
"""The columns of the commonest kinds of rows."""


def has_choices(names: Iterable[str]) -> bool:
    """Whether rows with these columns ask something and have choices to it."""
    row = dict.fromkeys(names)
    if not first_of(row, QUESTIONS) and not first_of(row, CONTEXTS):
        return False
    series = series_in(row)
    if series and series[0].startswith("answer"):  # several right answers are in such columns too
        return "label" in row
    return bool(series) or bool(first_of(row, LISTS))


def series_in(row: Iterable[str]) -> tuple[str, ...]:
    """The columns of the row that hold a choice each, as far as they follow each other; none if there are not two."""
    names = set(row)
    for series in SERIES:
        n = next((i for i, name in enumerate(series) if name not in names), len(series))
        if n > 1:
            return tuple(series[:n])
    return ()


def list_in(row: Mapping[str, object]) -> str:
    """The column of the row that lists its choices: of the usual names, or ``answers`` that are several texts."""
    answers = row.get("answers")
    is_choices = isinstance(answers, list) and len(answers) > 1 and all(isinstance(each, str) for each in answers)
    return first_of(row, LISTS) or ("answers" if is_choices and not series_in(row) else "")


def has_right_answers(names: Iterable[str], rows: FirstRows) -> bool:
    """Whether rows have ``answers`` of which ``label`` says the right one, as ReClor's do.

    Rows of questions on a text may have both columns too: there ``answers`` are all right, in any number, or an object.

    Args:
        names: the columns.
        rows: the first rows, which are read only if their values are asked for.

    """
    seen = dict.fromkeys(names)
    if not {"answers", "label"} <= seen.keys() or not (first_of(seen, QUESTIONS) or first_of(seen, CONTEXTS)):
        return False
    found = [row for row in rows() if row.get("label") is not None]
    return bool(found) and all(_says_which(row) for row in found) and len({_n_answers(row) for row in found}) == 1


def _n_answers(row: Mapping[str, object]) -> int:
    answers = row.get("answers")
    return len(answers) if isinstance(answers, list) else 0


def _says_which(row: Mapping[str, object]) -> bool:
    n, label = _n_answers(row), str(row["label"]).strip()
    is_place = (label.isdecimal() and int(label) <= n) or (len(label) == 1 and label.upper() in "ABCDEFGHIJ"[:n])
    return list_in(row) == "answers" and is_place


def first_of(row: Mapping[str, object], names: Sequence[str]) -> str:
    """The first of these columns that the row has; empty if it has none."""
    return next((name for name in names if name in row), "")
