"""The examples as the checks see them."""

from __future__ import annotations

from distiltune.tasks.base import Dataset
from distiltune.tasks.labelled_check import LabelledText, examples_as
from distiltune.tasks.token_classification.examples import TokenExample


def labelled_texts(data: Dataset) -> list[LabelledText]:
    """The texts as the checks see them."""
    return examples_as(data, TokenExample, _as_text)


def _as_text(example: TokenExample) -> LabelledText:
    marked = example.gold or ()
    return LabelledText(example.id, example.text, marked, tuple(each.label for each in marked))
