"""What a setting's declaration says of it beside its type: where `--help` lists it, whether a model keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic.fields import FieldInfo

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Panel:
    """The heading under which `--help` lists the setting."""

    title: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A model directory keeps the setting, so that the model is used later as it was evaluated then."""


STORED: Final = Stored()


def mark_of(field: FieldInfo, kind: type[M]) -> M | None:
    """The mark of that kind in a setting's declaration, None if it has none."""
    return next((each for each in field.metadata if isinstance(each, kind)), None)
