"""The learning-rate range test (Smith 2017, "Cyclical learning rates for training neural networks").

The rate rises from tiny to much too large within some hundred steps of real training; where the loss falls fastest and
where it breaks away tells which rate to train with. The model's weights are put back afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from distiltune.training.finite import BadStep
from distiltune.training.loop import NothingKept, StepReport, train
from distiltune.training.setup import TrainingSetup

SAFETY = 10.0
"""The suggestion stays this far below the rate at which the loss breaks away: the range test drives each rate for one
step only, a training keeps it up, and its first steps have Adam's full size."""
CLOSE = 2.0
"""A rate within this factor of the suggestion is as good: the valley is flat."""
_SMOOTHING = 0.85
_BROKEN_AWAY = 0.35  # of the way back from the lowest loss to the first
_FEW_STEPS = 12
_HOPELESS = 1.5  # times the first loss: no need to go on


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of the test: so many, from the lowest to the highest, each a fixed factor above the one before."""

    lowest: float = 1e-6
    highest: float = 3e-2
    n_steps: int = 100

    def __call__(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        growth: float = (self.highest / self.lowest) ** (1 / max(1, self.n_steps - 1))
        return self.lowest * growth**step


@dataclass(frozen=True, slots=True)
class RangeTest:
    """What the test saw.

    Attributes:
        rates: of the steps, rising.
        losses: of the steps, each before its update.
        smoothed: the losses without their noise.
        first_loss: at the lowest rates, None if too few steps were seen.
        lowest_loss: of the smoothed ones, None likewise.
        steepest: the rate at which the loss falls fastest, None if it never fell.
        breaks_away: the rate from which on it rises for good, None if it never did.
        suggestion: the rate to train with, None if nothing can be said.
        reason: why, in a sentence.
        default: the recipe's own rate.
        default_is_right: whether that one will do as well.

    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    first_loss: float | None
    lowest_loss: float | None
    steepest: float | None
    breaks_away: float | None
    suggestion: float | None
    reason: str
    default: float
    default_is_right: bool

    def as_json(self) -> dict[str, Any]:
        """The test as plain values."""
        return asdict(self)


class _Enough(Exception):  # noqa: N818 (no error: it ends a loop that only its watcher can end)
    """The loss is beyond hope, or all rates were tried."""


class _Recorder(NothingKept):
    """A loop's keeper that keeps every step's rate and loss."""

    def __init__(self, n_steps: int, on_step: Callable[[int], None]) -> None:
        self._n_steps, self._tell = n_steps, on_step
        self.rates: list[float] = []
        self.losses: list[float] = []

    def on_step(self, report: StepReport) -> None:
        """Keep it; end the training once nothing more is to be seen."""
        self._keep(report.learning_rate, report.loss)
        first = float(np.mean(self.losses[: max(3, self._n_steps // 20)]))
        if len(self.losses) >= self._n_steps or np.mean(self.losses[-3:]) > _HOPELESS * first:
            raise _Enough

    def on_bad_step(self, bad: BadStep) -> None:
        """Keep it as a loss that is no number, and end the training: that is what the test is to find."""
        self._keep(bad.learning_rate, math.nan)
        raise _Enough

    def _keep(self, rate: float, loss: float) -> None:
        self.rates.append(rate)
        self.losses.append(loss)
        self._tell(len(self.losses))


def range_test(
    setup: TrainingSetup, rates: Rates, default: float, on_step: Callable[[int], None] = lambda n_done: None
) -> RangeTest:
    """Train with rising rates, put the weights back, and say which rate to train with.

    Args:
        setup: the training whose rate is looked for; of its epochs as many as the rates need are run.
        rates: that are tried.
        default: the rate that would be taken otherwise.
        on_step: told how many steps are done.

    """
    before = {name: value.detach().clone() for name, value in setup.model.state_dict().items()}
    recorder = _Recorder(rates.n_steps, on_step)
    loop = replace(setup.loop, epochs=-(-rates.n_steps // setup.steps_per_epoch), log_every=1)
    try:
        train(replace(setup, learning_rate_at=rates, loop=loop), dict, recorder)
    except _Enough:
        pass
    finally:
        setup.model.load_state_dict(before)
    return interpret_curve(recorder.rates, recorder.losses, default)


def interpret_curve(rates: Sequence[float], losses: Sequence[float], default: float) -> RangeTest:
    """What a curve of rising rates says; pure."""
    finite = [(rate, loss) for rate, loss in zip(rates, losses, strict=True) if math.isfinite(loss)]
    smoothed = smooth([loss for _, loss in finite])
    test = RangeTest(
        rates=tuple(rate for rate, _ in finite),
        losses=tuple(loss for _, loss in finite),
        smoothed=tuple(smoothed.tolist()),
        first_loss=None,
        lowest_loss=None,
        steepest=None,
        breaks_away=None,
        suggestion=None,
        reason="there are too few steps to say anything: use more data or --steps",
        default=default,
        default_is_right=False,
    )
    if len(finite) < _FEW_STEPS and len(finite) < len(losses):
        where = f"from step {len(finite)} on, at a rate of {rates[len(finite)]:.1e} already"
        return replace(test, reason=f"the loss is no number {where}: look at the model and the data (distiltune check)")
    if len(finite) < _FEW_STEPS:
        return test
    first, bottom = float(smoothed[: max(3, len(smoothed) // 10)].mean()), int(smoothed.argmin())
    lowest = float(smoothed[bottom])
    test = replace(test, first_loss=first, lowest_loss=lowest)
    if lowest > 0.97 * first:
        return replace(test, reason="the loss did not fall at any rate: look at the data first (distiltune check)")
    slopes = np.gradient(smoothed, np.log([rate for rate, _ in finite]))
    steepest = finite[int(slopes[: bottom + 1].argmin())][0]
    back = lowest + _BROKEN_AWAY * (first - lowest)
    away = next((i for i in range(bottom, len(smoothed)) if smoothed[i] > back), None)
    if away is None and len(finite) < len(losses):
        away = len(finite) - 1
    breaks_away = finite[away][0] if away is not None else None
    return _with_suggestion(replace(test, steepest=steepest, breaks_away=breaks_away), finite[bottom][0])


def _with_suggestion(test: RangeTest, at_lowest: float) -> RangeTest:
    """The rate of the steepest fall, but no nearer to where the loss breaks away than the safety margin allows."""
    assert test.steepest is not None
    limit = (test.breaks_away or test.rates[-1]) / SAFETY
    suggestion = round_rate(min(test.steepest, limit))
    parts = [f"the loss falls fastest at {test.steepest:.1e} and is lowest at {at_lowest:.1e}"]
    if test.breaks_away is not None:
        parts.append(f"it breaks away at {test.breaks_away:.1e}")
    else:
        parts.append(f"it never broke away up to {test.rates[-1]:.1e}")
    which = "the steepest fall" if test.steepest <= limit else f"a {SAFETY:g}th of where it breaks away"
    close = suggestion / CLOSE <= test.default <= suggestion * CLOSE
    return replace(test, suggestion=suggestion, reason=f"{'; '.join(parts)}; taken is {which}", default_is_right=close)


def smooth(losses: Sequence[float]) -> npt.NDArray[np.float64]:
    """An exponential mean forwards and then backwards, so that the curve is not shifted to higher rates."""
    values = np.asarray(losses, dtype=np.float64)
    return _ema(_ema(values)[::-1])[::-1]


def _ema(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    out = np.empty_like(values)
    mean, weight = 0.0, 0.0
    for i, value in enumerate(values):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * value
        weight = _SMOOTHING * weight + (1 - _SMOOTHING)
        out[i] = mean / weight
    return out


def round_rate(rate: float) -> float:
    """The rate with one digit, as people write it: 1, 1.5, 2, 3, 5 or 7 times a power of ten, the nearest."""
    power = 10.0 ** math.floor(math.log10(rate))
    choices = [digit * power for digit in (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)]
    return float(f"{min(choices, key=lambda choice: abs(math.log(choice / rate))):.2g}")
