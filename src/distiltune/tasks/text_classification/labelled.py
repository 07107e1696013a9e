"""The examples as the checks see them."""

from __future__ import annotations

from collections.abc import Sequence

from distiltune.data.stored import Mapped
from distiltune.tasks.labelled_check import LabelledText
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.tasks.text_classification.features import TextData
from distiltune.tasks.text_classification.targets import find_problem, names_of


def labelled_texts(data: TextData, problem: str) -> Sequence[LabelledText]:
    """The texts as the checks see them, each made when it is looked at; the numbers of a regression are no labels.

    ``problem`` is as the recipe has it: `find_problem` says what ``auto`` is, as in a training.
    """
    if problem == "auto":
        problem = find_problem(data.examples)
    return Mapped(data.examples, _as_text if problem != "regression" else _as_number)


def _as_number(example: TextExample) -> LabelledText:
    each = _as_text(example)
    return LabelledText(each.id, each.text, each.gold, (), _number(each.labels))


def _number(labels: tuple[str, ...]) -> float | None:
    """The one that stands there; None where there is none."""
    try:
        return float(labels[0]) if labels else None
    except ValueError:
        return None


def _as_text(example: TextExample) -> LabelledText:
    text = example.text if example.pair is None else f"{example.text}\n{example.pair}"
    return LabelledText(example.id, text, tuple(sorted(names_of(example))), names_of(example))
