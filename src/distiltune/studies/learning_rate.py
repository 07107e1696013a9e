"""The learning-rate range test (Smith 2017, "Cyclical learning rates for training neural networks").

The rate rises from tiny to much too large within some hundred steps of real training; where the loss falls fastest and
where it breaks away tells which rates are worth trying (`distiltune.studies.stretches` does that). Only a fall below
what is learnt without reading counts, since a rate that destroys the model learns that too. The model's weights are
put back afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from distiltune.training.finite import BadStep
from distiltune.training.loop import NothingKept, StepReport, train
from distiltune.training.setup import TrainingSetup

FEWEST_STEPS: Final = 30
"""With fewer, neighbouring rates are so far apart, and each so short, that the curve shows the noise of the batches."""
_SAFETY = 10.0
"""Where to begin stays this far below the rate at which the loss breaks away: the range test drives each rate for one
step only, a training keeps it up, and its first steps have Adam's full size."""
_SMOOTHING = 0.85
_SMOOTHED_OVER = (1 + _SMOOTHING) / (1 - _SMOOTHING)  # steps whose mean is as steady
_BROKEN_AWAY = 0.35  # of the way back from the lowest loss to the first
_FEW_LOSSES = 12
_FALLEN = 0.02  # of the prior's loss, below it, or what the noise of the batches asks for: less may be chance
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
        prior_loss: what is reached without reading; None: it is not known.
        first_loss: at the lowest rates, None if too few steps were seen.
        lowest_loss: of the smoothed ones, None likewise.
        steepest: the rate at which the loss falls fastest below the prior's, None if it never got there.
        breaks_away: the rate from which on it rises for good, None if it never did.
        end: what ended it early, in a sentence; empty if nothing did.

    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    prior_loss: float | None = None
    first_loss: float | None = None
    lowest_loss: float | None = None
    steepest: float | None = None
    breaks_away: float | None = None
    end: str = ""

    @property
    def start(self) -> float | None:
        """The rate to begin trying at: that of the steepest fall, at most a tenth of where it breaks away.

        None where it does not show one.
        """
        limits = [rate for rate in (self.steepest, self.breaks_away and self.breaks_away / _SAFETY) if rate]
        return round_rate(min(limits)) if limits else None


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
    setup: TrainingSetup,
    rates: Rates,
    prior_loss: float | None = None,
    on_step: Callable[[int], None] = lambda n_done: None,
) -> RangeTest:
    """Train with rising rates and put the weights back.

    Args:
        setup: the training whose rate is looked for; of its epochs as many as the rates need are run.
        rates: that are tried.
        prior_loss: what is reached without reading, if that is known.
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
    return interpret_curve(recorder.rates, recorder.losses, prior_loss)


def interpret_curve(rates: Sequence[float], losses: Sequence[float], prior_loss: float | None = None) -> RangeTest:
    """What a curve of rising rates says; pure.

    Args:
        rates: of the steps, rising.
        losses: of the steps; one that is no number ended the test.
        prior_loss: a fall counts from here on; None: from the first loss on.

    """
    finite = [(rate, loss) for rate, loss in zip(rates, losses, strict=True) if math.isfinite(loss)]
    smoothed = smooth([loss for _, loss in finite])
    test = RangeTest(
        rates=tuple(rate for rate, _ in finite),
        losses=tuple(loss for _, loss in finite),
        smoothed=tuple(smoothed.tolist()),
        prior_loss=prior_loss,
    )
    if len(finite) < _FEW_LOSSES:
        if len(finite) == len(losses):
            return replace(test, end=f"only {len(finite)} steps were made, from which nothing can be told")
        where = f"from step {len(finite)} on, at a rate of {rates[len(finite)]:.1e} already"
        return replace(test, end=f"the loss is no number {where}")
    first, bottom = float(smoothed[: max(3, len(smoothed) // 10)].mean()), int(smoothed.argmin())
    lowest = float(smoothed[bottom])
    bar = first if prior_loss is None else min(first, prior_loss)
    noise = max(_FALLEN * bar, _noise(test))
    back = lowest + max(_BROKEN_AWAY * (first - lowest), noise)
    away = next((i for i in range(bottom, len(smoothed)) if smoothed[i] > back), None)
    if away is None and len(finite) < len(losses):
        away = len(finite) - 1
    return replace(
        test,
        first_loss=first,
        lowest_loss=lowest,
        steepest=_steepest(test, bottom) if lowest < bar - noise else None,
        breaks_away=finite[away][0] if away is not None else None,
    )


def _noise(test: RangeTest) -> float:
    """By how much the lowest of the smoothed losses may be off by the chance of its batches: four standard errors.

    The deviation is that of the middle half of the steps, which the few where the loss explodes do not sway.
    """
    deviations = np.abs(np.asarray(test.losses) - np.asarray(test.smoothed))
    return 4 * 1.4826 * float(np.median(deviations)) / math.sqrt(_SMOOTHED_OVER)


def _steepest(test: RangeTest, bottom: int) -> float:
    """The rate of the steepest fall up to the lowest loss."""
    slopes = np.gradient(np.asarray(test.smoothed), np.log(test.rates))
    return test.rates[int(slopes[: bottom + 1].argmin())]


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
