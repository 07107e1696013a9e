"""The order of features in each epoch, and batches prepared ahead of the step that needs them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import PackedBatch, cumulative_lengths, deal, gather_rows
from distiltune.errors import RecipeError

FeatureIds = npt.NDArray[np.int64]
GroupOf = npt.NDArray[np.int64]
"""``FeatureSet.group_of``: the number of every feature's group."""


def epoch_order(n_features: int, seed: int, epoch: int, group_of: GroupOf | None = None) -> FeatureIds:
    """A permutation ``(n_features,)`` of the features that depends on nothing but these three numbers and the groups.

    Of groups it is these that are permuted; the features of one follow each other as they lie in the set.
    """
    return shuffled(np.arange(n_features), np.random.default_rng((seed, epoch)), group_of)


def shuffled(ids: FeatureIds, random: np.random.Generator, group_of: GroupOf | None = None) -> FeatureIds:
    """These features in another order, ``(n,)``; those of one group, which are side by side, stay so."""
    if group_of is None:
        return ids[random.permutation(len(ids))]
    bounds = _bounds(ids, group_of)
    return gather_rows(ids, bounds, random.permutation(len(bounds) - 1)).astype(np.int64)


def units(ids: FeatureIds, group_of: GroupOf | None = None) -> list[FeatureIds]:
    """These features in their order, cut into what may not be parted: each alone, or each group as a whole."""
    bounds = np.arange(len(ids) + 1) if group_of is None else _bounds(ids, group_of)
    return np.split(ids, bounds[1:-1]) if len(ids) else []


def split_batches(order: FeatureIds, batch_size: int, group_of: GroupOf | None = None) -> list[FeatureIds]:
    """Cut an order into batches; the last, smaller one is kept.

    Of groups, each cut is made where the group that it would part begins. So there are as many batches as without
    groups, which the schedule needs to know beforehand; where the size is no multiple of a group's, some have fewer
    features and some have more, by less than a group.

    Raises:
        RecipeError: if a group is larger than a batch.

    """
    if group_of is None or not len(order):
        return [order[first : first + batch_size] for first in range(0, len(order), batch_size)]
    bounds = _bounds(order, group_of)
    largest = int(np.diff(bounds).max())
    if largest > batch_size:
        raise RecipeError(
            f"{largest} features belong together, which do not fit into a batch of {batch_size}.",
            where="recipe: batch_size",
            fix=f"make it {largest} or more",
        )
    cuts = np.arange(batch_size, len(order), batch_size)
    return np.split(order, bounds[np.searchsorted(bounds, cuts, side="right") - 1])


def hands_of(features: FeatureSet, ids: FeatureIds, n_hands: int) -> list[FeatureIds]:
    """A batch dealt to at most ``n_hands`` hands of nearly equal token counts, groups as a whole; none is empty."""
    if features.group_of is None:
        return [ids[hand] for hand in deal(features.lengths_of(ids), n_hands)]
    bounds = _bounds(ids, features.group_of)
    hands = deal(_totals(features.lengths_of(ids), bounds), n_hands)
    return [gather_rows(ids, bounds, hand).astype(np.int64) for hand in hands]


def share(features: FeatureSet, ids: FeatureIds, rank: int, world_size: int) -> FeatureIds:
    """What the process at ``rank`` takes of a batch: about as many tokens as each other, none of a batch too small."""
    if world_size == 1:
        return ids
    hands = hands_of(features, ids, world_size)
    return hands[rank] if rank < len(hands) else ids[:0]


def token_batches(features: FeatureSet, feature_ids: FeatureIds, max_tokens: int) -> list[FeatureIds]:
    """Batches of at most ``max_tokens`` tokens for inference, features (or groups) of like lengths together.

    Args:
        features: the set.
        feature_ids: ``(n,)`` the features to run; where there are groups, those of one side by side.
        max_tokens: a feature or group longer than this has a batch of its own.

    """
    bounds = np.arange(len(feature_ids) + 1) if features.group_of is None else _bounds(feature_ids, features.group_of)
    totals = _totals(features.lengths_of(feature_ids), bounds)
    order = np.argsort(-totals, kind="stable")
    cuts = [0]
    n_tokens = 0
    for i, length in enumerate(totals[order].tolist()):
        if i > cuts[-1] and n_tokens + length > max_tokens:
            cuts.append(i)
            n_tokens = 0
        n_tokens += length
    batches = np.split(order, cuts[1:]) if len(order) else []
    return [gather_rows(feature_ids, bounds, units).astype(np.int64) for units in batches]


def shortest(features: FeatureSet, n: int) -> FeatureIds:
    """The ``n`` shortest features, ascending; of groups the shortest, as many as hold at most so many, but one."""
    ids = np.arange(len(features))
    bounds = np.arange(len(features) + 1) if features.group_of is None else _bounds(ids, features.group_of)
    order = np.argsort(_totals(features.lengths, bounds), kind="stable")
    n_units = max(1, int(np.searchsorted(np.diff(bounds)[order].cumsum(), n, side="right")))
    return np.sort(gather_rows(ids, bounds, order[:n_units])).astype(np.int64)


def _bounds(ids: FeatureIds, group_of: GroupOf) -> npt.NDArray[np.int64]:
    """Where in ``ids`` each group begins, and at last their number: features of a group are side by side there."""
    changes = np.flatnonzero(np.diff(group_of[ids])) + 1
    return np.concatenate([np.zeros(1, np.int64), changes, np.full(min(1, len(ids)), len(ids))])


def _totals(lengths: npt.NDArray[np.int64], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Tokens of each group."""
    return np.diff(cumulative_lengths(lengths)[bounds])


def packed_ahead(
    features: FeatureSet, batches: Sequence[FeatureIds], n_parts: int = 1, n_ahead: int = 4
) -> Iterator[list[PackedBatch]]:
    """Pack the batches in order, each in ``n_parts`` parts at most, on a thread that keeps ``n_ahead`` ready."""

    def parts(ids: FeatureIds) -> list[PackedBatch]:
        return [features.batch(hand) for hand in hands_of(features, ids, n_parts)]

    yield from _ahead((lambda ids=ids: parts(ids) for ids in batches), n_ahead)  # type: ignore[misc]


def _ahead(jobs: Iterator[Callable[[], list[PackedBatch]]], n_ahead: int) -> Iterator[list[PackedBatch]]:
    ready: queue.Queue[list[PackedBatch] | BaseException | None] = queue.Queue(maxsize=n_ahead)
    stopped = threading.Event()

    def offer(item: list[PackedBatch] | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for job in jobs:
                if not offer(job()):
                    return
            offer(None)
        except BaseException as error:  # handed to the consumer, who raises it
            offer(error)

    thread = threading.Thread(target=work, name="packing", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
