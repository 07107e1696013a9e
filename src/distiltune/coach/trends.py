"""Whether a loss was still falling when a training ended, learning rates that fall to 0 taken into account."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from distiltune.coach.overfitting import STILL_IMPROVING
from distiltune.training.loop import EpochReport, StepReport

FEW_REPORTS = 6
"""From fewer log lines no trend is read."""


def fall_of_training(steps: Sequence[StepReport]) -> float:
    """How far the training loss fell from the middle to the last third of the way, as a share; 0 if that may be chance.

    The way is the sum of the learning rates, since a decaying rate flattens every curve towards its end.
    """
    lines = [step for step in steps if math.isfinite(step.loss)]
    if len(lines) < FEW_REPORTS:
        return 0.0
    travelled, sums = 0.0, []
    for line in lines:
        travelled += line.learning_rate
        sums.append(travelled)
    middle = [line.loss for line, at in zip(lines, sums, strict=True) if travelled / 3 < at <= 2 * travelled / 3]
    last = [line.loss for line, at in zip(lines, sums, strict=True) if at > 2 * travelled / 3]
    if len(middle) < 2 or len(last) < 2 or fmean(middle) <= 0:
        return 0.0
    fall = fmean(middle) - fmean(last)
    chance = 2 * math.sqrt(stdev(middle) ** 2 / len(middle) + stdev(last) ** 2 / len(last))
    share = fall / fmean(middle)
    return share if fall > chance and share >= STILL_IMPROVING else 0.0


def fall_of_validation(epochs: Sequence[EpochReport]) -> float:
    """How far the last epoch lowered the validation loss, as a share; 0 if by less than counts."""
    losses = [epoch.validation["loss"] for epoch in epochs if "loss" in epoch.validation]
    if len(losses) < 2 or not all(map(math.isfinite, losses)) or losses[-1] > min(losses) or losses[-2] <= 0:
        return 0.0
    share = (losses[-2] - losses[-1]) / losses[-2]
    return share if share >= STILL_IMPROVING else 0.0


def fall_in_words(steps: Sequence[StepReport], epochs: Sequence[EpochReport]) -> str:
    """What was still falling at the end, and how fast; empty if nothing was."""
    if share := fall_of_validation(epochs):
        return f"the last epoch still lowered the validation loss by {share:.1%}"
    if share := fall_of_training(steps):
        return f"the training loss was still falling (by {share:.1%} from the middle of the way to its last third)"
    return ""
