"""What to label next: first what is typical of each part of the texts, then what the model is least certain of.

Clusters first, and the most typical of each: Yuan et al. 2020 (arXiv:2010.09535), "cold-start active learning". Then
uncertainty sampling; which measure of doubt, the task says. A random fifth is never chosen by either, so that scores on
it are of what texts come, and not of those that are hard.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from distiltune.labelling.items import ONE_IN, Item

Order = Literal["doubt", "random", "file"]
ORDERS: Final[tuple[Order, ...]] = get_args(Order)

_ROUNDS: Final = 25
_STARTS: Final = 4
"""One may begin with two middles in one cluster, and none in another."""

Points = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]


@dataclass(slots=True)
class NextUp:
    """What the next item is chosen from. Keys are those of items.

    Attributes:
        order: by doubt, as drawn, or as they stand.
        drawn: all keys as drawn by the seed.
        spread: those that are most typical, before a model has an opinion.
        doubts: how unsure the newest model is, of those that it has read.

    """

    order: Order
    drawn: tuple[str, ...]
    spread: Sequence[str] = ()
    doubts: Mapping[str, float] = field(default_factory=dict)

    def next(self, open_items: Mapping[str, Item], n_done: int, n_done_for_validation: int) -> str | None:
        """The key of the next of these items, None if there is none.

        Args:
            open_items: those without an answer that nobody else is at, in reading order.
            n_done: how many have one.
            n_done_for_validation: how many of these are kept for validation.

        """
        if self.order == "file":
            return next(iter(open_items), None)
        if self.order == "random":
            return self._first_drawn(open_items)
        is_validations_turn = n_done_for_validation * ONE_IN < n_done + 1
        of_set = [key for key, item in open_items.items() if item.for_validation == is_validations_turn]
        keys: Collection[str] = set(of_set) or open_items.keys()
        if is_validations_turn and of_set:
            return self._first_drawn(keys)
        if not self.doubts:
            typical = next((key for key in self.spread if key in keys), None)
            return typical or self._first_drawn(keys)
        known = {key: doubt for key in keys if not math.isnan(doubt := self.doubts.get(key, math.nan))}
        return max(known, key=lambda key: (known[key], key)) if known else self._first_drawn(keys)

    def _first_drawn(self, keys: Collection[str]) -> str | None:
        return next((key for key in self.drawn if key in keys), None)


def drawn_by(seed: int, keys: Sequence[str]) -> tuple[str, ...]:
    """The keys in an order that the seed draws; it does not depend on the order in which they stand."""
    order = sorted(keys)
    random.Random(seed).shuffle(order)
    return tuple(order)


def most_typical(vectors: npt.NDArray[np.float32], n: int, seed: int = 0) -> list[int]:
    """The row numbers of ``n`` vectors, each the nearest to the middle of one of ``n`` clusters, the largest first.

    k-means (Lloyd 1982), begun as k-means++ (Arthur and Vassilvitskii 2007) on vectors of length 1.

    Args:
        vectors: ``(n_texts, hidden)``.
        n: how many; all, if there are no more.
        seed: of where the clusters begin.

    """
    if len(vectors) <= n:
        return list(range(len(vectors)))
    points = vectors / np.maximum(1e-12, np.linalg.norm(vectors, axis=1, keepdims=True))
    rng = np.random.default_rng(seed)
    found = [_clustered(points, n, rng) for _ in range(_STARTS)]
    distances = min(found, key=lambda each: float(each.min(axis=1).sum()))
    return _nearest_of_each(distances)


def _clustered(points: Points, n: int, rng: np.random.Generator) -> Distances:
    """``(n_points, n)`` distances from the middles of the clusters that one start leads to."""
    centres = _first_centres(points, n, rng)
    distances = _distances(points, centres)
    nearest = np.full(len(points), -1)
    for _ in range(_ROUNDS):
        before, nearest = nearest, distances.argmin(axis=1)
        if np.array_equal(before, nearest):
            break
        for cluster in range(n):
            if (nearest == cluster).any():
                centres[cluster] = points[nearest == cluster].mean(axis=0)
        distances = _distances(points, centres)
    return distances


def _nearest_of_each(distances: Distances) -> list[int]:
    """Of each cluster the point that is nearest to its middle, the largest cluster first; no point twice."""
    nearest, n = distances.argmin(axis=1), distances.shape[1]
    sizes = np.bincount(nearest, minlength=n)
    found: list[int] = []
    for cluster in np.argsort(-sizes, kind="stable"):
        ranked = np.argsort(distances[:, cluster] + 1e9 * (nearest != cluster), kind="stable")
        found.append(next(int(i) for i in ranked if int(i) not in found))  # of an empty cluster, one of another's
    return found


def _first_centres(points: Points, n: int, rng: np.random.Generator) -> Points:
    chosen = [int(rng.integers(len(points)))]
    nearest = _distances(points, points[chosen]).min(axis=1)
    while len(chosen) < n:
        total = float(nearest.sum())
        shares = nearest / total if total > 0 else np.full(len(points), 1 / len(points))
        chosen.append(int(rng.choice(len(points), p=shares)))
        nearest = np.minimum(nearest, _distances(points, points[chosen[-1:]]).min(axis=1))
    return points[chosen].copy()


def _distances(points: Points, centres: Points) -> Distances:
    """``(n_points, n_centres)`` squared."""
    squares = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)[None] - 2 * points @ centres.T
    distances: Distances = np.maximum(0.0, squares.astype(np.float64))
    return distances
