"""Learning rates tried for a short stretch each, from the same fresh weights, and judged on held-out rows.

A stretch has a schedule of its own, warm-up and decay to 0: without the decay a short one favours rates that a whole
run could not keep up. It is still shorter than the run, so what is close is decided for the lower rate, and a run of
many times its length gets a little less. A stretch in which nothing is learnt beyond the prior says nothing of a rate;
all are tried for four times as long then, until one learns, the stretch is as long as the run, or the budget is spent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

SHORTEST: Final = 100
"""Steps. With 40 no rate gets a small model beyond the prior, and with 100 the best one does (lab notes)."""
LONGEST: Final = 400
SHARE_OF_RUN: Final = 0.05
MOST_STEPS: Final = 2000
MOST_SHARE_OF_RUN: Final = 0.25
"""All stretches together have at most this share of the run's steps, or `MOST_STEPS` if that is more."""
WARMUP_SHARE: Final = 0.1
_LONGER = 4
_MOST_EXTENSIONS = 2
_MOST_FARTHER = 4
_LONGER_RUN = 0.125
"""The best rate falls with the number of steps, by this power of it, and never by more than a half. Pre-training shows
0.3 (Bjorck et al. 2024, "Scaling optimal LR across token horizons"); a fine-tuning has less far to go."""
_LOSS_NOISE = 0.5  # of the loss over the root of the rows: half of what its rows differ by is common to two rates
_LEAST_LOSS_NOISE = 0.01


@dataclass(frozen=True, slots=True)
class TriedRate:
    """What one rate came to.

    Attributes:
        rate: at its height.
        n_steps: of the stretch.
        loss: on the held-out rows, infinite where it is no number.
        score: on the held-out rows, the higher the better, from 0 to 1; None: the task has none.
        seconds: it took, evaluation included.

    """

    rate: float
    n_steps: int
    loss: float
    score: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Bar:
    """What a stretch must do better than.

    Attributes:
        loss: on the held-out rows, of what is learnt without reading; None: it is not known.
        n_rows: how many rows are held out.

    """

    loss: float | None
    n_rows: int

    @property
    def noise(self) -> float:
        """By what share of it two losses on these rows may differ by chance."""
        return max(_LEAST_LOSS_NOISE, _LOSS_NOISE / math.sqrt(max(1, self.n_rows)))

    @property
    def least_loss(self) -> float:
        """A loss that so few rows do not tell from a lower one: of n that are all right the next is wrong with a
        chance of about 1 / (n + 1) (Laplace's rule of succession), and then costs about what knowing nothing does."""
        return (self.loss or 0.0) / (self.n_rows + 1)

    @property
    def score_noise(self) -> float:
        """By how much two scores from 0 to 1 may differ by chance."""
        return 1.0 / math.sqrt(max(1, self.n_rows))

    def is_passed(self, stretch: TriedRate) -> bool:
        """Whether more was learnt than the prior."""
        if self.loss is None:
            return math.isfinite(stretch.loss)
        return stretch.loss < (1 - self.noise) * self.loss


@dataclass(frozen=True, slots=True)
class Tried:
    """All stretches in their order, and which is the best; None: none passed the bar."""

    stretches: tuple[TriedRate, ...]
    best: TriedRate | None

    @property
    def n_steps(self) -> int:
        """Steps of all of them."""
        return sum(each.n_steps for each in self.stretches)


def first_length(n_run: int) -> int:
    """Steps of the first stretches for a run of ``n_run`` steps."""
    return min(n_run, max(SHORTEST, min(LONGEST, round(SHARE_OF_RUN * n_run))))


def budget(n_run: int) -> int:
    """Most steps of all stretches together."""
    return max(MOST_STEPS, round(MOST_SHARE_OF_RUN * n_run))


def for_whole_run(rate: float, n_steps: int, n_run: int) -> float:
    """The rate for a run, from the best one of a stretch: less for a longer one, at least half."""
    share = min(1.0, n_steps / n_run)
    return rate * max(0.5, math.exp(_LONGER_RUN * math.log(share)))


def try_rates(try_at: Callable[[float, int], TriedRate], start: float, factor: float, n_run: int, bar: Bar) -> Tried:
    """Try rates around ``start``, and longer where nothing was learnt.

    Args:
        try_at: trains a stretch: rate, number of steps.
        start: the rate in the middle.
        factor: from one rate to the next.
        n_run: steps of the run that the rate is for.
        bar: what must be passed.

    """
    all_tried: list[TriedRate] = []
    n_steps, left = first_length(n_run), budget(n_run)
    while True:
        around = start
        tried = _around(try_at, start, factor, n_steps, left // n_steps, bar)
        all_tried += tried
        left -= n_steps * len(tried)
        best = choose(tried, bar)
        longer = _LONGER * n_steps if 1.5 * _LONGER * n_steps < n_run else n_run
        if best is None and (longer < 1.5 * n_steps or left < longer):
            all_tried += _farther(try_at, tried, factor, min(_MOST_FARTHER, left // n_steps), bar)
            best = choose([each for each in all_tried if each.n_steps == n_steps], bar)
            return Tried(tuple(all_tried), best)
        if best is not None:
            return Tried(tuple(all_tried), best)
        start = min(_as_good(tried, bar), key=lambda each: abs(math.log(each.rate / around))).rate
        n_steps = longer


def _around(
    try_at: Callable[[float, int], TriedRate], start: float, factor: float, n_steps: int, most: int, bar: Bar
) -> list[TriedRate]:
    """A rate, the next lower and the next higher one; further where an end is better than its neighbour."""
    tried: list[TriedRate] = []

    def try_next(rate: float) -> None:
        if len(tried) < most:
            tried.append(try_at(rate, n_steps))

    for rate in (start, start / factor, start * factor):
        try_next(rate)
    for _ in range(_MOST_EXTENSIONS):
        passed = choose(tried, bar)
        # Where nothing is learnt, an end is only left for what is plainly better: at the prior all are alike.
        best = [passed] if passed is not None else _as_good(tried, bar)
        rates = [each.rate for each in tried]
        if min(each.rate for each in best) == max(rates):
            try_next(max(rates) * factor)
        elif max(each.rate for each in best) == min(rates) or math.isinf(best[0].loss):
            try_next(min(rates) / factor)
        else:
            break
    return tried


def _farther(
    try_at: Callable[[float, int], TriedRate], tried: Sequence[TriedRate], factor: float, most: int, bar: Bar
) -> list[TriedRate]:
    """Rates beyond both ends, by turns, until one learns, and on in its direction as long as the next is better.

    The last that is done before none is suggested.
    """
    farther: list[TriedRate] = []
    goes_up = True
    while len(farther) < most:
        rates = [each.rate for each in (*tried, *farther)]
        farther.append(try_at(max(rates) * factor if goes_up else min(rates) / factor, tried[0].n_steps))
        best = choose(farther, bar)
        if best is None:
            goes_up = not goes_up
        elif best is not farther[-1]:
            break
    return farther


def _as_good(tried: Sequence[TriedRate], bar: Bar) -> list[TriedRate]:
    """Those that are as good as the best, but for chance."""
    lowest = max(bar.least_loss, min(each.loss for each in tried))
    return [each for each in tried if each.loss <= (1 + bar.noise) * lowest]


def choose(tried: Sequence[TriedRate], bar: Bar) -> TriedRate | None:
    """The best of stretches of one length: the lowest loss, of those as good the lowest rate; a clear score wins.

    None if none passes the bar.
    """
    passed = [each for each in tried if bar.is_passed(each)]
    if not passed:
        return None
    best = min(_as_good(passed, bar), key=lambda each: each.rate)
    clearer = [each for each in passed if (each.score or 0.0) > (best.score or 0.0) + bar.score_noise]
    return max(clearer, key=lambda each: each.score or 0.0, default=best)
