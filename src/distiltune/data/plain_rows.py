"""A row of an annotation tool in plain columns, and what the forms of several tools have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Value = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Plain:
    """A row in plain columns, and how it was read, to be told once a file."""

    value: dict[str, object]
    told: str


def is_triple(value: object) -> bool:
    """Whether it is ``[start, end, label]``."""
    return (
        isinstance(value, list)
        and len(value) == 3
        and type(value[0]) is int
        and type(value[1]) is int
        and isinstance(value[2], str)
    )


def triples_of(value: object) -> list[list[object]] | None:
    """``value`` if it is a list of ``[start, end, label]`` that is not empty."""
    return value if isinstance(value, list) and value and all(map(is_triple, value)) else None


def spans_of_triples(triples: list[list[object]]) -> list[dict[str, object]]:
    """The spans that ``[start, end, label]`` each are."""
    return [{"start": start, "end": end, "label": label} for start, end, label in triples]


def without(value: Value, *names: str) -> dict[str, object]:
    """The row without these columns."""
    return {name: each for name, each in value.items() if name not in names}
