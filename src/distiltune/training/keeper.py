"""Watches the training loop: logs each report, keeps the last and the best epoch, decides when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from torch import nn

from distiltune.errors import TrainingError
from distiltune.run_directory import RunDirectory
from distiltune.training.checkpoint import Place, write_checkpoint
from distiltune.training.early_stopping import BestEpoch
from distiltune.training.loop import EpochReport, StepReport, Watcher
from distiltune.training.reporter import Reporter
from distiltune.training.run_log import RunLog


def monitored(report: EpochReport, monitor: str) -> float:
    """The monitored metric; without validation data, a number that makes the last finite epoch the best."""
    if report.validation:
        return report.validation[monitor.removeprefix("validation_")]
    return -float(report.epoch) if math.isfinite(report.train["loss"]) else math.nan


@dataclass(slots=True)
class Follower:
    """The watcher of a process that writes nothing and decides as the one that does."""

    best: BestEpoch
    monitor: str
    patience: int
    epochs: list[EpochReport] = field(default_factory=list)

    def on_step(self, report: StepReport) -> None:
        """Nothing to do."""

    def on_epoch(self, report: EpochReport) -> bool:
        """Whether to go on."""
        self.epochs.append(report)
        self.best = self.best.after(report.epoch, monitored(report, self.monitor))
        return not self.best.should_stop(self.patience)


class Asking:
    """A loop's watcher around another one that asks someone after each epoch whether to go on."""

    def __init__(self, watcher: Watcher, go_on: Callable[[EpochReport], bool]) -> None:
        self._watcher, self._go_on = watcher, go_on

    def on_step(self, report: StepReport) -> None:
        """Pass it on."""
        self._watcher.on_step(report)

    def on_epoch(self, report: EpochReport) -> bool:
        """Pass it on, and ask; both are told of every epoch."""
        wanted = self._watcher.on_epoch(report)
        return self._go_on(report) and wanted


class Keeper:
    """A loop's watcher that keeps what the run directory is to hold."""

    def __init__(
        self,
        run: RunDirectory,
        log: RunLog,
        reporter: Reporter,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        best: BestEpoch,
        *,
        monitor: str,
        patience: int,
        steps_per_epoch: int,
    ) -> None:
        self._run, self._log, self._reporter = run, log, reporter
        self._model, self._optimiser, self._best = model, optimiser, best
        self._monitor, self._patience, self._steps_per_epoch = monitor, patience, steps_per_epoch
        self.epochs: list[EpochReport] = []
        self.steps: list[StepReport] = []

    def on_step(self, report: StepReport) -> None:
        """Log it and show it."""
        self.steps.append(report)
        self._log.write("step", **asdict(report))
        self._reporter.step(report)

    def on_epoch(self, report: EpochReport) -> bool:
        """Log it, keep the checkpoint, and say whether to go on."""
        self.epochs.append(report)
        self._best = self._best.after(report.epoch, monitored(report, self._monitor))
        is_best = self._best.epoch == report.epoch
        self._log.write("epoch", **asdict(report), best=is_best)
        if report.validation:
            self._log.write("evaluation", epoch=report.epoch, metrics=dict(report.validation))
        self._keep(report.epoch, is_best)
        self._reporter.epoch(report, is_best)
        if not self._best.should_stop(self._patience):
            return True
        message = (
            f"stopped after epoch {report.epoch}: {self._monitor} has not improved for "
            f"{self._best.n_since} epoch(s); epoch {self._best.epoch} is the best"
        )
        self._log.write("event", event="early_stop", message=message)
        self._reporter.note(message)
        return False

    def best_epoch(self) -> int:
        """The epoch that is kept as the best.

        Raises:
            TrainingError: if no epoch has a monitored value that is a number.

        """
        if self._best.epoch < 0:
            raise TrainingError(
                f"No epoch has a {self._monitor} that is a number, so there is no model to keep.",
                where=str(self._run.log),
                fix="lower --learning-rate",
            )
        return self._best.epoch

    def why_best(self) -> str:
        """Why that epoch, in words."""
        if not self.epochs[-1].validation:
            return "the last epoch; there is no validation data to choose by"
        return f"best {self._monitor}: {self._best.value:.4f}"

    def _keep(self, epoch: int, is_best: bool) -> None:
        place = Place(epochs_done=epoch + 1, steps_done=(epoch + 1) * self._steps_per_epoch)
        state = {"best_epoch": self._best.epoch, "best_value": self._best.value}
        write_checkpoint(self._run.last_checkpoint, self._model, self._optimiser, place, state)
        if is_best:
            write_checkpoint(self._run.best_checkpoint, self._model, None, place, state)
            self._run.keep_predictions()
        self._run.drop_new_predictions()
