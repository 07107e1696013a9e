"""Packing: several features laid end to end without padding. Pure functions, tested to the exact boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IntArray = npt.NDArray[np.int32] | npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Several features laid end to end.

    Attributes:
        token_ids: ``(total_tokens,)`` int64.
        position_ids: ``(total_tokens,)`` int64; positions restart at 0 in every feature.
        cu_seqlens: ``(n_features + 1,)`` int32; feature i holds the tokens ``cu_seqlens[i]:cu_seqlens[i + 1]``.
        lengths: the features' lengths in tokens, on the host, so that no kernel has to be waited for.
        labels: ``(n_features, n_label_columns)`` int64; what the columns mean is the task's business.
        feature_ids: ``(n_features,)`` int64 on the host; which features of the set these are.

    """

    token_ids: Tensor
    position_ids: Tensor
    cu_seqlens: Tensor
    lengths: tuple[int, ...]
    labels: Tensor
    feature_ids: npt.NDArray[np.int64]

    @property
    def n_features(self) -> int:
        """How many features lie in the batch."""
        return len(self.lengths)

    @property
    def n_tokens(self) -> int:
        """How many tokens lie in the batch; all are real, none is padding."""
        return int(self.token_ids.shape[0])

    def to(self, device: torch.device) -> PackedBatch:
        """The same batch with its tensors on ``device`` (copied without waiting where memory is pinned)."""
        if self.token_ids.device == device:
            return self
        return PackedBatch(
            token_ids=self.token_ids.to(device, non_blocking=True),
            position_ids=self.position_ids.to(device, non_blocking=True),
            cu_seqlens=self.cu_seqlens.to(device, non_blocking=True),
            lengths=self.lengths,
            labels=self.labels.to(device, non_blocking=True),
            feature_ids=self.feature_ids,
        )


def cumulative_lengths(lengths: Sequence[int] | IntArray) -> npt.NDArray[np.int64]:
    """Boundaries ``(n + 1,)`` of sequences with these lengths laid end to end, from 0 to the total."""
    boundaries = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=boundaries[1:])
    return boundaries


def positions(lengths: Sequence[int] | IntArray) -> npt.NDArray[np.int64]:
    """Position of every packed token within its own sequence, ``(total,)``: 0, 1, … restarting at each."""
    boundaries = cumulative_lengths(lengths)
    return np.arange(boundaries[-1], dtype=np.int64) - np.repeat(boundaries[:-1], np.diff(boundaries))


def deal(lengths: Sequence[int] | IntArray, n_hands: int) -> list[npt.NDArray[np.int64]]:
    """Deal sequences to at most ``n_hands`` hands of nearly equal token counts: the longest first, each to the least.

    Args:
        lengths: ``(n,)`` of the sequences.
        n_hands: most hands; none is empty, so that there are fewer where there are fewer sequences.

    Returns:
        indices of the sequences, each exactly once, ascending within a hand.

    """
    hands: list[list[int]] = [[] for _ in range(min(n_hands, len(lengths)))]
    totals = [0] * len(hands)
    for index in np.argsort(-np.asarray(lengths), kind="stable").tolist():
        least = totals.index(min(totals))
        hands[least].append(index)
        totals[least] += int(lengths[index])
    return [np.array(sorted(hand), dtype=np.int64) for hand in hands]


def gather_rows(
    flat: npt.NDArray[np.integer], offsets: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.integer]:
    """The values of ``rows`` of a ragged array, laid end to end.

    Row i of the ragged array is ``flat[offsets[i]:offsets[i + 1]]``. One fancy index, no Python loop.
    """
    lengths = offsets[rows + 1] - offsets[rows]
    gathered: npt.NDArray[np.integer] = flat[np.repeat(offsets[rows], lengths) + positions(lengths)]
    return gathered


def pack(
    token_ids: npt.NDArray[np.integer],
    offsets: npt.NDArray[np.int64],
    labels: npt.NDArray[np.integer],
    feature_ids: npt.NDArray[np.int64],
) -> PackedBatch:
    """Lay the features ``feature_ids`` of a columnar set end to end, in that order.

    Args:
        token_ids: ``(all_tokens,)`` of the whole set.
        offsets: ``(all_features + 1,)`` boundaries of the features in ``token_ids``.
        labels: ``(all_features, n_label_columns)``.
        feature_ids: ``(n_features,)`` which features, in which order.

    """
    lengths = offsets[feature_ids + 1] - offsets[feature_ids]
    return PackedBatch(
        token_ids=torch.from_numpy(gather_rows(token_ids, offsets, feature_ids).astype(np.int64)),
        position_ids=torch.from_numpy(positions(lengths)),
        cu_seqlens=torch.from_numpy(cumulative_lengths(lengths).astype(np.int32)),
        lengths=tuple(int(length) for length in lengths),
        labels=torch.from_numpy(labels[feature_ids].astype(np.int64)),
        feature_ids=feature_ids,
    )
