"""What a training asks of whatever it trains for: a loss as sums over features, and the columns of the epoch table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from distiltune.data.packing import PackedBatch


@dataclass(frozen=True, slots=True)
class StepSums:
    """What a task's loss says of one batch.

    Attributes:
        loss: scalar, the SUM of the features' losses, each as heavy as it weighs (`FeatureSet.weights`); whoever
            differentiates it divides by the weight of the step's features.
        metrics: ``(n_metrics,)`` sums over the features in the order of the task's metric names, detached.

    """

    loss: Tensor
    metrics: Tensor


Objective = Callable[[Tensor, PackedBatch], StepSums]
"""A task's loss: the head's output, a row a token or a row a sequence, and its batch → loss and metrics as sums."""


Divergence = Callable[[Tensor, Tensor, PackedBatch, float], Tensor]
"""How far a student's output is from a teacher's: both outputs, their batch, and the temperature → a scalar, the sum
over the features, which weighs as much against the task's loss whatever the temperature is."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of the epoch table: a metric of the training epoch or of the validation."""

    title: str
    of: str  # "train" or "validation"
    metric: str
