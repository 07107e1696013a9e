"""From a part of a batch to gradients, and what whoever does that for a training has to offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.system.device import Precision, arithmetic
from distiltune.training.objective import Objective


class Gradients(Protocol):
    """Whoever turns batches into the gradients of a model's parameters."""

    @property
    def n_parts(self) -> int:
        """Into how many parts a batch is best cut."""

    def add(self, parts: Sequence[PackedBatch], step_weight: float) -> Tensor:
        """Add the gradients of a batch's parts, each feature weighing 1 / ``step_weight``.

        Returns the objective's metrics, ``(n_metrics,)``, summed over the features, on the model's device; without
        parts they are empty, ``(0,)``.
        """

    def finish(self) -> None:
        """Make the gradients whole, before the optimiser's step."""

    def clear(self) -> None:
        """Forget the gradients, after the optimiser's step."""


def total(sums: Sequence[Tensor]) -> Tensor:
    """The sum of tensors of one shape; of none, a tensor of no elements."""
    return torch.stack(list(sums)).sum(0) if sums else torch.empty(0)


def add_gradients(
    model: nn.Module, objective: Objective, part: PackedBatch, weight: float | Tensor, precision: Precision
) -> Tensor:
    """Add to the parameters' gradients those of a part, each feature with ``weight``; returns the metrics' sums."""
    with arithmetic(precision, part.token_ids.device):
        output = model(part)
    sums = objective(output, part)
    (sums.loss * weight).backward()  # type: ignore[no-untyped-call]
    return sums.metrics
