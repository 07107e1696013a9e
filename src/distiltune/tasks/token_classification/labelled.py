"""The examples as the checks see them."""

from __future__ import annotations

from collections.abc import Sequence

from distiltune.data.stored import Mapped
from distiltune.tasks.labelled_check import LabelledText
from distiltune.tasks.token_classification.examples import TokenExample
from distiltune.tasks.token_classification.features import TokenData


def labelled_texts(data: TokenData) -> Sequence[LabelledText]:
    """The texts as the checks see them, each made when it is looked at."""
    return Mapped(data.examples, _as_text)


def _as_text(example: TokenExample) -> LabelledText:
    marked = example.gold or ()
    return LabelledText(example.id, example.text, marked, tuple(each.label for each in marked))
