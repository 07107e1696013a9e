"""What is to be predicted: which labels there are, and each example's among them as numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from distiltune.data.parts import forget_gold, keep_if
from distiltune.errors import DataError, RecipeError
from distiltune.settings.stored import STORED_UNDER
from distiltune.tasks.labels import in_order, labels_of
from distiltune.tasks.text_classification.examples import TextExample, TextSet, text_kinds, weights_of
from distiltune.tasks.text_classification.settings import ProblemType
from distiltune.tasks.text_classification.written_numbers import (
    FEW_NUMBERS,
    MANY_CLASSES,
    MOST_NUMBERS,
    Doubt,
    is_plain_number,
    number_form,
)

NUMBER = "number"
"""The one label of a regression."""

SCALE_NAMES: Final = ("number_mean", "number_spread")
"""Names in config.json of the mean and the standard deviation of the numbers that were trained on."""

MANY_WHOLE_NUMBERS = 20
"""Classes by number of which a person asks whether they are a measure."""

_SHOWN_LABELS = 10

# As `transformers` calls them in config.json.
_HF_PROBLEMS: dict[ProblemType, str] = {
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
        mean: of the numbers that were trained on; the head starts from it.
        spread: their standard deviation, in units of which the head learns and the loss is shown; 1 if it is 0.

    """

    problem: ProblemType
    labels: tuple[str, ...]
    mean: float = field(default=0.0, compare=False)
    spread: float = field(default=1.0, compare=False)

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
    kinds = text_kinds(examples)
    if any(first.gold is None for first in kinds.firsts):
        raise DataError("The training data has no labels.", fix="name their column: --columns label=...")
    if problem == "auto":
        problem = find_problem(examples, model)
    if problem == "regression":
        by_kind = np.array([float(names_of(first)[0]) if _has_number(first) else np.nan for first in kinds.firsts])
        numbers = by_kind[kinds.of]
        numbers = numbers[~np.isnan(numbers)]
        if not len(numbers):
            raise DataError("The labels are no numbers.", fix="say --problem single-label or --problem multi-label")
        return Targets("regression", (NUMBER,), float(numbers.mean()), float(numbers.std()) or 1.0)
    if problem == "single-label" and any(len(names_of(first)) != 1 for first in kinds.firsts):
        raise DataError("Some texts have several labels or none.", fix="say --problem multi-label")
    # A row of 0 and 1 has a place for each label, also for one that no text has.
    labels = tuple(
        dict.fromkeys(name for each in dict.fromkeys(first.places for first in kinds.firsts) for name in each)
    )
    others = {name for first in kinds.firsts for name in names_of(first)} - set(labels)
    labels = (*labels, *in_order(others))
    if len(labels) < 2:
        raise DataError(
            f"All texts have the same label, {', '.join(labels)!r}.", fix="give texts of two labels or more"
        )
    kept = targets_of(model)
    if kept is not None and kept.problem == problem and set(labels) <= set(kept.labels):
        return kept
    return Targets("multi-label" if problem == "multi-label" else "single-label", labels)


def find_problem(examples: Sequence[TextExample], model: Mapping[str, Any] | None = None) -> ProblemType:
    """What the labels of training data plainly are; one rule for all commands.

    Rows of 0 and 1, and lists that do not all hold exactly one label, are ``multi-label``; numbers of which some are
    not whole are a ``regression``, even if a few labels are none; all else is ``single-label``.

    Raises:
        DataError: if two readings fit.

    """
    kinds = text_kinds(examples)
    known = [(first, int(n)) for first, n in zip(kinds.firsts, kinds.counts, strict=True) if first.gold is not None]
    if any(first.places or len(names_of(first)) != 1 for first, _ in known):
        return "multi-label"
    own = targets_of(model or {})
    if own is not None and own.problem == "multi-label" and {names_of(each)[0] for each, _ in known} <= set(own.labels):
        return "multi-label"
    numbered = [(float(names_of(first)[0]), n) for first, n in known if _has_number(first)]
    numbers, n_numbers = [number for number, _ in numbered], sum(n for _, n in numbered)
    share = n_numbers / max(sum(n for _, n in known), 1)
    fix = "say which: --problem regression, which leaves out what is no number, or --problem single-label"
    if any(not number.is_integer() for number in numbers) and share > FEW_NUMBERS:
        if share < MOST_NUMBERS:
            other = next(first for first, _ in known if not _has_number(first))
            raise DataError(
                f"{share:.0%} of the labels are numbers, such as {numbers[0]:g}, and others are none, such as "
                f"{names_of(other)[0]!r}.",
                where=other.where,
                fix=fix,
            )
        return "regression"
    if share == 1.0 and len(set(numbers)) > max(MANY_CLASSES, n_numbers // 2):
        raise DataError(
            f"The labels are {len(set(numbers)):,} different whole numbers in {n_numbers:,} rows, from "
            f"{min(numbers):g} to {max(numbers):g}: as many classes, or a measure.",
            fix="say which: --problem regression, or --problem single-label",
        )
    return "single-label"


def numbers_as_classes(targets: Targets) -> str:
    """What to say of classes that are whole numbers such as a measure has, scores from 0 to 100; else empty.

    Dozens of them that leave gaps, or go from 0 or 1 to just 100. Numbers without gaps from 0 or 1 on are how data sets
    number their classes, and a code may begin with 0, as a zip code does.
    """
    form = number_form(targets.labels, are_numbers=True)
    if targets.problem != "single-label" or len(targets.labels) < MANY_WHOLE_NUMBERS or isinstance(form, Doubt):
        return ""
    plain = [name if form is None else form.plain(name) or "" for name in targets.labels]
    if not all(map(_is_whole, plain)):
        return ""
    numbers = sorted(float(each) for each in plain)
    has_gaps = numbers[-1] - numbers[0] >= len(numbers)
    if not has_gaps and numbers[0] in (0, 1) and numbers[-1] != 100:
        return ""
    return (
        f"The {len(numbers)} classes are whole numbers from {targets.labels[plain.index(f'{numbers[0]:.0f}')]} to "
        f"{targets.labels[plain.index(f'{numbers[-1]:.0f}')]}. If they are a measure, such as a score, where 70 is "
        "nearer to 71 than to 7: --problem regression; if each is a class by itself: --problem single-label."
    )


def _is_whole(text: str) -> bool:
    """Whether it is a whole number, and no code that begins with 0."""
    return is_plain_number(text) and f"{float(text):.0f}" == text


def problem_sentence(targets: Targets) -> str:
    """What is predicted, in a sentence."""
    if targets.is_regression:
        return f"The problem is taken as a regression, of numbers about {targets.mean:.4g} ± {targets.spread:.4g}."
    names = ", ".join(targets.labels[:_SHOWN_LABELS]) + (", ..." if len(targets.labels) > _SHOWN_LABELS else "")
    return f"The problem is taken as {targets.problem}, {len(targets.labels)} classes: {names}."


def targets_of(config: Mapping[str, Any]) -> Targets | None:
    """What a model predicts, as its config.json says; None if it does not say."""
    labels = labels_of(config)
    if not labels:
        return None
    named = {hf: ours for ours, hf in _HF_PROBLEMS.items()}
    usual: ProblemType = "regression" if len(labels) == 1 else "single-label"
    problem = named.get(str(config.get("problem_type")), usual)
    return Targets(problem, labels, *(_scale_of(config) if problem == "regression" else ()))


def _scale_of(config: Mapping[str, Any]) -> tuple[float, float]:
    """The mean and the spread that a model's config.json keeps; 0 and 1 if there are none that can be used."""
    stored = config.get(STORED_UNDER)
    mean, spread = (stored.get(name) for name in SCALE_NAMES) if isinstance(stored, Mapping) else (None, None)
    if not isinstance(mean, int | float) or not isinstance(spread, int | float):
        return 0.0, 1.0
    is_usable = math.isfinite(mean) and math.isfinite(spread) and spread > 0
    return (float(mean), float(spread)) if is_usable else (0.0, 1.0)


def keep_known(read: TextSet, targets: Targets, max_rejected_share: float) -> TextSet:
    """The set without the examples whose labels the model does not have, each with a finding.

    Raises:
        DataError: if these are more than may be.

    """
    labels = f"the model has: {', '.join(targets.labels[:20])}"
    fix = "mend them, or go on without them: --max-rejected-share 1" if targets.is_regression else labels
    return keep_if(read, lambda example: _unknown(example, targets), "label_unknown", max_rejected_share, fix)


def forget_unknown(read: TextSet, targets: Targets) -> TextSet:
    """The set whose examples lose labels that the model does not have, each with a finding."""
    return forget_gold(read, lambda example: _unknown(example, targets), "label_unknown")


def class_weights(text: str, targets: Targets, examples: Sequence[TextExample]) -> npt.NDArray[np.float64]:
    """What each label weighs in the loss, ``(n_labels,)``.

    ``balanced``: the number of texts over labels times texts of the label; with several labels a text, texts without
    it over texts with it. Those of one label a text are scaled so that the texts weigh together what they weigh by
    themselves: 1 on average, where no row says otherwise.

    Raises:
        RecipeError: if the text does not say weights, or names a label that there is none of.

    """
    many = targets.problem == "multi-label"
    counts, heavy = np.zeros(len(targets.labels)), np.zeros(len(targets.labels))
    if not targets.is_regression:
        kinds, weights_there = text_kinds(examples), weights_of(examples)
        has = np.zeros((len(kinds.firsts), len(targets.labels)), dtype=bool)
        for row, first in zip(has, kinds.firsts, strict=True):
            row[list(targets.ids(first))] = True
        for place in range(len(targets.labels)):
            counts[place] = kinds.counts[has[:, place]].sum()
            heavy[place] = np.bincount(has[kinds.of, place], weights=weights_there, minlength=2)[1]
    if text == "balanced":
        present = np.maximum(counts, 1)
        weights = (len(examples) - counts) / present if many else len(examples) / len(counts) / present
        weights = np.where(counts > 0, np.maximum(weights, 1e-3), 1.0)
    else:
        weights = np.ones(len(counts))
        for name, number in _named_weights(text):
            weights[_place(name, targets, text)] = _weight(number, text)
    if not many and heavy.sum():
        weights = weights * heavy.sum() / (weights @ heavy)
    return weights


def _named_weights(text: str) -> list[tuple[str, object]]:
    """Each label and its weight, of ``joy=2,anger=1.5`` or of a JSON object."""
    if text.lstrip().startswith("{"):
        try:
            found = json.loads(text)
        except ValueError as error:
            raise RecipeError(
                f"The weights are not JSON: {error}.", where=f"recipe: class_weights = {text!r}", fix="mend that place"
            ) from None
        return list(found.items())
    parts = (part.rpartition("=") for part in text.split(",") if part.strip())
    return [(name.strip(), number.strip()) for name, _, number in parts]


def _place(name: str, targets: Targets, text: str) -> int:
    if name not in targets.labels:
        raise RecipeError(
            f"There is no label {name!r}; there is {', '.join(targets.labels[:20])}.",
            where=f"recipe: class_weights = {text!r}",
            fix="write balanced, or label=weight,label=weight",
        )
    return targets.labels.index(name)


def _weight(number: Any, text: str) -> float:
    try:
        weight = float(number)
    except (ValueError, TypeError):
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
        return "" if _has_number(example) else f"The label {', '.join(names)!r} is no number."
    if targets.problem == "single-label" and len(names) != 1:
        return f"The text has {len(names)} labels, and the model gives one."
    unknown = [name for name in names if name not in targets.labels]
    return f"The label {unknown[0]!r} is not one of the model's." if unknown else ""


def _has_number(example: TextExample) -> bool:
    """Whether its label is one number."""
    return len(names_of(example)) == 1 and is_plain_number(names_of(example)[0])
