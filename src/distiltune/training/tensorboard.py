"""The log's figures as TensorBoard events too, under the log's names; needs the extra ``tensorboard``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from distiltune.errors import TrainingError, install_extra
from distiltune.training.loop import EpochReport, StepReport


def open_events(directory: Path, steps_done: int = 0) -> Any:
    """A writer of TensorBoard events into ``directory``; what lies there from ``steps_done`` on is not shown again.

    Raises:
        TrainingError: if TensorBoard is not installed.

    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainingError(
            "TensorBoard events were asked for, and TensorBoard is not installed.",
            where="recipe: tensorboard",
            fix=f"leave --tensorboard out, or install it: {install_extra('tensorboard')}",
        ) from error
    return SummaryWriter(str(directory), purge_step=steps_done or None)


class EventsWatcher:
    """A loop's watcher that writes what it is told as events."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def on_step(self, report: StepReport) -> None:
        """``step/loss``, ``step/learning_rate``, ``step/tokens_per_second`` at the step's number."""
        for name in ("loss", "learning_rate", "tokens_per_second"):
            self._add(f"step/{name}", getattr(report, name), report.step)

    def on_epoch(self, report: EpochReport) -> None:
        """``epoch/train/…`` and ``epoch/validation/…`` at the epoch's number."""
        for of, metrics in (("train", report.train), ("validation", report.validation)):
            for name, value in metrics.items():
                self._add(f"epoch/{of}/{name}", value, report.epoch)
        self._writer.flush()

    def _add(self, name: str, value: float, at: int) -> None:
        if math.isfinite(value):
            self._writer.add_scalar(name, value, at)
