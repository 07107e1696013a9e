"""Scores beside what a model gets that knows nothing of the texts, with how far chance alone may carry that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distiltune.training.early_stopping import Kind, Spread

Z = 2.576
"""Of an interval of 99 %, and not 95: what is held against it is the best of several epochs and several scores."""


ENOUGH_TO_SCORE = 50
"""Fewer examples than these tell models apart by their loss rather than by their score."""


@dataclass(frozen=True, slots=True)
class BlindScore:
    """What one score of the validation data comes to without reading.

    Attributes:
        metric: the score's name among the validation metrics; higher is better.
        value: what it is for a model that knows only how often which label occurs, in the metric's own unit.
        n: how many independent things the score is taken over.
        whole: what the score is at best, 1 or 100.
        kind: ``share`` of n things; or a ``correlation`` over n pairs.
        who: that model in words, such as ``always 'joy'``.

    """

    metric: str
    value: float
    n: float
    whole: float = 1.0
    kind: Kind = "share"
    who: str = "knowing nothing"

    @property
    def spread(self) -> Spread:
        """How far chance carries this score."""
        return Spread(self.n, self.whole, self.kind)

    @property
    def reach(self) -> float:
        """What chance alone may bring who knows nothing to: Wilson's interval (1927), or Fisher's (1921)."""
        if self.n <= 0:
            return self.whole
        if self.kind == "correlation":
            return math.tanh(Z / math.sqrt(self.n - 3)) if self.n > 3 else self.whole
        return self.whole * (self.value / self.whole + wilson(self.value / self.whole, self.n))

    def is_beaten_by(self, score: float) -> bool:
        """Whether so good a score says that something was learned."""
        return score > self.reach

    def margin_at(self, score: float) -> float:
        """How far a score of that size may lie from what more data would show, in the metric's own unit."""
        if self.n <= 0:
            return self.whole
        if self.kind == "correlation":
            return (1 - score**2) * Z / math.sqrt(self.n - 3) if self.n > 3 else self.whole
        return self.whole * wilson(min(1.0, max(0.0, score / self.whole)), self.n)

    def shown(self, score: float) -> str:
        """The score beside this, in words."""
        decimals = 1 if self.whole == 100.0 else 2
        name = self.metric.replace("_", " ")
        blind = f"{self.who} gets {self.value:.{decimals}f}"
        return f"{name} {score:.{decimals}f}, {blind} (by chance up to {self.reach:.{decimals}f})"


def wilson(share: float, n: float) -> float:
    """From a share, 0 to 1, of n things to the upper end of Wilson's interval."""
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    spread = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    return min(1.0, centre + spread) - share


def independent(counts: Sequence[int]) -> float:
    """Over how many things a mean over classes with so many texts each is as sure as a share is.

    The variance of a mean of K shares of n_k things is p(1 - p) / K² × Σ 1 / n_k where they are alike.
    """
    there = [count for count in counts if count > 0]
    return len(there) ** 2 / sum(1 / count for count in there) if there else 0.0


def best_scores(blind: Sequence[BlindScore], epochs: Sequence[Mapping[str, float]]) -> list[tuple[BlindScore, float]]:
    """Each score that was taken, with the best of it over the epochs' validation metrics."""
    found = []
    for each in blind:
        values = [metrics[each.metric] for metrics in epochs if math.isfinite(metrics.get(each.metric, math.nan))]
        if values:
            found.append((each, max(values)))
    return found
