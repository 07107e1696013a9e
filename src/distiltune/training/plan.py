"""How many optimiser steps each epoch has: as many as the others, or more where other data are read as well."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from distiltune.progress import counted


@dataclass(frozen=True, slots=True)
class StepPlan:
    """The steps of a training, epoch by epoch.

    Attributes:
        starts: ``(n_epochs + 1,)`` the number of steps before each epoch, and at last that of all.

    """

    starts: tuple[int, ...]

    @staticmethod
    def of(steps: Sequence[int]) -> StepPlan:
        """The plan of epochs with so many steps each."""
        return StepPlan((0, *accumulate(steps)))

    @property
    def n_epochs(self) -> int:
        """How many epochs."""
        return len(self.starts) - 1

    @property
    def n_steps(self) -> int:
        """Of all epochs."""
        return self.starts[-1]

    @property
    def usual(self) -> int:
        """Steps of the last epoch: of the others too, but for those in which more is read."""
        return self.in_epoch(self.n_epochs - 1)

    def in_epoch(self, epoch: int) -> int:
        """Steps of that epoch, counted from 0."""
        return self.starts[epoch + 1] - self.starts[epoch]

    def epoch_of(self, step: int) -> int:
        """The epoch that a step is of, both counted from 0; the last for all steps beyond."""
        return min(self.n_epochs - 1, max(0, bisect_right(self.starts, step) - 1))

    def place(self, n_done: int) -> float:
        """How many epochs so many steps are, with the share of the one under way."""
        epoch = self.epoch_of(n_done)
        return epoch + (n_done - self.starts[epoch]) / max(1, self.in_epoch(epoch))

    def __str__(self) -> str:
        steps = [self.in_epoch(epoch) for epoch in range(self.n_epochs)]
        if len(set(steps)) == 1:
            return f"{counted(self.n_epochs, 'epoch')} of {counted(steps[0], 'step')}"
        if len(set(steps[1:])) == 1:
            return f"{self.n_epochs} epochs, the first of {steps[0]:,} steps, the others of {steps[1]:,}"
        return f"{self.n_epochs} epochs of {min(steps):,} to {max(steps):,} steps"
