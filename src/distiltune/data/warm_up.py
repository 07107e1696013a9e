"""Which features of other data than the training's own each epoch goes through too: before them, or among them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from distiltune.data.feature_set import FeatureSet
from distiltune.data.loader import FeatureIds, GroupOf, shuffled, units

Order = Literal["first", "mixed"]


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What else is read in each epoch of a training.

    Attributes:
        n_own: the set's first features are the training's own, so many; what follows is what else there is.
        order: `first`: before the own features of the first epoch; `mixed`: some in each epoch, among these.
        parts: for each epoch what is read in it, in pieces that no batch goes beyond.

    """

    n_own: int
    order: Order
    parts: tuple[tuple[FeatureIds, ...], ...]

    def lengths(self, epoch: int) -> list[int]:
        """How many features the stretches of that epoch have, in their order; no batch goes beyond one."""
        more = [len(part) for part in self.parts[epoch]]
        return [*more, self.n_own] if self.order == "first" else [self.n_own + sum(more)]

    def stretches(self, own: FeatureIds, seed: int, epoch: int, group_of: GroupOf | None) -> list[FeatureIds]:
        """The stretches of an epoch whose own features come in the order ``own``."""
        if self.order == "first":
            return [*self.parts[epoch], own]
        # A stream of its own: 0 and 1 are the order of the own features and what is drawn anew every epoch.
        return [shuffled(np.concatenate([own, *self.parts[epoch]]), np.random.default_rng((seed, epoch, 2)), group_of)]


def plan_warm_up(features: FeatureSet, n_own: int, order: Order, n_passes: int, n_epochs: int, seed: int) -> WarmUp:
    """Part what is read besides among the epochs, so that each of it is read ``n_passes`` times.

    Args:
        features: the training's own, and behind these the others.
        n_own: how many are its own.
        order: before them, or among them.
        n_passes: over the others; of those mixed at most as many as epochs, or one would be read twice in one epoch.
        n_epochs: of the training.
        seed: of the order.

    Raises:
        ValueError: if there are more passes than epochs to mix them into.

    """
    others = np.arange(n_own, len(features))
    nothing: tuple[FeatureIds, ...] = ()
    if order == "first":
        passes = tuple(
            shuffled(others, np.random.default_rng((seed, number, 3)), features.group_of) for number in range(n_passes)
        )
        return WarmUp(n_own, order, (passes, *[nothing] * (n_epochs - 1)))
    if n_passes > n_epochs:
        raise ValueError(f"{n_passes} passes cannot be mixed into {n_epochs} epochs")
    drawn = units(shuffled(others, np.random.default_rng((seed, 0, 3)), features.group_of), features.group_of)
    cuts = np.linspace(0, n_passes * len(drawn), n_epochs + 1).round().astype(int)
    parts = tuple(tuple(drawn[i % len(drawn)] for i in range(low, high)) for low, high in pairwise(cuts.tolist()))
    return WarmUp(n_own, order, parts)
