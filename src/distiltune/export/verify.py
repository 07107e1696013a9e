"""Whether an exported model says what the original says: logits, answers and scores on the same questions."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

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

    answers: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """An exported model beside the original.

    Attributes:
        n_examples: how many both were asked.
        n_equal: how many got the same answer.
        max_logit_difference: largest difference of any logit, over at most 256 windows.
        exact_match: of the exported model, in percent.
        f1: likewise.
        f1_original: of the original, in percent.

    """

    n_examples: int
    n_equal: int
    max_logit_difference: float
    exact_match: float
    f1: float
    f1_original: float

    @property
    def f1_lost(self) -> float:
        """Points of F1 that the export costs; below 0 if it gains."""
        return self.f1_original - self.f1

    @property
    def is_faithful(self) -> bool:
        """Whether all answers are the same, and all logits within `LOGIT_TOLERANCE`."""
        return self.n_equal == self.n_examples and self.max_logit_difference <= LOGIT_TOLERANCE

    def as_json(self) -> dict[str, float]:
        """The figures as plain values."""
        return asdict(self)


def measure(task: Task, model: nn.Module, data: Dataset) -> Measured:
    """Answer every example of a data set."""
    with tempfile.TemporaryDirectory() as directory:
        metrics = task.evaluate(model, data, Path(directory)).metrics
        answers = json.loads((Path(directory) / "predictions.json").read_text(encoding="utf-8"))
    return Measured(answers, metrics)


def compare(original: nn.Module, exported: nn.Module, data: Dataset, before: Measured, after: Measured) -> Comparison:
    """Put the measurements of two models on the same data beside each other, and compare their logits."""
    return Comparison(
        n_examples=len(before.answers),
        n_equal=sum(after.answers.get(name) == answer for name, answer in before.answers.items()),
        max_logit_difference=_logit_difference(original, exported, data),
        exact_match=after.metrics.get("exact_match", float("nan")),
        f1=after.metrics.get("f1", float("nan")),
        f1_original=before.metrics.get("f1", float("nan")),
    )


def _logit_difference(one: nn.Module, other: nn.Module, data: Dataset) -> float:
    """Over features spread through the whole set, so that all lengths are among them."""
    features = data.features
    numbers = np.unique(np.linspace(0, len(features) - 1, _FEATURES_COMPARED).astype(np.int64))
    pairs = zip(
        outputs(one, features, numbers, _BATCH_TOKENS), outputs(other, features, numbers, _BATCH_TOKENS), strict=True
    )
    return max(float(torch.max(torch.abs(left.cpu() - right.cpu()))) for (_, left), (_, right) in pairs)
