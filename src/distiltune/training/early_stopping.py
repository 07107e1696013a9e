"""Which epoch is best, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from distiltune.errors import TrainingError
from distiltune.training.loop import EpochReport

Better = Literal["lower", "higher"]
Kind = Literal["share", "correlation"]


@dataclass(frozen=True, slots=True)
class Spread:
    """How far chance carries a score of the validation data.

    Attributes:
        n: how many independent things it is taken over, above 0.
        whole: what it is at best, 1 or 100.
        kind: ``share`` of n things, or ``correlation`` over n pairs.

    """

    n: float
    whole: float = 1.0
    kind: Kind = "share"

    def standard_error(self, score: float) -> float:
        """Of a score of that size, in its own unit: of a share √(p(1-p)/n), of a correlation (1-r²)/√(n-3).

        A mean of figures between 0 and ``whole``, such as F1, varies by no more than a share does.
        """
        if self.kind == "correlation":
            return self.whole if self.n <= 3 else (1 - min(1.0, score**2)) / math.sqrt(self.n - 3)
        share = min(1.0, max(0.0, score / self.whole))
        return self.whole * math.sqrt(share * (1 - share) / self.n)


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """What is known of the best epoch so far.

    Attributes:
        better: whether a lower or a higher value of the monitored metric is better.
        min_change: smallest change that counts as an improvement.
        spread: how far chance carries the metric, where a later epoch is kept that it does not tell from the best: the
            rule of one standard error (Breiman et al. 1984, "Classification and regression trees", section 3.4.3).
            The rate has come further down by then, and the best of many noisy values is a lucky one. None: the best.
        epoch: the epoch that is kept, -1 before the first.
        value: its metric.
        top: the best value of the metric.
        n_since: epochs since there was a better one than all before.

    """

    better: Better
    min_change: float = 0.0
    spread: Spread | None = None
    epoch: int = -1
    value: float = math.nan
    top: float = math.nan
    n_since: int = 0

    def after(self, epoch: int, value: float) -> BestEpoch:
        """What is known once ``epoch`` ended with ``value``; a NaN is never an improvement."""
        if self._improves(value):
            return replace(self, epoch=epoch, value=value, top=value, n_since=0)
        since = self.n_since + 1
        if self._equals_best(value):
            return replace(self, epoch=epoch, value=value, n_since=since)
        return replace(self, n_since=since)

    def memory(self) -> dict[str, float]:
        """What is to be kept of it, so that a run that is resumed goes on by it."""
        return {"epoch": self.epoch, "value": self.value, "top": self.top, "n_since": self.n_since}

    def remembering(self, memory: Mapping[str, Any]) -> Self:
        """The same rule, with what ``memory()`` gave."""
        return replace(self, **memory)

    def should_stop(self, patience: int) -> bool:
        """Whether ``patience`` epochs have passed without an improvement; 0 means never."""
        return patience > 0 and self.n_since >= patience

    def _improves(self, value: float) -> bool:
        if math.isnan(value):
            return False
        if self.epoch < 0:
            return True
        gain = self.top - value if self.better == "lower" else value - self.top
        return gain > self.min_change

    def _equals_best(self, value: float) -> bool:
        if self.spread is None or self.epoch < 0 or math.isnan(value):
            return False
        return abs(self.top - value) <= self.spread.standard_error(self.top)


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
