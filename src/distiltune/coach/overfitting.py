"""The gap between training and validation: where it opens, which epoch to stop at, and what is sure of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from distiltune.coach.evidence import Evidence
from distiltune.coach.pairs import STANDARD_ERRORS

NOISE = 0.01
"""A validation loss this much (as a share) above the best is not told from it."""
STILL_IMPROVING = 0.02
"""A fall of the validation loss in the last epoch, as a share, from which on more epochs would help."""
CHANGE_SPREAD = 0.3
"""Standard deviation over the examples of how much an example's validation loss changes between two epochs, as a share
of the mean loss: measured on SQuAD questions in runs without dropout, 0.2 with it (docs/lab-notes.md, 2026-11-27). It
stands for the examples' own spread where that is not known."""
WIDE_GAP = 0.75
"""A training loss below this share of the lowest validation loss has left it behind: the model learns by heart."""


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
    """A rise of the validation loss, as a share, that so few examples do not tell from chance; 0 without a number."""
    return STANDARD_ERRORS * CHANGE_SPREAD / math.sqrt(n_examples) if n_examples else 0.0


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


def is_sure(evidence: Evidence, turn: Turn) -> bool:
    """Whether the last epoch's validation loss lies above the lowest by more than chance.

    By how the examples' own losses changed between the two epochs, or where these are not known, by their number.
    """
    _, validation = evidence.losses()
    lowest = validation[turn.best_epoch]
    by_example = evidence.changes[-1] if len(evidence.changes) == len(validation) else None
    if by_example is not None and by_example.since == turn.best_epoch and math.isfinite(by_example.standard_error):
        return not by_example.may_be_chance(validation[-1] - lowest)
    return turn.rise >= rise_by_chance(evidence.facts.n_validation)


def will_last(evidence: Evidence, turn: Turn) -> bool:
    """Whether a turn that is seen while the training goes on can be told already.

    While the rate is high, losses rise and fall again by more than the examples' spread: the model moves as a whole. So
    the loss has to rise beyond chance twice in a row, and the training loss has to have left it far behind.
    """
    train, validation = evidence.losses()
    if evidence.facts.blind_loss and not evidence.has_learned:
        return False  # what learns nothing has another sickness
    if turn.overfits_from is None or len(validation) - turn.overfits_from < 2 or not is_sure(evidence, turn):
        return False
    goes_on = validation[-1] - validation[-2] > NOISE * validation[turn.best_epoch]
    return goes_on and train[-1] < WIDE_GAP * validation[turn.best_epoch]
