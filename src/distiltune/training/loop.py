"""The training loop, one for every task: batch, loss, backward, step, log, evaluate, save."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from distiltune.data.feature_set import FeatureSet
from distiltune.data.loader import FeatureIds, packed_ahead, share, split_batches
from distiltune.data.packing import PackedBatch
from distiltune.errors import DivergedError
from distiltune.model.encoder import model_device
from distiltune.system.device import give_back_freed_memory, widest_float
from distiltune.training.finite import BadStep
from distiltune.training.gradients import gradients_of
from distiltune.training.setup import TrainingSetup
from distiltune.training.step_end import StepEnd

STEPS_BETWEEN_TRIMS = 50
"""Often enough that memory does not grow, seldom enough that faulting it in again costs less than 1 % of a step."""

Metrics = Mapping[str, float]
Evaluate = Callable[[], Metrics]


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
    n_skipped: int = 0


@dataclass(frozen=True, slots=True)
class LoopState:
    """Where a training stands between two steps: with weights, optimiser and random states, all that it goes on from.

    Attributes:
        epoch: the epoch under way; with all of its steps done, its evaluation is what comes next.
        step: optimiser steps done in the whole run.
        epoch_sums: of each metric over the epoch until the last log line, then the features' weight and number.
        lap_sums: the same since that line.
        epoch_tokens: real tokens of the epoch until the last log line.
        lap_tokens: the same since that line.
        n_skipped: steps of the epoch that were skipped because a number was not finite.
        seconds: spent in training the epoch so far.

    """

    epoch: int = 0
    step: int = 0
    epoch_sums: tuple[float, ...] = ()
    lap_sums: tuple[float, ...] = ()
    epoch_tokens: int = 0
    lap_tokens: int = 0
    n_skipped: int = 0
    seconds: float = 0.0


class Watcher(Protocol):
    """Whoever wants to know how the training goes: the coach, a tracker, a callback. What is inherited does nothing."""

    def on_step(self, report: StepReport) -> None:
        """Called every ``log_every`` steps and at the end of an epoch."""
        return

    def on_epoch(self, report: EpochReport) -> None:
        """Called after each epoch's evaluation."""
        return


class Keeper(Watcher, Protocol):
    """The one watcher that decides when to stop and sees to it that nothing is lost: log, checkpoints, signals."""

    def on_bad_step(self, bad: BadStep) -> None:
        """Called for a step whose loss or gradient is not finite; raises, or returns to have it skipped."""

    def between_steps(self, step: int, state: Callable[[], LoopState]) -> None:
        """Called between two steps, with a way to learn the state; may save it, and may raise to stop here."""

    def before_evaluation(self, state: LoopState) -> None:
        """Called when all steps of an epoch are done: nothing changes until its evaluation ends, much later perhaps."""

    def on_broken_off(self, state: LoopState) -> None:
        """Called when the evaluation is broken off or fails."""

    def after_epoch(self, state: LoopState) -> bool:
        """Called once all have heard of an epoch, with the state at the next one's beginning; whether to go on."""


class NothingKept:
    """Saves nothing, hears no signals, trains to the end, and stops at numbers that are not finite."""

    def on_step(self, report: StepReport) -> None:
        """Nothing."""

    def on_epoch(self, report: EpochReport) -> None:
        """Nothing."""

    def on_bad_step(self, bad: BadStep) -> None:
        """Raise.

        Raises:
            DivergedError: always.

        """
        raise DivergedError(
            f"The loss or a gradient is not a finite number at step {bad.step} "
            f"(learning rate {bad.learning_rate:.3g}).",
            where=f"features {bad.feature_ids}",
            fix="lower the learning rate, or look at these features",
        )

    def between_steps(self, step: int, state: Callable[[], LoopState]) -> None:
        """Nothing."""

    def before_evaluation(self, state: LoopState) -> None:
        """Nothing."""

    def on_broken_off(self, state: LoopState) -> None:
        """Nothing."""

    def after_epoch(self, state: LoopState) -> bool:
        """Go on."""
        return True


def train(
    setup: TrainingSetup,
    evaluate: Evaluate,
    keeper: Keeper,
    watchers: Sequence[Watcher] = (),
    start: LoopState = LoopState(),
) -> None:
    """Train the model of ``setup`` in place for its epochs, or until the keeper says stop.

    Nothing is read back from a GPU between two log lines, so that no step waits for it; a ``keeper`` of several
    processes makes them wait for each other's hosts (see ``largest_of_all``). Of every batch this process takes what is
    dealt to it; the reports are of all. From a ``start`` that is not the beginning it goes on exactly as if it had
    never stopped, given the weights, optimiser and random states of then. ``watchers`` are told in their order.
    """
    settings, optimiser, device = setup.loop, setup.optimiser, model_device(setup.model)
    lengths, step, plan = setup.features.lengths, start.step, setup.plan
    ending = StepEnd(setup, keeper.on_bad_step)
    with gradients_of(setup) as gradients:
        for epoch in range(start.epoch, settings.epochs):
            setup.model.train()
            features = setup.features.of_epoch(settings.seed, epoch)
            clock = _Clock(len(setup.metric_names), device, start if epoch == start.epoch else LoopState())
            n_done = step - plan.starts[epoch]
            learning_rate = setup.learning_rate_at(step - 1) if n_done else 0.0
            for batches, packed in _steps(setup, features, epoch, n_done, gradients.n_parts):
                learning_rate = optimiser.learning_rate = setup.learning_rate_at(step)
                step_weight = sum(map(features.weight, batches)) or 1.0
                for ids in batches:
                    metrics = gradients.add(next(packed), step_weight)
                    clock.add(metrics, len(ids), features.weight(ids), int(lengths[ids].sum()))
                gradients.finish()
                clock.admit(ending.take(BadStep(epoch, step, learning_rate, tuple(batches)), clock.step_sums))
                gradients.clear()
                step += 1
                if setup.average is not None:
                    setup.average.after_step(step)
                if step % STEPS_BETWEEN_TRIMS == 0:
                    give_back_freed_memory()
                if step % settings.log_every == 0 or step == plan.starts[epoch + 1]:
                    clock.n_skipped += ending.settle()
                    loss, rate = clock.lap()
                    report = StepReport(epoch, step - 1, plan.n_steps, loss, learning_rate, rate)
                    for listener in (keeper, *watchers):
                        listener.on_step(report)
                keeper.between_steps(step, partial(clock.state, epoch, step, ending))

            ended = _end_epoch(setup, clock, clock.state(epoch, step, ending), learning_rate, evaluate, keeper)
            with _as_kept(setup, epoch):
                for listener in (keeper, *watchers):
                    listener.on_epoch(ended)
            if setup.average is not None:
                setup.average.after_epoch(epoch)
            if not keeper.after_epoch(LoopState(epoch + 1, step)):
                return


def _end_epoch(
    setup: TrainingSetup, clock: _Clock, state: LoopState, learning_rate: float, evaluate: Evaluate, keeper: Keeper
) -> EpochReport:
    """Evaluate, and put the epoch's figures together; an evaluation that is broken off is told to the keeper."""
    keeper.before_evaluation(state)
    began = time.perf_counter()
    try:
        with _as_kept(setup, state.epoch):
            validation = evaluate()
    except BaseException:
        keeper.on_broken_off(state)
        raise
    return EpochReport(
        epoch=state.epoch,
        train=dict(zip(setup.metric_names, clock.means(), strict=True)),
        validation=validation,
        learning_rate=learning_rate,
        train_seconds=state.seconds,
        validation_seconds=time.perf_counter() - began,
        n_features=clock.n_features,
        n_tokens=clock.epoch_tokens,
        n_skipped=clock.n_skipped,
    )


def _as_kept(setup: TrainingSetup, epoch: int) -> AbstractContextManager[None]:
    """Within it, at the end of an epoch, the model has the weights that are evaluated and kept."""
    return nullcontext() if setup.average is None else setup.average.in_place(epoch)


def _steps(
    setup: TrainingSetup, features: FeatureSet, epoch: int, n_done: int, n_parts: int
) -> Iterator[tuple[list[FeatureIds], Iterator[Sequence[PackedBatch]]]]:
    """For each step from ``n_done`` on the features of its batches, and where to take this process's parts from."""
    settings, here, together = setup.loop, setup.here, features.group_of
    size = settings.batch_size * settings.accumulation_steps
    groups = [ids for stretch in setup.stretches(epoch) for ids in split_batches(stretch, size, together)][n_done:]
    steps = [split_batches(group, settings.batch_size, together) for group in groups]
    mine = [share(features, ids, here.rank, here.world_size) for batches in steps for ids in batches]
    packed = packed_ahead(features, mine, n_parts)
    for batches in steps:
        yield batches, packed


class _Clock:
    """Sums of a step, of the stretch since the last log line and of the epoch, kept on the device.

    Each is ``(n_metrics + 2,)``: the metrics' sums, what the features weigh, by which means are taken as the loss of
    a step is, and the number of features.
    """

    def __init__(self, n_metrics: int, device: torch.device, start: LoopState) -> None:
        def sums(values: tuple[float, ...]) -> Tensor:
            return torch.tensor(values or (0.0,) * (n_metrics + 2), dtype=widest_float(device), device=device)

        self.step_sums, self.lap_sums, self.epoch_sums = sums(()), sums(start.lap_sums), sums(start.epoch_sums)
        self.step_tokens, self.lap_tokens, self.epoch_tokens = 0, start.lap_tokens, start.epoch_tokens
        self.n_skipped = start.n_skipped
        self.rate_tokens = 0  # of this process, for the rate
        self.lap_began = time.perf_counter()
        self.began = self.lap_began - start.seconds

    def add(self, sums: Tensor, n_features: int, weight: float, n_tokens: int) -> None:
        """Count one batch of the step under way."""
        self.step_sums[:-2] += sums
        self.step_sums[-2:-1] += weight
        self.step_sums[-1:] += n_features
        self.step_tokens += n_tokens

    def admit(self, is_good: Tensor | bool) -> None:
        """Count the step, or forget its figures; its tokens were worked through in any case."""
        if isinstance(is_good, Tensor):
            self.lap_sums += torch.where(is_good, self.step_sums, 0.0)
        elif is_good:
            self.lap_sums += self.step_sums
        self.step_sums.zero_()
        self.lap_tokens += self.step_tokens
        self.rate_tokens += self.step_tokens
        self.step_tokens = 0

    def lap(self) -> tuple[float, float]:
        """Close a stretch: its mean loss and its tokens a second. Waits for the device."""
        sums = self.lap_sums.tolist()
        loss = _mean(sums[0], *sums[-2:])
        now = time.perf_counter()
        rate = self.rate_tokens / (now - self.lap_began)
        self.epoch_sums += self.lap_sums
        self.epoch_tokens += self.lap_tokens
        self.lap_sums.zero_()
        self.lap_tokens = self.rate_tokens = 0
        self.lap_began = now
        return loss, rate

    @property
    def n_features(self) -> int:
        """Features of the epoch until the last line."""
        return int(self.epoch_sums[-1])

    def means(self) -> list[float]:
        """The epoch's means, in the order of the metric names."""
        *sums, weight, n_features = self.epoch_sums.tolist()
        return [_mean(value, weight, n_features) for value in sums]

    def state(self, epoch: int, step: int, ending: StepEnd) -> LoopState:
        """What a later process goes on from. Waits for the device."""
        self.n_skipped += ending.settle()
        return LoopState(
            epoch,
            step,
            tuple(self.epoch_sums.tolist()),
            tuple(self.lap_sums.tolist()),
            self.epoch_tokens,
            self.lap_tokens,
            self.n_skipped,
            time.perf_counter() - self.began,
        )


def _mean(total: float, weight: float, n_features: float) -> float:
    """By weight, which is 0 where nothing was to be learnt; not a number where every step was skipped."""
    return total / (weight or 1.0) if n_features else math.nan
