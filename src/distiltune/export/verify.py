"""Whether an exported model says what the original says: logits, answers and scores on the same questions."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from distiltune.inference.predictor import outputs
from distiltune.progress import tell
from distiltune.tasks.base import D, Dataset, Task

TOLERANCE = 1e-4
"""How far outputs may be apart, as a share of the largest; a model of numbers has outputs of any size."""

_SMALLEST_SCALE = 0.1  # outputs are sums of terms that may be as large, though they are smaller themselves
_FEATURES_COMPARED = 256
_BATCH_TOKENS = 4_096


@dataclass(frozen=True, slots=True)
class Measured:
    """A model on a data set: every answer by the example's id, and the task's figures."""

    answers: Mapping[str, Any]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ExportComparison:
    """An exported model beside the original.

    Attributes:
        n_examples: how many both were asked.
        n_equal: how many got the same answer; numbers are the same within `TOLERANCE`.
        max_logit_difference: largest difference of any logit, over at most 256 windows.
        max_logit: largest size of any logit of the original in these.
        score_name: of the figure that is compared: the task's own, the higher the better; empty if the data has no gold
            answers to measure it by.
        score: of the exported model, in percent; None if there is none or it is no finite number.
        score_original: of the original, likewise.

    """

    n_examples: int
    n_equal: int
    max_logit_difference: float
    max_logit: float
    score_name: str
    score: float | None
    score_original: float | None

    @property
    def lost(self) -> float:
        """Points of the score that the export costs; below 0 if it gains, infinite if that is not known."""
        if self.score is None or self.score_original is None:
            return math.inf
        return self.score_original - self.score

    @property
    def is_faithful(self) -> bool:
        """Whether all answers are the same, and all logits within `TOLERANCE` of the largest."""
        return self.n_equal == self.n_examples and self.max_logit_difference <= _tolerance(self.max_logit)

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return asdict(self)


def measure(task: Task[D], model: nn.Module, data: D, stage: str = "measuring") -> Measured:
    """Answer every example of a data set; ``stage`` is what that is called where it is told how far it is."""

    def on_progress(n_done: int) -> None:
        tell(stage, "examples", n_done, data.n_examples)

    with tempfile.TemporaryDirectory() as directory:
        metrics = task.evaluate(model, data, Path(directory), on_progress).metrics
        answers = _read_answers(Path(directory) / task.prediction_files[0])
    return Measured(answers, metrics)


def _read_answers(path: Path) -> dict[str, Any]:
    """Answers by id: one JSON object of them, or a line for each, of which figures of confidence are no part."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        answers: dict[str, Any] = json.loads(text)
        return answers
    return {line["id"]: _without_scores(line) for line in map(json.loads, text.splitlines())}


def _without_scores(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_scores(v) for k, v in value.items() if k not in ("score", "scores")}
    if isinstance(value, list):
        return [_without_scores(each) for each in value]
    return value


def has_score(task: Task[D], measured: Measured) -> bool:
    """Whether there is a figure to compare by: not where the data has no gold answers."""
    return math.isfinite(measured.metrics.get(_score_name(task, measured), math.nan))


def _score_name(task: Task[D], measured: Measured) -> str:
    """The task's headline that tells the most; empty if none was measured."""
    names = [each for each in task.guide(measured.metrics).headlines if each in measured.metrics]
    # An F1 counts what is right in part too, so it moves sooner than a share of what is wholly right.
    return next((each for each in names if each.endswith("f1")), next(iter(names), ""))


def compare(
    task: Task[D], original: nn.Module, exported: nn.Module, data: D, before: Measured, after: Measured
) -> ExportComparison:
    """Put the measurements of two models on the same data beside each other, and compare their logits."""
    name = _score_name(task, before)
    unit = 1.0 if task.guide(before.metrics).label(name).unit == "percent" else 100.0
    difference, largest = _compare_logits(original, exported, data)
    within = _tolerance(largest)
    return ExportComparison(
        n_examples=len(before.answers),
        n_equal=sum(_is_equal(after.answers.get(id_), answer, within) for id_, answer in before.answers.items()),
        max_logit_difference=difference,
        max_logit=largest,
        score_name=name,
        score=_score(after, name, unit),
        score_original=_score(before, name, unit),
    )


def _tolerance(largest: float) -> float:
    """How far outputs may be apart where the largest is so large."""
    return TOLERANCE * max(largest, _SMALLEST_SCALE)


def _is_equal(one: Any, other: Any, within: float) -> bool:
    """Whether two answers are the same, numbers in them up to ``within``."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_equal(one[key], other[key], within) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=within)
    return bool(one == other)


def _score(of: Measured, name: str, unit: float) -> float | None:
    score = unit * of.metrics.get(name, math.nan)
    return score if math.isfinite(score) else None


def _compare_logits(original: nn.Module, exported: nn.Module, data: Dataset) -> tuple[float, float]:
    """The largest difference and the original's largest logit, over features spread through the set by length."""
    features = data.features
    numbers = np.unique(np.linspace(0, len(features) - 1, _FEATURES_COMPARED).astype(np.int64))
    pairs = zip(
        outputs(original, features, numbers, _BATCH_TOKENS),
        outputs(exported, features, numbers, _BATCH_TOKENS),
        strict=True,
    )
    found = [
        [float((left.cpu() - right.cpu()).abs().max()), float(left.abs().max())] for (_, left), (_, right) in pairs
    ]
    difference, largest = np.max(found, axis=0).tolist()  # which keeps a NaN, as `max` may not
    return difference, largest
