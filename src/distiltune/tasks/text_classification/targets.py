"""What is to be predicted: which labels there are, and each example's among them as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distiltune.data.reading import forget_gold, keep_if
from distiltune.errors import DataError, RecipeError
from distiltune.tasks.labels import in_order, labels_of
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.tasks.text_classification.read import TextSet
from distiltune.tasks.text_classification.settings import Problem

NUMBER = "number"
"""The one label of a regression."""

# As `transformers` calls them in config.json.
_HF_PROBLEMS: dict[Problem, str] = {
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
    "regression": "regression",
}


@dataclass(frozen=True, slots=True)
class Targets:
    """The problem and its labels in the order of their ids.

    Attributes:
        problem: what a text has.
        labels: one column of scores each; of a regression only `NUMBER`.

    """

    problem: Problem
    labels: tuple[str, ...]

    @property
    def is_regression(self) -> bool:
        """Whether a number is to be predicted."""
        return self.problem == "regression"

    def ids(self, example: TextExample) -> tuple[int, ...]:
        """The example's labels as ids."""
        index = {name: i for i, name in enumerate(self.labels)}
        return tuple(index[name] for name in names_of(example))

    def config(self) -> str:
        """The problem as config.json names it."""
        return _HF_PROBLEMS[self.problem]


UNKNOWN = Targets("single-label", ("LABEL_0", "LABEL_1"))
"""What holds of a model that does not say what it predicts, as `transformers` takes it."""


def names_of(example: TextExample) -> tuple[str, ...]:
    """The example's labels by name; none if it has none."""
    return example.gold or ()


def find_targets(examples: Sequence[TextExample], problem: str, model: Mapping[str, Any]) -> Targets:
    """Work out what is to be predicted from training examples.

    Args:
        examples: with labels.
        problem: as the recipe has it.
        model: the config.json of the model to go on from; its labels are kept if all that are found are among them.

    Raises:
        DataError: if there are fewer than two labels, or labels of different kinds.

    """
    if any(example.gold is None for example in examples):
        raise DataError("The training data has no labels.", fix="name their column: --columns label=...")
    listed = any(example.listed for example in examples)
    if problem == "auto":
        problem = "multi-label" if listed else "regression" if _are_measures(examples) else "single-label"
    if problem == "regression":
        if not _are_numbers(examples):
            raise DataError("Some labels are no numbers.", fix="say --problem single-label or --problem multi-label")
        return Targets("regression", (NUMBER,))
    if problem == "single-label" and any(len(names_of(example)) != 1 for example in examples):
        raise DataError("Some texts have several labels or none.", fix="say --problem multi-label")
    labels = in_order(name for example in examples for name in names_of(example))
    if len(labels) < 2:
        raise DataError(
            f"All texts have the same label, {', '.join(labels)!r}.", fix="give texts of two labels or more"
        )
    kept = targets_of(model)
    if kept is not None and kept.problem == problem and set(labels) <= set(kept.labels):
        return kept
    return Targets("multi-label" if problem == "multi-label" else "single-label", labels)


def targets_of(config: Mapping[str, Any]) -> Targets | None:
    """What a model predicts, as its config.json says; None if it does not say."""
    labels = labels_of(config)
    if not labels:
        return None
    named = {hf: ours for ours, hf in _HF_PROBLEMS.items()}
    usual: Problem = "regression" if len(labels) == 1 else "single-label"
    return Targets(named.get(str(config.get("problem_type")), usual), labels)


def keep_known(read: TextSet, targets: Targets, max_rejected_share: float) -> TextSet:
    """The set without the examples whose labels the model does not have, each with a finding.

    Raises:
        DataError: if these are more than may be.

    """
    fix = f"the model has: {', '.join(targets.labels[:20])}"
    return keep_if(read, lambda example: _unknown(example, targets), "label_unknown", max_rejected_share, fix)


def forget_unknown(read: TextSet, targets: Targets) -> TextSet:
    """The set whose examples lose labels that the model does not have, each with a finding."""
    return forget_gold(read, lambda example: _unknown(example, targets), "label_unknown")


def class_weights(text: str, targets: Targets, examples: Sequence[TextExample]) -> npt.NDArray[np.float64]:
    """What each label weighs in the loss, ``(n_labels,)``.

    ``balanced``: the number of texts over labels times texts of the label; with several labels a text, texts without
    it over texts with it. Those of one label a text are scaled so that the texts weigh 1 on average.

    Raises:
        RecipeError: if the text does not say weights, or names a label that there is none of.

    """
    many = targets.problem == "multi-label"
    counts = np.zeros(len(targets.labels))
    if not targets.is_regression:
        for example in examples:
            counts[list(targets.ids(example))] += 1
    if text == "balanced":
        present = np.maximum(counts, 1)
        weights = (len(examples) - counts) / present if many else len(examples) / len(counts) / present
        weights = np.where(counts > 0, np.maximum(weights, 1e-3), 1.0)
    else:
        weights = np.ones(len(counts))
        for part in filter(str.strip, text.split(",")):
            name, _, number = (piece.strip() for piece in part.rpartition("="))
            weights[_place(name, targets, text)] = _weight(number, text)
    if not many and counts.sum():
        weights = weights * counts.sum() / (weights @ counts)
    return weights


def _place(name: str, targets: Targets, text: str) -> int:
    if name not in targets.labels:
        raise RecipeError(
            f"There is no label {name!r}; there is {', '.join(targets.labels[:20])}.",
            where=f"recipe: class_weights = {text!r}",
            fix="write balanced, or label=weight,label=weight",
        )
    return targets.labels.index(name)


def _weight(number: str, text: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise RecipeError(
            f"{number!r} is no weight.", where=f"recipe: class_weights = {text!r}", fix="give a number above 0"
        )
    return weight


def _unknown(example: TextExample, targets: Targets) -> str:
    names = names_of(example)
    if example.gold is None:
        return ""
    if targets.is_regression:
        return "" if len(names) == 1 and _is_number(names[0]) else f"{', '.join(names)!r} is no number."
    if targets.problem == "single-label" and len(names) != 1:
        return f"The text has {len(names)} labels, and the model gives one."
    unknown = [name for name in names if name not in targets.labels]
    return f"The label {unknown[0]!r} is not one of the model's." if unknown else ""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _are_numbers(examples: Sequence[TextExample]) -> bool:
    return all(len(names_of(example)) == 1 and _is_number(names_of(example)[0]) for example in examples)


def _are_measures(examples: Sequence[TextExample]) -> bool:
    """Whether all labels are numbers and not all of them whole, as classes are numbered."""
    return _are_numbers(examples) and not all(float(names_of(example)[0]).is_integer() for example in examples)
