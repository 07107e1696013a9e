"""Examples: a text or a pair of texts, with its labels or its number."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distiltune.data.example_set import ExampleSet
from distiltune.data.stored import Form, Kinds, OnDisk, kinds_in_memory
from distiltune.tasks.prediction_rows import place_of


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


def text_kinds(examples: Sequence[TextExample]) -> Kinds[TextExample]:
    """The examples by their labels and by the files that they are from."""
    if isinstance(examples, OnDisk):
        return examples.kinds
    return kinds_in_memory(examples, lambda example: (example.gold, example.places, place_of(example.where)[0]))


def weights_of(examples: Sequence[TextExample]) -> npt.NDArray[np.float64]:
    """``(n_examples,)`` what each weighs in the training loss."""
    if isinstance(examples, OnDisk):
        return np.asarray(examples.column("weight"), dtype=np.float64)
    return np.fromiter((each.weight for each in examples), dtype=np.float64, count=len(examples))


def _pack(example: TextExample) -> tuple[object, ...]:
    file = place_of(example.where)[0]
    kind = _kind_text(example.gold, example.places, file)
    return example.id, example.text, example.pair, kind, example.where[len(file) :], example.weight


@functools.lru_cache(maxsize=4_096)
def _kind_text(gold: tuple[str, ...] | None, places: tuple[str, ...], file: str) -> str:
    return json.dumps([gold, places, file])


def _unpack(row_id: str, text: str, pair: str | None, kind: str, place: str, weight: float) -> TextExample:
    gold, places, file = _of_kind(kind)
    return TextExample(row_id, text, pair, gold, places, file + place, weight)


@functools.lru_cache(maxsize=4_096)
def _of_kind(kind: str) -> tuple[tuple[str, ...] | None, tuple[str, ...], str]:
    gold, places, file = json.loads(kind)
    return None if gold is None else tuple(gold), tuple(places), str(file)


TEXT_FORM = Form(
    {
        "id": "string",
        "text": "large_string",
        "pair": "large_string",
        "kind": "string",
        "place": "string",
        "weight": "float64",
    },
    _pack,
    _unpack,
    lambda example: len(example.text),
    kind="kind",
)
"""How such examples lie on disk; a kind is the labels and the file."""
