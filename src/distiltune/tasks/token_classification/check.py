"""What is wrong with marked texts, before they are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distiltune.checks.data_check import Checked
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.base import Dataset
from distiltune.tasks.labelled_check import LabelledText, check_labelled, examples_as
from distiltune.tasks.token_classification.examples import TokenExample


def check(data: Sequence[str], against: Sequence[str], recipe: Recipe, fix: Path | None) -> Checked:
    """What `distiltune check` says of such data."""
    return check_labelled(data, against, recipe, fix, labelled_texts)


def labelled_texts(data: Dataset) -> list[LabelledText]:
    """The texts as the checks see them."""
    return examples_as(data, TokenExample, _as_text)


def _as_text(example: TokenExample) -> LabelledText:
    marked = example.gold or ()
    return LabelledText(example.id, example.text, marked, tuple(each.label for each in marked))
