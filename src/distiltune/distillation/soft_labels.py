"""Distillation while fine-tuning: the labels, and beside them the answers of a teacher that was fine-tuned before."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from distiltune.data.packing import PackedBatch
from distiltune.training.objective import Divergence, Objective, StepSums


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """A task's loss with a teacher's softened answers in it (Hinton et al. 2015; Sanh et al. 2019, section 3).

    Attributes:
        hard: the task's own loss, against the labels.
        divergence: how far the student's output is from the teacher's.
        temperature: what both are divided by before they are compared.
        weight: of the divergence in the loss; the labels have the rest.

    """

    hard: Objective
    divergence: Divergence
    temperature: float
    weight: float

    def __call__(self, output: Tensor, batch: PackedBatch) -> StepSums:
        """The loss, summed over the features. The metrics are the task's own, the loss against the labels among them.

        So the figures of training and of validation, where no teacher is asked, mean the same.
        """
        assert batch.targets is not None
        sums = self.hard(output, batch)
        soft = self.divergence(output, batch.targets, batch, self.temperature)
        loss = (1.0 - self.weight) * sums.loss + self.weight * soft
        return StepSums(loss, sums.metrics)
