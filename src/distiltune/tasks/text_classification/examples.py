"""Examples: a text or a pair of texts, with its labels or its number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextExample:
    """A text to classify.

    Attributes:
        id: unique in its set.
        text: as it was read.
        pair: the second text of a pair, None for single texts.
        gold: its labels by name, or its number as it was written; None if the row has no label.
        listed: whether the labels came as a list, which may hold any number of them.
        where: the place where a person would look for it.

    """

    id: str
    text: str
    pair: str | None
    gold: tuple[str, ...] | None
    listed: bool = False
    where: str = ""
