"""Which epoch is best, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from distiltune.errors import TrainingError
from distiltune.training.loop import EpochReport

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """What is known of the best epoch so far.

    Attributes:
        better: whether a lower or a higher value of the monitored metric is better.
        min_change: smallest change that counts as an improvement.
        epoch: the best epoch, -1 before the first.
        value: its metric.
        n_since: epochs since then.

    """

    better: Better
    min_change: float = 0.0
    epoch: int = -1
    value: float = math.nan
    n_since: int = 0

    def after(self, epoch: int, value: float) -> BestEpoch:
        """What is known once ``epoch`` ended with ``value``; a NaN is never an improvement."""
        if self._improves(value):
            return replace(self, epoch=epoch, value=value, n_since=0)
        return replace(self, n_since=self.n_since + 1)

    def should_stop(self, patience: int) -> bool:
        """Whether ``patience`` epochs have passed without an improvement; 0 means never."""
        return patience > 0 and self.n_since >= patience

    def _improves(self, value: float) -> bool:
        if math.isnan(value):
            return False
        if self.epoch < 0:
            return True
        gain = self.value - value if self.better == "lower" else value - self.value
        return gain > self.min_change


def monitored(report: EpochReport, monitor: str) -> float:
    """The monitored metric; without validation data, a number that makes the last finite epoch the best.

    Raises:
        TrainingError: if the validation data give no such figure, as scores of questions without an answer.

    """
    if report.validation:
        name = monitor.removeprefix("validation_")
        if name not in report.validation:
            raise TrainingError(
                f"The validation data give no {name}: there is {', '.join(report.validation)}.",
                where="recipe: monitor",
                fix="watch one of these",
            )
        return report.validation[name]
    return -float(report.epoch) if math.isfinite(report.train["loss"]) else math.nan
