"""The columns of rows with choices: as `--columns` names them, and as the usual data sets do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from distiltune.data.column_names import parse_columns


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


def first_of(row: Mapping[str, object], names: Sequence[str]) -> str:
    """The first of these columns that the row has; empty if it has none."""
    return next((name for name in names if name in row), "")
