"""Which choice is right, as a file says it: by number from 0 or from 1, by letter, by its name, or by its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from distiltune.data.values import Problem, shown
from distiltune.progress import counted
from distiltune.tasks.multiple_choice.choice_rows import RawChoice, are_in_order

_LETTERS: Final = "abcdefghij"
_SAYS_A_PLACE: Final = re.compile(r"label|gold|key|idx|index|number|place|position", re.IGNORECASE)
"""What the name of a column says whose numbers are places; an ``answer`` may as well be a choice's text."""


@dataclass(frozen=True, slots=True)
class Counting:
    """How a file says what is right, which no row by itself may show.

    Attributes:
        first: whether numbers count from 0 or from 1.
        texts_first: whether a label that is the text of a choice means that, though it may be a name or a number too.
        kind: of what is told.
        told: what to say of it; empty if there is nothing that may be meant otherwise.

    """

    first: int
    texts_first: bool = False
    kind: str = "choices_counted"
    told: str = ""


def is_not_given(label: object) -> bool:
    """Whether nothing is said: absent, blank, or the -1 of test sets."""
    return label is None or (isinstance(label, str) and not label.strip()) or str(label).strip() == "-1"


def counting_of(questions: Sequence[RawChoice]) -> Counting:
    """How a file's labels are read: as what most of them can be.

    A number may be a place, a choice's name or its text. Where labels can all be either, the data's own names of
    choices come first; then texts, unless the column's name says that it holds places, or its numbers stand beside
    choices that are none.
    """
    doubtful = [each for each in questions if len(_readings(each)) > 1 or _number(each) is not None]
    if not doubtful:
        return Counting(0, kind="choices_named", told=_by_ids(questions))
    first, counted_how = _first_number(doubtful)
    by_place = [_by_name(each) if each.names else None for each in questions]
    by_place = [_at_place(each, first) if by is None else by for each, by in zip(questions, by_place, strict=True)]
    by_text = [_by_text(each) for each in questions]
    n_place, n_text = (sum(by is not None for by in found) for found in (by_place, by_text))
    differing = [
        each
        for each, place, text in zip(questions, by_place, by_text, strict=True)
        if place is not None and text is not None and place != text
    ]
    if n_text > n_place or (n_text == n_place and differing and not any(map(_is_plainly_a_place, questions))):
        told = "The right choices are taken for texts of choices, also where they are numbers or letters."
        return Counting(
            first, True, "choices_by_text", told + _or_else(differing, "a place or a name", n_place, n_text)
        )
    told = f"{counted_how} {_by_ids(questions)}".strip() + _or_else(differing, "the text of a choice", n_text, n_place)
    return Counting(first, told=told.strip())


def right_choice(question: RawChoice, counting: Counting) -> int | Problem:
    """The number of the right choice, counted from 0, or why there is none."""
    text, n = _label(question), len(question.choices)

    def at_place(question: RawChoice) -> int | None:
        return None if counting.texts_first and _number(question) is not None else _at_place(question, counting.first)

    orders = (_by_text, _by_name, at_place) if counting.texts_first else (_by_name, at_place, _by_text)
    found = next((place for by in orders if (place := by(question)) is not None), None)
    if found is not None:
        return found
    if (again := [i for i, choice in enumerate(question.choices) if choice.strip() == text]) and len(again) > 1:
        both = " and ".join(map(str, again[:2]))
        message = f"The right choice is {shown(question.label)}, and the choices {both} are the same."
        return Problem("label_of_two_choices", message)
    if _number(question) is not None and not counting.texts_first:
        return Problem("label_out_of_range", f"The right choice is {shown(question.label)}, and there are {n}.")
    return Problem("label_unknown", f"The right choice is {shown(question.label)}, which is none of the choices.")


def _label(question: RawChoice) -> str:
    label = question.label
    return str(int(label) if isinstance(label, float) and label.is_integer() else label).strip()


def _number(question: RawChoice) -> int | None:
    """The number that the label is; None if it is none, or the name of a choice."""
    text = _label(question)
    if isinstance(question.label, bool) or _by_name(question) is not None:
        return None
    return int(text) if text.isascii() and text.isdecimal() else None


def _by_name(question: RawChoice) -> int | None:
    text = _label(question)
    return question.names.index(text) if text in question.names else None


def _by_text(question: RawChoice) -> int | None:
    """The one choice with just this text."""
    texts = [choice.strip() for choice in question.choices]
    text = _label(question)
    return texts.index(text) if texts.count(text) == 1 else None


def _at_place(question: RawChoice, first: int) -> int | None:
    """The choice of that number, or of that letter."""
    number, n = _number(question), len(question.choices)
    if number is not None:
        return number - first if 0 <= number - first < n else None
    letter = _label(question).rstrip(".)").lower()
    return _LETTERS.index(letter) if len(letter) == 1 and letter in _LETTERS[:n] else None


def _readings(question: RawChoice) -> set[int]:
    """The choices that the label may mean, numbers aside."""
    found: Iterable[int | None] = (by(question) for by in _NOT_COUNTED)
    return {place for place in found if place is not None}


_NOT_COUNTED: Final[tuple[Callable[[RawChoice], int | None], ...]] = (
    _by_name,
    _by_text,
    lambda each: _at_place(each, 0),
)


def _first_number(questions: Sequence[RawChoice]) -> tuple[int, str]:
    """What numbers count from, and a sentence on it: from 1 only where no number is 0 and one needs it."""
    numbered = [(number, len(each.choices)) for each in questions if (number := _number(each)) is not None]
    if not numbered:
        return 0, ""
    if all(number > 0 for number, _ in numbered) and any(number == n for number, n in numbered):
        return 1, "The right choices are numbers that count from 1: none is 0, and one is as high as that."
    if any(number == 0 for number, _ in numbered):
        return 0, "The right choices are numbers that count from 0."
    return 0, "The right choices are taken for numbers that count from 0; no row has a 0 to show it."


def _is_plainly_a_place(question: RawChoice) -> bool:
    """Whether more than the number tells that it is a place or a name that the data gives its choices."""
    if _by_name(question) is not None:
        return True
    is_other_kind = type(question.label) is not str and not question.has_numbers
    return is_other_kind or _SAYS_A_PLACE.search(question.label_column) is not None


def _by_ids(questions: Sequence[RawChoice]) -> str:
    """What to say where numbers are names of choices that do not number them in order."""
    for each in questions:
        if (place := _by_name(each)) is not None and not are_in_order(each.names):
            return f"The right choices are named: {_label(each)!r} is {shown(each.choices[place])}."
    return ""


def _or_else(differing: Sequence[RawChoice], other: str, n_other: int, n: int) -> str:
    """What to say where labels might be read otherwise as well, and would be other choices then."""
    if not differing or n_other < n:
        return ""
    instead = "numbers from 0" if _label(differing[0]).isalpha() else "letters (A, B, ...)"
    return (
        f" In {counted(len(differing), 'row')} they might be {other} as well, which would be another choice, as "
        f"{shown(differing[0].label)} of {shown(list(differing[0].choices))}; if that is meant, write {instead}."
    )
