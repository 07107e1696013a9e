"""Examples: a text or a pair of texts, with its labels or its number."""

from __future__ import annotations

from dataclasses import dataclass

from distiltune.data.example_set import ExampleSet


@dataclass(frozen=True, slots=True)
class TextExample:
    """A text to classify.

    Attributes:
        id: unique in its set.
        text: as it was read.
        pair: the second text of a pair, None for single texts.
        gold: its labels by name, or its number as it was written; None if the row has no label.
        places: the labels of all places of a row of 0 and 1, in their order; none where the labels came otherwise.
        where: the place where a person would look for it.
        weight: in the training loss, 0 or more.

    """

    id: str
    text: str
    pair: str | None
    gold: tuple[str, ...] | None
    places: tuple[str, ...] = ()
    where: str = ""
    weight: float = 1.0


TextSet = ExampleSet[TextExample]
