"""The training loop, one for every task: batch, loss, backward, step, log, evaluate, save."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from distiltune.data.feature_set import FeatureSet
from distiltune.data.loader import FeatureIds, epoch_order, packed_ahead, share, split_batches
from distiltune.data.packing import PackedBatch
from distiltune.device import give_back_freed_memory
from distiltune.training.gradients import Gradients
from distiltune.training.optimiser import set_learning_rate

STEPS_BETWEEN_TRIMS = 50
"""Often enough that memory does not grow, seldom enough that faulting it in again costs less than 1 % of a step."""

Metrics = Mapping[str, float]
Evaluate = Callable[[], Metrics]


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
class StepReport:
    """One line of the log: means over the steps since the last such line.

    ``step`` counts optimiser steps of the whole run from 0 and is the last one covered; ``tokens_per_second`` counts
    real tokens of training only.
    """

    epoch: int
    step: int
    n_steps: int
    loss: float
    learning_rate: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What an epoch came to: training metrics are means over it as it ran, validation ones are taken at its end."""

    epoch: int
    train: Metrics
    validation: Metrics
    learning_rate: float
    train_seconds: float
    validation_seconds: float
    n_features: int
    n_tokens: int


class Watcher(Protocol):
    """Whoever wants to know how the training goes: the log, the progress bar, the keeper of the best epoch."""

    def on_step(self, report: StepReport) -> None:
        """Called every ``log_every`` steps and at the end of an epoch."""

    def on_epoch(self, report: EpochReport) -> bool:
        """Called after each epoch's evaluation; returns whether to go on."""


def count_steps(n_features: int, batch_size: int, accumulation_steps: int) -> int:
    """Optimiser steps in an epoch, the last and smaller one included."""
    return -(-n_features // (batch_size * accumulation_steps))


def train(
    model: nn.Module,
    features: FeatureSet,
    gradients: Gradients,
    metric_names: tuple[str, ...],
    optimiser: torch.optim.Optimizer,
    learning_rate_at: Callable[[int], float],
    settings: LoopSettings,
    evaluate: Evaluate,
    watcher: Watcher,
    device: torch.device,
    place: int = 0,
    n_places: int = 1,
) -> None:
    """Train ``model`` in place for ``settings.epochs`` epochs, or until the watcher says stop.

    Nothing is read back from the device between two log lines, so that no step waits for it. Of every batch this
    process takes what is dealt to its ``place`` among ``n_places``; the reports are of all.
    """
    steps_per_epoch = count_steps(len(features), settings.batch_size, settings.accumulation_steps)
    n_steps = steps_per_epoch * settings.epochs
    lengths = features.lengths
    step = 0
    for epoch in range(settings.epochs):
        model.train()
        clock = _Clock(len(metric_names), device)
        order = epoch_order(len(features), settings.seed, epoch)
        for batches, packed in _steps(features, order, settings, gradients.n_parts, place, n_places):
            learning_rate = learning_rate_at(step)
            set_learning_rate(optimiser, learning_rate)
            step_weight = sum(map(features.weight, batches)) or 1.0
            for ids in batches:
                metrics = gradients.add(next(packed), step_weight)
                clock.add(metrics, len(ids), features.weight(ids), int(lengths[ids].sum()))
            gradients.finish()
            if settings.max_gradient_norm > 0.0:
                nn.utils.clip_grad_norm_(model.parameters(), settings.max_gradient_norm)
            optimiser.step()
            gradients.clear()
            step += 1
            if step % STEPS_BETWEEN_TRIMS == 0:
                give_back_freed_memory()
            if step % settings.log_every == 0 or step % steps_per_epoch == 0:
                loss, rate = clock.lap()
                watcher.on_step(StepReport(epoch, step - 1, n_steps, loss, learning_rate, rate))

        train_metrics = dict(zip(metric_names, clock.means(), strict=True))
        train_seconds = clock.seconds()
        began = time.perf_counter()
        validation = evaluate()
        report = EpochReport(
            epoch=epoch,
            train=train_metrics,
            validation=validation,
            learning_rate=learning_rate,
            train_seconds=train_seconds,
            validation_seconds=time.perf_counter() - began,
            n_features=clock.n_features,
            n_tokens=clock.n_tokens,
        )
        if not watcher.on_epoch(report):
            return


def _steps(
    features: FeatureSet, order: FeatureIds, settings: LoopSettings, n_parts: int, place: int, n_places: int
) -> Iterator[tuple[list[FeatureIds], Iterator[Sequence[PackedBatch]]]]:
    """For each optimiser step the features of its batches, and where to take this process's parts of them from."""
    groups = split_batches(order, settings.batch_size * settings.accumulation_steps)
    steps = [split_batches(group, settings.batch_size) for group in groups]
    mine = [share(features.lengths, ids, place, n_places) for batches in steps for ids in batches]
    packed = packed_ahead(features, mine, n_parts)
    for batches in steps:
        yield batches, packed


class _Clock:
    """Sums of an epoch, and of the stretch since the last log line, kept on the device.

    Means are over what features weigh, as the loss of a step is.
    """

    def __init__(self, n_metrics: int, device: torch.device) -> None:
        self.epoch_sums = torch.zeros(n_metrics, dtype=torch.float64, device=device)
        self.lap_sums = torch.zeros(n_metrics, dtype=torch.float64, device=device)
        self.n_features = self.n_tokens = self.lap_tokens = 0
        self.weight = self.lap_weight = 0.0
        self.began = self.lap_began = time.perf_counter()

    def add(self, sums: Tensor, n_features: int, weight: float, n_tokens: int) -> None:
        """Count one batch."""
        self.lap_sums += sums
        self.n_features += n_features
        self.lap_weight += weight
        self.lap_tokens += n_tokens

    def lap(self) -> tuple[float, float]:
        """Close a stretch: its mean loss and its tokens a second. Waits for the device."""
        loss = float(self.lap_sums[0]) / (self.lap_weight or 1.0)
        now = time.perf_counter()
        rate = self.lap_tokens / (now - self.lap_began)
        self.epoch_sums += self.lap_sums
        self.weight += self.lap_weight
        self.n_tokens += self.lap_tokens
        self.lap_sums.zero_()
        self.lap_tokens, self.lap_weight = 0, 0.0
        self.lap_began = now
        return loss, rate

    def means(self) -> list[float]:
        """The epoch's means, in the order of the metric names."""
        return [float(value) / (self.weight or 1.0) for value in self.epoch_sums.tolist()]

    def seconds(self) -> float:
        """Since the epoch began."""
        return time.perf_counter() - self.began
