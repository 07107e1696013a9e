"""Packing: several features laid end to end without padding. Pure functions, tested to the exact boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IntArray = npt.NDArray[np.int32] | npt.NDArray[np.int64]

NO_LABEL: Final = -100
"""Of a token about which nothing is known or asked, filler too: PyTorch's cross-entropy leaves it out."""

Rows = Literal["token", "sequence"]
"""What there is a row of: of every token, or of every feature as a whole."""

T = TypeVar("T")


def required(values: T | None, what: str) -> T:
    """A column that may be missing, where whoever asks cannot do without it.

    Raises:
        ValueError: naming it, if it is missing.

    """
    if values is None:
        raise ValueError(f"these features have no {what}")
    return values


class TargetRows(Protocol):
    """Numbers in half or single precision, a row for each token or feature of a set: an array, or several on disk."""

    def __getitem__(self, rows: slice, /) -> npt.NDArray[np.floating]:
        """The rows from ``start`` to ``stop``."""


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Several features laid end to end.

    Attributes:
        token_ids: ``(total_tokens,)`` int64.
        position_ids: ``(total_tokens,)`` int64; positions restart at 0 in every feature.
        cu_seqlens: ``(n_features + 1,)`` int32; feature i holds the tokens ``cu_seqlens[i]:cu_seqlens[i + 1]``.
        lengths: the sequences' lengths in tokens, on the host, so that no kernel has to be waited for.
        max_length: the longest of them, or a bound that holds for all batches of a kind.
        labels: ``(n_features, n_label_columns)`` int64 or float32; what the columns mean is the task's business, and
            there may be none of them.
        feature_ids: ``(n_features,)`` int64 on the host; which features of the set these are.
        token_labels: ``(total_tokens,)`` int64, `NO_LABEL` of filler.
        weights: ``(n_features,)`` float32, what each feature weighs in the loss; None: each 1.
        group_of: ``(n_features,)`` int64, the number of each feature's group, from 0 within the batch.
        targets: what a teacher says, float16 or float32: ``(total_tokens, n_targets)``, or ``(n_features, n_targets)``.
        target_rows: which of the two.

    What is None, the set does not have. Behind the features there may be one more sequence, of filler (see
    ``fill_up``): it has no row of labels and no id.
    """

    token_ids: Tensor
    position_ids: Tensor
    cu_seqlens: Tensor
    lengths: tuple[int, ...]
    max_length: int
    labels: Tensor
    feature_ids: npt.NDArray[np.int64]
    token_labels: Tensor | None = None
    weights: Tensor | None = None
    group_of: Tensor | None = None
    targets: Tensor | None = None
    target_rows: Rows = "token"

    @property
    def n_features(self) -> int:
        """How many features lie in the batch."""
        return int(self.labels.shape[0])

    @property
    def n_tokens(self) -> int:
        """How many tokens lie in the batch, filler included."""
        return int(self.token_ids.shape[0])

    def row_counts(self, rows: Rows) -> tuple[int, ...]:
        """How many rows of a model's output belong to each sequence, where it gives one of every ``rows``."""
        return self.lengths if rows == "token" else (1,) * self.n_features

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that there are, by the attributes' names."""
        found = {name: getattr(self, name) for name in _TENSORS}
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    def with_tensors(self, tensors: Mapping[str, Tensor]) -> PackedBatch:
        """The same batch with these in the place of its own."""
        return replace(self, **tensors)  # type: ignore[arg-type]

    def to(self, device: torch.device) -> PackedBatch:
        """The same batch with its tensors on ``device`` (copied without waiting where memory is pinned)."""
        if self.token_ids.device == device:
            return self
        return self.with_tensors(
            {name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors().items()}
        )


_TENSORS: Final = (
    "token_ids", "position_ids", "cu_seqlens", "labels", "token_labels", "weights", "group_of", "targets"
)  # fmt: skip


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
    token_ids: npt.NDArray[np.integer], offsets: npt.NDArray[np.int64], feature_ids: npt.NDArray[np.int64]
) -> PackedBatch:
    """Lay the tokens of the features ``feature_ids`` of a columnar set end to end, in that order, without labels.

    Args:
        token_ids: ``(all_tokens,)`` of the whole set.
        offsets: ``(all_features + 1,)`` boundaries of the features in ``token_ids``.
        feature_ids: ``(n_features,)`` which features, in which order.

    """
    lengths = offsets[feature_ids + 1] - offsets[feature_ids]
    return PackedBatch(
        token_ids=torch.from_numpy(gather_rows(token_ids, offsets, feature_ids).astype(np.int64)),
        position_ids=torch.from_numpy(positions(lengths)),
        cu_seqlens=torch.from_numpy(cumulative_lengths(lengths).astype(np.int32)),
        lengths=tuple(int(length) for length in lengths),
        max_length=int(lengths.max(initial=0)),
        labels=torch.zeros(len(feature_ids), 0, dtype=torch.int64),
        feature_ids=feature_ids,
    )


def gather_blocks(
    flat: TargetRows, offsets: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.floating]:
    """As ``gather_rows``, block by block: wide rows of a memory map are copied once and in order."""
    return np.concatenate([flat[0:0], *(flat[offsets[row] : offsets[row + 1]] for row in rows)])


def token_positions(cu_seqlens: Tensor, n_tokens: int) -> tuple[Tensor, Tensor]:
    """For each packed token its sequence and its place in it, ``(n_tokens,)`` int64 each."""
    tokens = torch.arange(n_tokens, device=cu_seqlens.device)
    boundaries = cu_seqlens.long()
    sequence = torch.searchsorted(boundaries[1:], tokens, right=True)
    return sequence, tokens - boundaries[sequence]


def filled_size(n_tokens: int, step: int) -> int:
    """The next multiple of ``step``: batches of a few sizes only can be replayed where every size costs a recording."""
    return -(-n_tokens // step) * step


def fill_up(batch: PackedBatch, n_tokens: int, max_length: int) -> PackedBatch:
    """The same batch with filler behind its features, so that its tensors have the shape of all batches of that size.

    Args:
        batch: as ``pack`` makes it.
        n_tokens: total with the filler.
        max_length: the most tokens of any feature of the set; the filler has no more than these.

    Raises:
        ValueError: if the batch has more tokens, or the filler would be longer than ``max_length``.

    """
    n_filler = n_tokens - batch.n_tokens
    if not 0 <= n_filler <= max_length:
        raise ValueError(f"{batch.n_tokens} tokens cannot be filled up to {n_tokens} with at most {max_length}")
    filler = torch.zeros(n_filler, dtype=torch.int64)
    labels, targets = batch.token_labels, batch.targets
    if targets is not None and batch.target_rows == "token":
        targets = torch.cat([targets, targets.new_zeros(n_filler, targets.shape[1])])
    return replace(
        batch,
        token_ids=torch.cat([batch.token_ids, filler]),
        position_ids=torch.cat([batch.position_ids, torch.arange(n_filler)]),
        cu_seqlens=torch.cat([batch.cu_seqlens, batch.cu_seqlens.new_tensor([n_tokens])]),
        lengths=(*batch.lengths, n_filler),
        max_length=max_length,
        token_labels=None if labels is None else torch.cat([labels, labels.new_full((n_filler,), NO_LABEL)]),
        targets=targets,
    )
