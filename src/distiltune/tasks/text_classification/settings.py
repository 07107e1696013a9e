"""What of the recipe is text classification's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from numbers import Real
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from distiltune.settings.engine import EngineSettings, Names, Text
from distiltune.settings.marks import STORED

ProblemType = Literal["single-label", "multi-label", "regression"]


def _label_names(value: object) -> object:
    """Names in a list as the JSON that is kept."""
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return json.dumps(list(value), ensure_ascii=False) if value else ""
    return value


def _class_weights(value: object) -> object:
    """Weights in a dictionary as the JSON that is kept; a label may be a number there, which is a name here."""
    if isinstance(value, Mapping) and all(_is_weight(name, weight) for name, weight in value.items()):
        return json.dumps({str(name): float(weight) for name, weight in value.items()}, ensure_ascii=False)
    return value


def _is_weight(name: object, weight: object) -> bool:
    return isinstance(name, str | int) and isinstance(weight, Real) and not isinstance(weight, bool)


class TextClassificationSettings(EngineSettings):
    """The settings of a training that is for texts and their labels."""

    problem: Literal["auto", "single-label", "multi-label", "regression"] = "auto"
    """One label a text, any number of labels, or a number; `auto`: as the training data has it (rows of 0 and 1, or
    lists that do not all hold one label: `multi-label`; numbers that are not all whole: `regression`)."""
    label_names: Annotated[Text, BeforeValidator(_label_names)] = ""
    """Names of the labels in rows of 0 and 1, or of the classes 0, 1, ...: `toxic,insult`, or as a JSON list."""
    label_separator: Text = ""
    """What parts several labels in one cell of a table, `\\n` where each stands in a line; by default `|`, and in the
    column `labels` only."""
    class_weights: Annotated[Text, BeforeValidator(_class_weights)] = ""
    """What each label weighs in the training loss: `balanced` (the rarer the heavier), or `joy=2,anger=1.5` (others 1),
    or as a JSON object; all 1 if empty. With several labels a text, what its presence weighs against its absence."""
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of the label that is spread over all labels in the training loss."""
    few_labels: Literal["off", "pairs"] = "off"
    """For a few dozen texts a label: `pairs`, texts with the same label and with different ones are told apart first,
    all pairs within a batch (as SetFit does), and the labels are learnt then; `off`, the labels from the start."""
    pair_epochs: Annotated[int, Field(ge=1)] = 20
    """Passes over the training data in which pairs are told apart."""
    unlabelled: Names = ()
    """Texts without labels to learn from too (self-training): a model trained on the labels labels them, and a second
    one learns from those of which it was surest and then from the labels; it is kept unless it is worse. Text files of
    one text a line, directories of them, or data with a column `text`; none if empty."""
    unlabelled_most: Annotated[float, Field(gt=0.0, le=100.0)] = 3.0
    """Of these texts so many are kept at most for each training text with the same label."""
    unlabelled_confidence: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """The least confidence of a text that is kept, calibrated where there is enough validation data."""
    long_texts: Annotated[Literal["windows", "truncate"], STORED] = "windows"
    """Texts longer than `max_length`: read in windows whose scores are averaged, or cut off. Pairs are always cut, the
    longer text first."""


def check(settings: TextClassificationSettings) -> None:
    """Check that the settings fit together.

    Raises:
        ValueError: naming those that do not.

    """
    names_of_labels(settings.label_names)
    check_labels(settings.problem, settings.class_weights, settings.label_smoothing)
    _check_unlabelled(settings)
    if settings.few_labels == "off":
        if settings.pair_epochs != type(settings).model_fields["pair_epochs"].default:
            raise ValueError("pair_epochs is of pairs, and few_labels is 'off': give few_labels 'pairs' too")
        return
    check_pairs(settings.problem)
    for name in ("teacher", "loss", "warm_up_data"):
        if getattr(settings, name):
            raise ValueError(f"{name} and few_labels 'pairs' exclude each other")
    if settings.batch_size < 2:
        raise ValueError("few_labels 'pairs' and batch_size 1 exclude each other: a pair is of two texts of a batch")
    if settings.freeze == "encoder":
        raise ValueError("freeze 'encoder' and few_labels 'pairs' exclude each other: pairs teach the encoder")


def _check_unlabelled(settings: TextClassificationSettings) -> None:
    if not settings.unlabelled:
        for name in ("unlabelled_most", "unlabelled_confidence"):
            if getattr(settings, name) != type(settings).model_fields[name].default:
                raise ValueError(f"{name} is of texts without labels, and unlabelled names none")
        return
    if settings.few_labels != "off":
        raise ValueError(f"few_labels {settings.few_labels!r} and unlabelled exclude each other")
    for name in ("teacher", "loss", "warm_up_data", "folds"):
        if getattr(settings, name):
            raise ValueError(f"{name} and unlabelled exclude each other")
    check_one_label(settings.problem)


def check_one_label(problem: str) -> None:
    """Check that a model can label texts for a second training.

    Raises:
        ValueError: if texts have a number, or any number of labels.

    """
    if problem in ("regression", "multi-label"):
        raise ValueError(f"unlabelled texts are given one label each, and problem is {problem}")


def check_pairs(problem: str) -> None:
    """Check that pairs of texts can be like or unlike.

    Raises:
        ValueError: if texts have a number, or any number of labels.

    """
    if problem in ("regression", "multi-label"):
        raise ValueError(f"few_labels 'pairs' is of texts with one label each, and problem is {problem}")


def names_of_labels(text: str) -> tuple[str, ...]:
    """The names that ``label_names`` holds.

    Raises:
        ValueError: if it is a JSON list of something else than names, or has one twice.

    """
    if not text.strip():
        return ()
    try:
        names = json.loads(text) if text.lstrip().startswith("[") else [part.strip() for part in text.split(",")]
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"label_names ({text!r}) must be names parted by commas, or a JSON list of them")
    if len(set(names)) < len(names):
        raise ValueError(f"label_names ({text!r}) has a name twice")
    return tuple(names)


def check_labels(problem: str, class_weights: str, label_smoothing: float) -> None:
    """Check that nothing is said of labels where a number is to be predicted.

    Raises:
        ValueError: naming what was said.

    """
    for name, value in (("class_weights", class_weights), ("label_smoothing", label_smoothing)):
        if problem == "regression" and value:
            raise ValueError(f"{name} and the problem regression exclude each other: a number has no label")
