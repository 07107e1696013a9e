"""A training as one record: what is trained, on what, towards what and how; who watches it is no part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from distiltune.data.feature_set import FeatureSet
from distiltune.data.loader import FeatureIds, epoch_order
from distiltune.data.warm_up import WarmUp
from distiltune.system.device import Precision
from distiltune.training.average import Average
from distiltune.training.distributed import ALONE, Processes
from distiltune.training.objective import Objective
from distiltune.training.optimiser import Optimiser
from distiltune.training.plan import StepPlan


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """What the loop itself needs to know; the recipe says what each means."""

    epochs: int
    batch_size: int
    accumulation_steps: int
    max_gradient_norm: float
    seed: int
    log_every: int


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """What a training goes by.

    Attributes:
        model: trained in place, its parameters on one device.
        features: what it is trained on.
        objective: what its output is worth.
        metric_names: what the objective's sums are called; the first is the loss.
        optimiser: of the model's parameters.
        learning_rate_at: the rate of each step, counted from 0 over the run.
        loop: epochs, batches, seed.
        precision: of the matrix products.
        here: this process among those that share each batch.
        average: of the model's weights, to be evaluated and kept in their place; None: they are kept themselves.
        warm_up: which of the features are others than the training's own, and when they are read; None: all are.

    """

    model: nn.Module
    features: FeatureSet
    objective: Objective
    metric_names: tuple[str, ...]
    optimiser: Optimiser
    learning_rate_at: Callable[[int], float]
    loop: LoopSettings
    precision: Precision = "float32"
    here: Processes = ALONE
    average: Average | None = None
    warm_up: WarmUp | None = None

    @property
    def plan(self) -> StepPlan:
        """How many steps each epoch has."""
        return step_plan(self.loop, len(self.features), self.warm_up)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps over all features once, the last and smaller one included."""
        return count_steps(len(self.features), self.loop.batch_size, self.loop.accumulation_steps)

    def stretches(self, epoch: int) -> list[FeatureIds]:
        """The features of an epoch in their order, in stretches that no step goes beyond."""
        seed, groups, warm_up = self.loop.seed, self.features.group_of, self.warm_up
        if warm_up is None:
            return [epoch_order(len(self.features), seed, epoch, groups)]
        own = epoch_order(warm_up.n_own, seed, epoch, groups)
        return warm_up.stretches(own, seed, epoch, groups)


def step_plan(loop: LoopSettings, n_features: int, warm_up: WarmUp | None = None) -> StepPlan:
    """How many steps each epoch of a training on so many features has."""

    def steps(epoch: int) -> int:
        lengths = [n_features] if warm_up is None else warm_up.lengths(epoch)
        return sum(count_steps(n, loop.batch_size, loop.accumulation_steps) for n in lengths)

    return StepPlan.of([steps(epoch) for epoch in range(loop.epochs)])


def count_steps(n_features: int, batch_size: int, accumulation_steps: int) -> int:
    """Optimiser steps in an epoch, the last and smaller one included."""
    return -(-n_features // (batch_size * accumulation_steps))
