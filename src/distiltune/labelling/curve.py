"""The learning curve: scores on the labels kept for validation, and whether more labels would help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

FEWEST_TO_SAY: Final = 3
FEWEST_TO_MEASURE: Final = 10
"""Examples measured on below which a score tells nothing."""
_FEW_TO_MEASURE: Final = 20


@dataclass(frozen=True, slots=True)
class Point:
    """A training: on how many labels, and what it scores, in percent.

    Attributes:
        n_labels: items that it was trained on.
        n_validation: items that it was measured on.
        metric: the score's name.
        value: the score.
        low: where the interval that holds it with a confidence of 95 % begins.
        high: where it ends.

    """

    n_labels: int
    n_validation: int
    metric: str
    value: float
    low: float
    high: float


def telling(points: Sequence[Point]) -> list[Point]:
    """The trainings whose scores tell something."""
    return [each for each in points if each.n_validation >= FEWEST_TO_MEASURE]


def advice(points: Sequence[Point]) -> str:
    """Whether more labels would help, in a sentence or two; from a power law through the errors of three or more.

    The error falls as a power of the number of examples (Hestness et al. 2017, arXiv:1712.00409): a line through the
    logarithms says what twice as many would bring.
    """
    if not points:
        return ""
    last = points[-1]
    if last.n_validation < FEWEST_TO_MEASURE:
        return (
            f"That cannot be said yet: the last training was measured on {last.n_validation} of the examples kept for "
            f"validation, and so few tell nothing. Its score is not drawn; scores are from {FEWEST_TO_MEASURE} on."
        )
    points = telling(points)
    if len(points) < FEWEST_TO_SAY:
        left = FEWEST_TO_SAY - len(points)
        return f"Whether more labels would help can be said after {left} more training{'s' * (left > 1)}."
    gain = _gain_of_doubling(points)
    margin = (last.high - last.low) / 2
    unsure = f" The score itself is known to within {margin:.0f} points only, from {last.n_validation} texts."
    if gain < 1.0:
        said = f"Hardly: twice as many labels ({2 * last.n_labels}) would bring about {max(0.0, gain):.1f} points."
    else:
        said = f"Yes: twice as many labels ({2 * last.n_labels}) would bring about {gain:.0f} points."
    return said + (unsure if margin > max(2.0, gain) or last.n_validation < _FEW_TO_MEASURE else "")


def _gain_of_doubling(points: Sequence[Point]) -> float:
    """How many points of score twice as many labels would bring."""
    labels = np.log([max(1, each.n_labels) for each in points])
    errors = np.log([max(0.5, 100 - each.value) for each in points])
    weights = [max(1, each.n_validation) ** 0.5 for each in points]
    if np.ptp(labels) == 0:
        return 0.0
    slope, height = np.polyfit(labels, errors, 1, w=weights)
    now, then = (float(np.exp(height + slope * at)) for at in (labels[-1], labels[-1] + np.log(2)))
    return now - then
