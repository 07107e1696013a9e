"""The examples as the checks see them."""

from __future__ import annotations

from distiltune.tasks.labelled_check import LabelledText
from distiltune.tasks.token_classification.examples import TokenExample
from distiltune.tasks.token_classification.features import TokenData


def labelled_texts(data: TokenData) -> list[LabelledText]:
    """The texts as the checks see them."""
    return [_as_text(example) for example in data.examples]


def _as_text(example: TokenExample) -> LabelledText:
    marked = example.gold or ()
    return LabelledText(example.id, example.text, marked, tuple(each.label for each in marked))
