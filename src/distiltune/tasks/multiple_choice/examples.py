"""Examples: a question, perhaps a text to it, its choices, and which of these is right."""

from __future__ import annotations

from dataclasses import dataclass

from distiltune.data.example_set import ExampleSet


@dataclass(frozen=True, slots=True)
class ChoiceExample:
    """A question with choices.

    Attributes:
        id: unique in its set.
        context: the text that it is about; empty if there is none.
        question: as it was read; empty where the choices go on from the text, as endings do.
        choices: two or more.
        gold: the number of the right one, counted from 0; None if it is not known.
        where: the place where a person would look for it.

    """

    id: str
    context: str
    question: str
    choices: tuple[str, ...]
    gold: int | None
    where: str = ""

    @property
    def first(self) -> str:
        """What stands before each choice's own part in what a model reads: the text, or else the question."""
        return self.context or self.question

    def second(self, choice: int) -> str:
        """A choice's own part: behind the question, where that is not what stands before."""
        return f"{self.question} {self.choices[choice]}".strip() if self.context else self.choices[choice]


ChoiceSet = ExampleSet[ChoiceExample]
