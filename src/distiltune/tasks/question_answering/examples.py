"""Examples: one question on one context, with its gold answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distiltune.data.stored import Form, OnDisk


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


_AFTER_START = "\x1f"
"""Between the place of a question's only answer and its text; JSON, which others are kept as, cannot have it."""


def weights_of(examples: Sequence[Example]) -> npt.NDArray[np.float64]:
    """``(n_examples,)`` what each weighs in the training loss."""
    if isinstance(examples, OnDisk):
        return np.asarray(examples.column("weight"), dtype=np.float64)
    return np.fromiter((each.weight for each in examples), dtype=np.float64, count=len(examples))


def _pack(example: Example) -> tuple[object, ...]:
    answers = [(answer.text, answer.start) for answer in example.answers]
    if len(answers) == 1 and not example.unplaced and example.has_gold:
        gold = f"{answers[0][1]}{_AFTER_START}{answers[0][0]}"
    else:
        gold = json.dumps([answers, example.unplaced, example.has_gold])
    return example.id, example.question, example.context, gold, example.title, example.weight


def _unpack(row_id: str, question: str, context: str, gold: str, title: str, weight: float) -> Example:
    start, is_plain, text = gold.partition(_AFTER_START)
    if is_plain:
        return Example(row_id, question, context, (Answer(text, int(start)),), title, (), True, weight)
    answers, unplaced, has_gold = json.loads(gold)
    placed = tuple([Answer(text, start) for text, start in answers])
    return Example(row_id, question, context, placed, title, tuple(unplaced), has_gold, weight)


QUESTION_FORM = Form(
    {
        "id": "string",
        "question": "large_string",
        "context": "int64",
        "gold": "large_string",
        "title": "string",
        "weight": "float64",
    },
    _pack,
    _unpack,
    lambda example: len(example.question) + len(example.context),
    shared="context",
)
"""How questions lie on disk; a context that many share lies in a file of its own."""
