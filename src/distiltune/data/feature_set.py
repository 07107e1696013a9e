"""The columnar set of features that every task hands to the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from distiltune.data.packing import PackedBatch, Rows, TargetRows, gather_blocks, gather_rows, pack

Labels = npt.NDArray[np.int32] | npt.NDArray[np.float32]
"""Whole numbers, such as classes and positions, or numbers to be predicted: a set has the one or the other."""


def no_labels(n_features: int) -> Labels:
    """``(n_features, 0)``: the labels of features that have none as a whole."""
    return np.zeros((n_features, 0), dtype=np.int32)


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Features as flat arrays, which may be memory-mapped from the cache.

    Attributes:
        token_ids: ``(all_tokens,)`` int32, every feature's tokens with its special tokens.
        offsets: ``(n_features + 1,)`` int64; feature i has the tokens ``offsets[i]:offsets[i + 1]``.
        labels: ``(n_features, n_label_columns)`` int32 or float32; the task knows what the columns mean. Without any
            column (`no_labels`) a feature as a whole has no label.
        example_of: ``(n_features,)`` int64, index of the example that the feature is a window of, ascending.
        token_labels: ``(all_tokens,)`` int32, aligned with ``token_ids``, `NO_LABEL` where nothing is asked. None: no
            token has one.
        weights: ``(n_features,)`` float32, what each feature weighs in the mean that a step's loss is, and in the
            metrics; None: each 1.
        group_of: ``(n_features,)`` int64, ascending: features with one number belong together, such as the choices of
            one question, and no batch parts them; None: each stands alone.
        targets: what a teacher says, float16 or float32: ``(all_tokens, n_targets)``, or ``(n_features, n_targets)``;
            None without one.
        target_rows: which of the two.
        redraw: makes the set of an epoch out of this one and a generator of random numbers, see `of_epoch`; None: all
            epochs have the same.

    Raises:
        ValueError: if a column has another length than it must, or the groups are not ascending.

    """

    token_ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    labels: Labels
    example_of: npt.NDArray[np.int64]
    token_labels: npt.NDArray[np.int32] | None = None
    weights: npt.NDArray[np.float32] | None = None
    group_of: npt.NDArray[np.int64] | None = None
    targets: TargetRows | None = None
    target_rows: Rows = "token"
    redraw: Callable[[FeatureSet, np.random.Generator], FeatureSet] | None = None

    def __post_init__(self) -> None:
        columns = {
            "example_of": (self.example_of, len(self)),
            "labels": (self.labels, len(self)),
            "token_labels": (self.token_labels, len(self.token_ids)),
            "weights": (self.weights, len(self)),
            "group_of": (self.group_of, len(self)),
        }
        for name, (column, length) in columns.items():
            if column is not None and len(column) != length:
                raise ValueError(f"{name} has {len(column)} rows where {length} are needed")
        if self.group_of is not None and (np.diff(self.group_of) < 0).any():
            raise ValueError("group_of is not ascending: the features of a group lie side by side")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """``(n_features,)`` tokens in each feature."""
        return np.diff(self.offsets)

    def lengths_of(self, feature_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """``(n,)`` tokens in each of these features."""
        return self.offsets[feature_ids + 1] - self.offsets[feature_ids]

    def weight(self, feature_ids: npt.NDArray[np.int64]) -> float:
        """What these features weigh together."""
        return float(len(feature_ids) if self.weights is None else self.weights[feature_ids].sum(dtype=np.float64))

    def batch(self, feature_ids: npt.NDArray[np.int64]) -> PackedBatch:
        """Pack these features, in this order, with all that the set has of them."""
        tags, weights, groups, targets = self.token_labels, self.weights, self.group_of, self.targets
        rows = self.offsets if self.target_rows == "token" else np.arange(len(self) + 1)
        return replace(
            pack(self.token_ids, self.offsets, feature_ids),
            labels=_tensor(self.labels[feature_ids]),
            token_labels=None if tags is None else _tensor(gather_rows(tags, self.offsets, feature_ids)),
            weights=None if weights is None else _tensor(weights[feature_ids]),
            group_of=None if groups is None else _tensor(np.unique(groups[feature_ids], return_inverse=True)[1]),
            targets=None if targets is None else torch.from_numpy(gather_blocks(targets, rows, feature_ids)),
            target_rows=self.target_rows,
        )

    def of_epoch(self, seed: int, epoch: int) -> FeatureSet:
        """The set as it is in one epoch, such as with other tokens masked; decided by these two numbers alone.

        Raises:
            ValueError: if what is drawn has other features than this set: their number, lengths and groups stay.

        """
        if self.redraw is None:
            return self
        # A stream of its own: the order of the features is drawn from (seed, epoch).
        drawn = self.redraw(self, np.random.default_rng((seed, epoch, 1)))
        if not np.array_equal(drawn.offsets, self.offsets) or drawn.group_of is not self.group_of:
            raise ValueError("the features drawn for an epoch have other lengths or groups than the set")
        return drawn

    def fingerprint(self) -> str:
        """Hash of tokens, labels, weights and groups; not of a teacher's targets, which have their own."""
        digest = hashlib.sha256()
        for array in (self.token_ids, self.offsets, self.labels):
            digest.update(_bytes_of(array))
        for name in ("token_labels", "weights", "group_of"):
            if (more := getattr(self, name)) is not None:
                digest.update(name.encode())
                digest.update(_bytes_of(more))
        return digest.hexdigest()


def joined(own: FeatureSet, others: FeatureSet, weight: float, n_examples: int) -> FeatureSet:
    """One set of two, the others behind the own.

    Args:
        own: the features that come first.
        others: with the same kinds of labels.
        weight: of each of the others in the mean of a loss, times what it weighs among its own.
        n_examples: of the own set, so that the examples of the others are counted from there.

    Raises:
        ValueError: if one of the sets has labels of tokens, or groups, and the other none; if one has a teacher's
            targets, or is drawn anew every epoch.

    """
    if any(each.targets is not None or each.redraw is not None for each in (own, others)):
        raise ValueError("a set with a teacher's targets, or one that is drawn anew, cannot be joined with another")
    tags, groups = (own.token_labels, others.token_labels), (own.group_of, others.group_of)
    if (tags[0] is None) != (tags[1] is None) or (groups[0] is None) != (groups[1] is None):
        raise ValueError("the two sets have not the same columns")
    weights = None
    if weight != 1.0 or own.weights is not None or others.weights is not None:
        ones = [np.ones(len(each), np.float32) if each.weights is None else each.weights for each in (own, others)]
        weights = np.concatenate([ones[0], np.float32(weight) * ones[1]]).astype(np.float32)
    n_groups = 0 if own.group_of is None or not len(own) else int(own.group_of[-1]) + 1
    return FeatureSet(
        token_ids=np.concatenate([own.token_ids, others.token_ids]),
        offsets=np.concatenate([own.offsets, others.offsets[1:] + own.offsets[-1]]),
        labels=np.concatenate([own.labels, others.labels]),
        example_of=np.concatenate([own.example_of, others.example_of + n_examples]),
        token_labels=None if tags[0] is None or tags[1] is None else np.concatenate([tags[0], tags[1]]),
        weights=weights,
        group_of=None if groups[0] is None or groups[1] is None else np.concatenate([groups[0], groups[1] + n_groups]),
    )


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    """An array's bytes, without a copy where they lie in order: of a mapped file the whole would be in memory."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _tensor(values: npt.NDArray[np.integer] | npt.NDArray[np.float32]) -> torch.Tensor:
    """In the types that kernels ask for: int64 and float32."""
    kind = np.float32 if np.issubdtype(values.dtype, np.floating) else np.int64
    return torch.from_numpy(values.astype(kind))
