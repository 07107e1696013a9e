"""The gap between training and validation: where it opens, and which epoch to stop at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NOISE = 0.01
"""A validation loss this much (as a share) above the best is not told from it."""
STILL_IMPROVING = 0.02
"""A fall of the validation loss in the last epoch, as a share, from which on more epochs would help."""
CHANGE_SPREAD = 0.3
"""Standard deviation over the examples of how much an example's validation loss changes between two epochs, as a share
of the mean loss: measured on SQuAD questions in runs without dropout, 0.2 with it (docs/lab-notes.md, 2026-11-27)."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How the validation loss went.

    Attributes:
        best_epoch: where it is lowest.
        overfits_from: the first epoch after that from which on it stays above the best by more than noise while the
            training loss falls; None if there is none.
        rise: how far the last epoch lies above the best, as a share.
        last_gain: how much the last epoch improved on the one before, as a share; 0 if it did not.

    """

    best_epoch: int
    overfits_from: int | None
    rise: float
    last_gain: float


def rise_by_chance(n_examples: int) -> float:
    """A rise of the validation loss, as a share, that so few examples do not tell from chance; 0 without a number.

    Three standard errors and not two: the epoch with the lowest of several losses is low by luck, too.
    """
    return 3 * CHANGE_SPREAD / math.sqrt(n_examples) if n_examples else 0.0


def find_turn(train_losses: Sequence[float], validation_losses: Sequence[float]) -> Turn | None:
    """How the validation loss turned; None without at least one number.

    Args:
        train_losses: mean of each epoch as it ran.
        validation_losses: at each epoch's end.

    """
    finite = [epoch for epoch, loss in enumerate(validation_losses) if math.isfinite(loss)]
    if not finite:
        return None
    best = min(finite, key=lambda epoch: validation_losses[epoch])
    lowest, last = validation_losses[best], validation_losses[-1]
    overfits_from = None
    for epoch in range(len(validation_losses) - 1, best, -1):
        worse = validation_losses[epoch] > lowest * (1 + NOISE)
        if not worse or not train_losses[epoch] < train_losses[best]:
            break
        overfits_from = epoch
    before = validation_losses[-2] if len(validation_losses) > 1 else math.nan
    gain = (before - last) / before if math.isfinite(before) and before > 0 else 0.0
    return Turn(best, overfits_from, last / lowest - 1 if lowest > 0 else 0.0, max(0.0, gain))
