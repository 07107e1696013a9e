"""A question as a file has it, of whatever types, before anything of it is checked."""

from __future__ import annotations

from dataclasses import dataclass

from distiltune.data.values import Problem


@dataclass(frozen=True, slots=True)
class Decision:
    """How something in a file was understood that could be meant otherwise: a kind, and a sentence that names it."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """A gold answer as the file has it; ``start`` is None if the file gives none."""

    text: object
    start: object


@dataclass(frozen=True, slots=True)
class RawAnswers:
    """The gold answers of a question; ``decisions`` say how they were understood, where that is not plain."""

    given: tuple[RawAnswer, ...] = ()
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, slots=True)
class NotKnown:
    """Stands where answers would be: why the file does not say what is right, though it has a place for that."""

    reason: str


@dataclass(frozen=True, slots=True)
class RawQuestion:
    """A question as the file has it, of whatever types; None for what is absent.

    ``answers`` is a sentence on what is wrong with them where they cannot be read; ``has_gold`` says whether there was
    a place for them at all; ``weight`` is what the question weighs in the training loss, if the file says so.
    """

    where: str
    id: object
    question: object
    context: object
    title: object
    answers: RawAnswers | str
    is_impossible: bool
    has_gold: bool
    decisions: tuple[Decision, ...] = ()
    weight: float | Problem | None = None
