"""Examples: one question on one context, with its gold answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """A gold answer: its text and where it starts in the context, in Unicode code points."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """One past the answer's last code point."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Example:
    """One question on one context.

    Attributes:
        id: unique in its set.
        question: as it was read.
        context: as it was read.
        answers: the gold answers, in their place in the context.
        title: of what the context is from.
        unplaced: gold answers that stand nowhere in the context: nothing can be learned from them, but an answer can be
            scored against them.
        has_gold: whether it is known what the right answer is; then, without any answer, that is none.
        weight: in the training loss, 0 or more.

    """

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    title: str = ""
    unplaced: tuple[str, ...] = ()
    has_gold: bool = True
    weight: float = 1.0

    @property
    def gold_texts(self) -> tuple[str, ...]:
        """What an answer is scored against; empty if none is right, or if nothing is known."""
        return (*(answer.text for answer in self.answers), *self.unplaced)

    @property
    def is_unanswerable(self) -> bool:
        """Whether it is known that the context does not answer the question."""
        return self.has_gold and not self.gold_texts
