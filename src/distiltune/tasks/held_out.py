"""Whether what was fitted on validation data is better on examples that it was not fitted on.

A number fitted on a hundred answers may fit their chance. So it is fitted twice, on each half of them, and each half is
judged with what the other gave: only what is better there, by more than chance, is kept.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from distiltune.tasks.statistics import N_BINS

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FEWEST: Final = 30
"""Of fewer examples nothing is told."""
_SURE: Final = 0.95
_Z_ONE_SIDED: Final = 1.644854  # of 95 %
_N_DRAWS: Final = 400
_SEED: Final = 0


def first_half(n: int) -> Flags:
    """``(n,)`` which of so many examples are in the first half: drawn, since neighbours in a file are alike."""
    inside = np.zeros(n, dtype=bool)
    inside[np.random.default_rng(_SEED).permutation(n)[: n // 2]] = True
    return inside


def gains(differences: Numbers) -> bool:
    """Whether the mean of ``(n,)`` differences, new score minus old, is above 0 by more than chance (one-sided 95 %).

    Never of fewer than `FEWEST`.
    """
    n = len(differences)
    if n < FEWEST:
        return False
    return float(differences.mean()) > _Z_ONE_SIDED * float(differences.std(ddof=1)) / math.sqrt(n)


def is_calibrated_better(before: Numbers, after: Numbers, right: Flags) -> bool:
    """Whether confidences are more honest than they were: the same answers drawn anew, in 95 % of the draws.

    Args:
        before: ``(n,)`` confidences, 0 to 1.
        after: ``(n,)`` the others.
        right: ``(n,)`` whether each answer is right.

    """
    n = len(right)
    if n < FEWEST:
        return False
    random = np.random.default_rng(_SEED)
    places = [np.minimum(N_BINS - 1, (each * N_BINS).astype(np.int64)) for each in (before, after)]
    gaps = [each - right for each in (before, after)]
    n_better = 0
    for _ in range(_N_DRAWS):
        times = np.bincount(random.integers(0, n, n), minlength=n)
        old, new = (
            np.abs(np.bincount(place, weights=times * gap, minlength=N_BINS)).sum()
            for place, gap in zip(places, gaps, strict=True)
        )
        n_better += bool(new < old)
    return n_better >= _SURE * _N_DRAWS
