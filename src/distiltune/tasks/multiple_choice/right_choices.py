"""Which choice is right, as a file says it: by number from 0 or from 1, by letter, by its name, or by its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from distiltune.data.values import Problem, shown
from distiltune.tasks.multiple_choice.choice_rows import RawChoice

_LETTERS: Final = "abcdefghij"


@dataclass(frozen=True, slots=True)
class Counting:
    """Whether numbers count from 0 or from 1, and what to say of that; empty if there are no numbers."""

    first: int
    told: str = ""


def is_not_given(label: object) -> bool:
    """Whether nothing is said: absent, blank, or the -1 of test sets."""
    return label is None or (isinstance(label, str) and not label.strip()) or str(label).strip() == "-1"


def counting_of(questions: Sequence[RawChoice]) -> Counting:
    """How a file counts, which no row by itself may show: from 1 only where no number is 0 and one needs it."""
    numbered = [(number, len(each.choices)) for each in questions if (number := _number(each)) is not None]
    if not numbered:
        return Counting(0)
    if all(number > 0 for number, _ in numbered) and any(number == n for number, n in numbered):
        return Counting(1, "The right choices are numbers that count from 1: none is 0, and one is as high as that.")
    if any(number == 0 for number, _ in numbered):
        return Counting(0, "The right choices are numbers that count from 0.")
    return Counting(0, "The right choices are taken for numbers that count from 0; no row has a 0 to show it.")


def right_choice(question: RawChoice, counting: Counting) -> int | Problem:
    """The number of the right choice, counted from 0, or why there is none."""
    number, n = _number(question), len(question.choices)
    if number is not None and 0 <= number - counting.first < n:
        return number - counting.first
    text = str(question.label).strip()
    for names in (question.names, question.choices):
        if text in names:
            return names.index(text)
    if number is not None:
        return Problem("label_out_of_range", f"The right choice is {shown(question.label)}, and there are {n}.")
    letter = text.rstrip(".)").lower()
    if len(letter) == 1 and letter in _LETTERS[:n]:
        return _LETTERS.index(letter)
    return Problem("label_unknown", f"The right choice is {shown(question.label)}, which is none of the choices.")


def _number(question: RawChoice) -> int | None:
    """The number that the label is; None if it is none, or the name of a choice."""
    label = question.label
    text = str(label).strip()
    if isinstance(label, bool) or text in question.names:
        return None
    if isinstance(label, float) and label.is_integer():
        return int(label)
    return int(text) if text.isascii() and text.isdecimal() else None
