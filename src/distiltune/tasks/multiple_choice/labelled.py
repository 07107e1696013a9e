"""The examples as the checks see them."""

from __future__ import annotations

from distiltune.tasks.labelled_check import LabelledText
from distiltune.tasks.multiple_choice.examples import ChoiceExample
from distiltune.tasks.multiple_choice.features import ChoiceData


def labelled_questions(data: ChoiceData) -> list[LabelledText]:
    """Each question with its choices as one text, what is right as what is known, and its place as the label."""
    return [_as_text(example) for example in data.examples]


def _as_text(example: ChoiceExample) -> LabelledText:
    # In any order of the choices it is the same question, whose right choice is told by its text.
    parts = (example.context, example.question, *sorted(example.choices))
    right = None if example.gold is None else example.choices[example.gold]
    places = () if example.gold is None else (f"choice {example.gold}",)
    return LabelledText(example.id, "\n".join(part for part in parts if part), right, places)
