"""Whether an exported model says what the original says: logits, answers and scores on the same questions."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from distiltune.inference.predictor import outputs
from distiltune.tasks.base import Dataset, Task

LOGIT_TOLERANCE = 1e-4
_FEATURES_COMPARED = 256
_BATCH_TOKENS = 4_096


@dataclass(frozen=True, slots=True)
class Measured:
    """A model on a data set: every answer by the example's id, and the task's figures."""

    answers: Mapping[str, Any]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """An exported model beside the original.

    Attributes:
        n_examples: how many both were asked.
        n_equal: how many got the same answer.
        max_logit_difference: largest difference of any logit, over at most 256 windows.
        score_name: of the figure that is compared: the task's own, the higher the better.
        score: of the exported model, in percent.
        score_original: of the original, likewise.

    """

    n_examples: int
    n_equal: int
    max_logit_difference: float
    score_name: str
    score: float
    score_original: float

    @property
    def lost(self) -> float:
        """Points of the score that the export costs; below 0 if it gains."""
        return self.score_original - self.score

    @property
    def is_faithful(self) -> bool:
        """Whether all answers are the same, and all logits within `LOGIT_TOLERANCE`."""
        return self.n_equal == self.n_examples and self.max_logit_difference <= LOGIT_TOLERANCE

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return asdict(self)


def measure(task: Task, model: nn.Module, data: Dataset) -> Measured:
    """Answer every example of a data set."""
    with tempfile.TemporaryDirectory() as directory:
        metrics = task.evaluate(model, data, Path(directory)).metrics
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
    return round(value, 3) if isinstance(value, float) else value


def compare(
    task: Task, original: nn.Module, exported: nn.Module, data: Dataset, before: Measured, after: Measured
) -> Comparison:
    """Put the measurements of two models on the same data beside each other, and compare their logits."""
    measured = [each for each in task.guide(before.metrics).headlines if each in before.metrics]
    # An F1 counts what is right in part too, so it moves sooner than a share of what is wholly right.
    name = next((each for each in measured if each.endswith("f1")), next(iter(measured), "loss"))
    unit = 1.0 if task.guide(before.metrics).label(name).unit == "percent" else 100.0
    return Comparison(
        n_examples=len(before.answers),
        n_equal=sum(after.answers.get(name) == answer for name, answer in before.answers.items()),
        max_logit_difference=_logit_difference(original, exported, data),
        score_name=name,
        score=unit * after.metrics.get(name, float("nan")),
        score_original=unit * before.metrics.get(name, float("nan")),
    )


def _logit_difference(one: nn.Module, other: nn.Module, data: Dataset) -> float:
    """Over features spread through the set, so that all lengths are there."""
    features = data.features
    numbers = np.unique(np.linspace(0, len(features) - 1, _FEATURES_COMPARED).astype(np.int64))
    pairs = zip(
        outputs(one, features, numbers, _BATCH_TOKENS), outputs(other, features, numbers, _BATCH_TOKENS), strict=True
    )
    return max(float(torch.abs(left.cpu() - right.cpu()).max()) for (_, left), (_, right) in pairs)
