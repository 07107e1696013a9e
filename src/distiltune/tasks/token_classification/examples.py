"""Examples: a text cut into words, and the entities marked in it."""

from __future__ import annotations

from dataclasses import dataclass

from distiltune.data.example_set import ExampleSet


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


TokenSet = ExampleSet[TokenExample]
