"""The examples as the checks see them."""

from __future__ import annotations

from distiltune.tasks.labelled_check import LabelledText
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.tasks.text_classification.features import TextData
from distiltune.tasks.text_classification.targets import find_problem, names_of


def labelled_texts(data: TextData, problem: str) -> list[LabelledText]:
    """The texts as the checks see them; the numbers of a regression are no labels.

    ``problem`` is as the recipe has it: `find_problem` says what ``auto`` is, as in a training.
    """
    texts = [_as_text(example) for example in data.examples]
    if problem == "auto":
        problem = find_problem(data.examples)
    if problem != "regression":
        return texts
    return [LabelledText(each.id, each.text, each.gold, (), _number(each.labels)) for each in texts]


def _number(labels: tuple[str, ...]) -> float | None:
    """The one that stands there; None where there is none."""
    try:
        return float(labels[0]) if labels else None
    except ValueError:
        return None


def _as_text(example: TextExample) -> LabelledText:
    text = example.text if example.pair is None else f"{example.text}\n{example.pair}"
    return LabelledText(example.id, text, tuple(sorted(names_of(example))), names_of(example))
