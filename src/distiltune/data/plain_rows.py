"""A row of an annotation tool in plain columns, and what the forms of several tools have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Value = Mapping[str, object]

ANSWER: Final = "answer"
"""The column of Prodigy's verdicts; rows of other tools that were passed over get one."""
ANSWERS: Final = {
    "reject": "The annotator rejected it.",
    "ignore": "The annotator passed it over.",
    "predicted": "Only a model has labelled it, as `predictions`: nobody has said that this is right.",
    "discarded": "The annotator discarded it (`status`).",
    "unvalidated": "It has an annotation that nobody has validated (`status`).",
    "rejected": "Who asked for it rejected the work (`AssignmentStatus`).",
    "differ": "Several people labelled it, and differently; keep one of them.",
    "null": "The list has null in its place: nobody has marked it.",
}
"""What `ANSWER` may say against a row, and what that means."""
ACCEPTED: Final = "accept"
"""What `ANSWER` says of a row that was looked at: what it does not mark is not to be marked."""
PARTIAL: Final = "a suggestion that was accepted"
"""Instead of the spans of a text of which one was judged, and all else that may be in it was not looked for."""
DIFFERING: Final = "annotations that differ"
"""Instead of the spans of a text that several people marked, and not alike."""

_WHOLE: Final = re.compile(r"[-+]?\d{1,12}(\.0*)?")


@dataclass(frozen=True, slots=True)
class Plain:
    """A row in plain columns, and how it was read, to be told once a file; empty: as it stands."""

    value: dict[str, object]
    told: str


def whole_number(value: object) -> int | None:
    """A whole number, also where it is written as text (``"12"``) or as a float (12.0); None if it is none."""
    if type(value) is int:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    return None


def is_triple(value: object) -> bool:
    """Whether it is ``[start, end, label]``."""
    return (
        isinstance(value, list)
        and len(value) == 3
        and whole_number(value[0]) is not None
        and whole_number(value[1]) is not None
        and isinstance(value[2], str)
    )


def triples_of(value: object) -> list[list[object]] | None:
    """``value`` if it is a list of ``[start, end, label]`` that is not empty."""
    return value if isinstance(value, list) and value and all(map(is_triple, value)) else None


def label_first_of(value: object) -> list[list[object]] | None:
    """A list of ``[label, start, end]`` that is not empty, each as ``[start, end, label]``; None if it is none."""
    if not isinstance(value, list) or not value:
        return None
    turned = [[*each[1:], each[0]] if isinstance(each, list) and len(each) == 3 else each for each in value]
    return triples_of(turned)


def spans_of_triples(triples: Sequence[object]) -> list[object]:
    """The spans that ``[start, end, label]`` each are; what is none stays as it is, to be told."""
    return [
        {"start": each[0], "end": each[1], "label": each[2]} if isinstance(each, list) and len(each) == 3 else each
        for each in triples
    ]


def by_person(annotations: Iterable[object]) -> list[list[Value]]:
    """The annotations of each person who made some, as doccano's ``user`` says; those without one are one person's."""
    found: dict[object, list[Value]] = {}
    for each in annotations:
        if isinstance(each, dict):
            found.setdefault(repr(each.get("user")), []).append(each)
    return list(found.values())


def without(value: Value, *names: str) -> dict[str, object]:
    """The row without these columns."""
    return {name: each for name, each in value.items() if name not in names}
