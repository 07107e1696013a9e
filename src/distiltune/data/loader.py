"""The order of features in each epoch, and batches prepared ahead of the step that needs them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import PackedBatch, deal

FeatureIds = npt.NDArray[np.int64]


def epoch_order(n_features: int, seed: int, epoch: int) -> FeatureIds:
    """A permutation ``(n_features,)`` of the features that depends on nothing but these three numbers."""
    return np.random.default_rng((seed, epoch)).permutation(n_features)


def split_batches(order: FeatureIds, batch_size: int) -> list[FeatureIds]:
    """Cut an order into batches; the last, smaller one is kept."""
    return [order[first : first + batch_size] for first in range(0, len(order), batch_size)]


def share(lengths: npt.NDArray[np.int64], ids: FeatureIds, place: int, n_places: int) -> FeatureIds:
    """What the process at ``place`` takes of a batch: about as many tokens as each other, none of a batch too small."""
    if n_places == 1:
        return ids
    hands = deal(lengths[ids], n_places)
    return ids[hands[place]] if place < len(hands) else ids[:0]


def token_batches(feature_ids: FeatureIds, lengths: npt.NDArray[np.int64], max_tokens: int) -> list[FeatureIds]:
    """Batches of at most ``max_tokens`` tokens for inference, features of like lengths together.

    Args:
        feature_ids: ``(n,)`` the features to run.
        lengths: ``(n_features,)`` of the whole set.
        max_tokens: a feature longer than this has a batch of its own.

    """
    batches: list[FeatureIds] = []
    order = feature_ids[np.argsort(-lengths[feature_ids], kind="stable")]
    first = n_tokens = 0
    for i, length in enumerate(lengths[order].tolist()):
        if i > first and n_tokens + length > max_tokens:
            batches.append(order[first:i])
            first, n_tokens = i, 0
        n_tokens += length
    if first < len(order):
        batches.append(order[first:])
    return batches


def packed_ahead(
    features: FeatureSet, batches: Sequence[FeatureIds], n_parts: int = 1, n_ahead: int = 4
) -> Iterator[list[PackedBatch]]:
    """Pack the batches in order, each in ``n_parts`` parts at most, on a thread that keeps ``n_ahead`` ready."""
    lengths = features.lengths

    def parts(ids: FeatureIds) -> list[PackedBatch]:
        return [features.batch(ids[hand]) for hand in deal(lengths[ids], n_parts)]

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
