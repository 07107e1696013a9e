"""How far a change of the validation loss may be chance: the same examples' losses after two epochs, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Losses = npt.NDArray[np.float32]
"""``(n_examples,)`` what each example adds to the mean: together they are the validation loss."""

STANDARD_ERRORS = 3.0
"""And not two: the epoch with the lowest of several losses is low by luck, too."""


@dataclass(frozen=True, slots=True)
class LossChange:
    """How an epoch's validation loss lies against the lowest one before it.

    Attributes:
        since: the epoch with that one; the epoch itself where there is none, or none that can be paired.
        standard_error: of the difference between the two, in the loss's unit, by the spread of the examples' own
            differences; NaN where nothing can be paired.

    """

    since: int
    standard_error: float = math.nan

    def may_be_chance(self, rise: float) -> bool:
        """Whether such a difference, in the loss's unit, is within the noise."""
        return not rise > STANDARD_ERRORS * self.standard_error


@dataclass(frozen=True, slots=True)
class Pairs:
    """The losses of the epoch that is lowest so far, and how each epoch lay against the lowest before it."""

    changes: tuple[LossChange, ...] = ()
    lowest: Losses | None = None
    epoch: int = -1

    def after(self, losses: Losses | None) -> Pairs:
        """What is known once another epoch was evaluated; None: its examples' losses are not known."""
        number = len(self.changes)
        if losses is None or not np.isfinite(losses).all():
            return replace(self, changes=(*self.changes, LossChange(number)))
        if self.lowest is None or len(self.lowest) != len(losses):
            return Pairs((*self.changes, LossChange(number)), losses, number)
        changes = (*self.changes, LossChange(self.epoch, standard_error(losses, self.lowest)))
        if float(losses.sum(dtype=np.float64)) < float(self.lowest.sum(dtype=np.float64)):
            return Pairs(changes, losses, number)
        return replace(self, changes=changes)

    def as_json(self) -> dict[str, Any]:
        """For a checkpoint."""
        lowest = None if self.lowest is None else self.lowest.tolist()
        return {"changes": [asdict(change) for change in self.changes], "lowest": lowest, "epoch": self.epoch}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Pairs:
        """What `as_json` gave."""
        lowest = None if kept["lowest"] is None else np.array(kept["lowest"], dtype=np.float32)
        return cls(tuple(LossChange(**change) for change in kept["changes"]), lowest, kept["epoch"])


def standard_error(losses: Losses, others: Losses) -> float:
    """Of the difference between two means over the same examples, each given as what every example adds to it."""
    n = len(losses)
    if n < 2:
        return math.inf
    return math.sqrt(n) * float((losses.astype(np.float64) - others).std(ddof=1))
