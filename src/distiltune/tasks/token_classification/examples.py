"""Examples: a text cut into words, and the entities marked in it."""

from __future__ import annotations

import functools
import itertools
import json
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

import numpy as np
import numpy.typing as npt

from distiltune.data.example_set import ExampleSet
from distiltune.data.stored import Form, OnDisk
from distiltune.data.words import Spans

CHARACTERS_A_WORD: Final = 512
"""What a word counts beside its characters where it is told how many texts stay in memory: a tuple of two numbers and a
tag are some 120 bytes, so that half a million words take 60 MB."""
_WORD = Struct("2i")
_ENTITY = Struct("3i")


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """A stretch of words with a label: from word ``start`` up to and without word ``end``."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class TokenExample:
    """A text whose words are to be marked.

    Attributes:
        id: unique in its set.
        text: as it was read; of rows of tokens, these with blanks between.
        words: where each word begins in the text, and one past its end, in code points.
        gold: the entities in order, which share no word; None if the row marks none and none are wanted.
        where: the place where a person would look for it.
        weight: in the training loss, 0 or more.

    """

    id: str
    text: str
    words: tuple[tuple[int, int], ...]
    gold: tuple[Entity, ...] | None
    where: str = ""
    weight: float = 1.0

    def word(self, index: int) -> str:
        """A word as it stands in the text."""
        start, end = self.words[index]
        return self.text[start:end]

    def word_texts(self) -> list[str]:
        """All words as they stand in the text."""
        return [self.text[start:end] for start, end in self.words]


TokenSet = ExampleSet[TokenExample]


def of_all_labels(examples: Sequence[TokenExample]) -> Sequence[TokenExample]:
    """Some of the examples, perhaps all, that have all labels among them, and one without gold if there is one."""
    return examples.kinds.firsts if isinstance(examples, OnDisk) else examples


def weights_of(examples: Sequence[TokenExample]) -> npt.NDArray[np.float64]:
    """``(n_examples,)`` what each weighs in the training loss."""
    if isinstance(examples, OnDisk):
        return np.asarray(examples.column("weight"), dtype=np.float64)
    return np.fromiter((each.weight for each in examples), dtype=np.float64, count=len(examples))


def word_counts(examples: Sequence[TokenExample]) -> npt.NDArray[np.int64]:
    """``(n_examples,)`` how many words each has."""
    if not isinstance(examples, OnDisk):
        return np.fromiter((len(each.words) for each in examples), dtype=np.int64, count=len(examples))
    import pyarrow.compute as pc

    return np.asarray(pc.binary_length(examples.column("words")), dtype=np.int64) // _WORD.size


def packed_words(words: Spans) -> bytes:
    """Where words begin and end as 32-bit numbers, one pair after the other."""
    return array("i", itertools.chain.from_iterable(words)).tobytes()


def unpacked_words(packed: bytes) -> Spans:
    """The way back from `packed_words`."""
    return tuple(_WORD.iter_unpack(packed))


def _labels_of(gold: Iterable[Entity]) -> tuple[str, ...]:
    return tuple(sorted({entity.label for entity in gold}))


def _pack(example: TokenExample) -> tuple[object, ...]:
    gold, labels = None, None
    if example.gold is not None:
        labels = _labels_of(example.gold)
        numbers = [n for each in example.gold for n in (each.start, each.end, labels.index(each.label))]
        gold = array("i", numbers).tobytes()
    words = packed_words(example.words)
    return example.id, example.text, words, gold, _kind_text(labels), example.where, example.weight


@functools.lru_cache(maxsize=4_096)
def _kind_text(labels: tuple[str, ...] | None) -> str:
    return json.dumps(labels)


def _unpack(
    row_id: str, text: str, words: bytes, gold: bytes | None, kind: str, where: str, weight: float
) -> TokenExample:
    entities = None
    if gold is not None:
        labels = _labels_of_kind(kind)
        entities = tuple([Entity(start, end, labels[label]) for start, end, label in _ENTITY.iter_unpack(gold)])
    return TokenExample(row_id, text, unpacked_words(words), entities, where, weight)


@functools.lru_cache(maxsize=4_096)
def _labels_of_kind(kind: str) -> tuple[str, ...]:
    return tuple(json.loads(kind))


TOKEN_FORM = Form(
    {
        "id": "string",
        "text": "large_string",
        "words": "large_binary",
        "gold": "large_binary",
        "kind": "string",
        "where": "string",
        "weight": "float64",
    },
    _pack,
    _unpack,
    lambda example: len(example.text) + CHARACTERS_A_WORD * len(example.words),
    kind="kind",
)
"""How such examples lie on disk; a kind is the labels that occur, which ``gold`` has by their numbers there."""
