"""What the engine asks of a task. A task is one folder beside this file and one line in ``tasks/__init__``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from distiltune.data.packing import PackedBatch


@dataclass(frozen=True, slots=True)
class StepSums:
    """What a task's loss says of one batch.

    Attributes:
        loss: scalar, the SUM of the features' losses; whoever differentiates it divides by the features of the step.
        metrics: ``(n_metrics,)`` sums over the features in the order of the task's metric names, detached.

    """

    loss: Tensor
    metrics: Tensor


Objective = Callable[[Tensor, PackedBatch], StepSums]
"""The head's output and its batch → loss and metrics as sums."""
