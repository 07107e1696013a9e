"""The columnar set of features that every task hands to the engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distiltune.data.packing import PackedBatch, TokenRows, pack


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Features as flat arrays, which may be memory-mapped from the cache.

    Attributes:
        token_ids: ``(all_tokens,)`` int32, every feature's tokens with its special tokens.
        offsets: ``(n_features + 1,)`` int64; feature i has the tokens ``offsets[i]:offsets[i + 1]``.
        labels: ``(n_features, n_label_columns)`` int32; the task knows what the columns mean.
        example_of: ``(n_features,)`` int64, index of the example that the feature is a window of, ascending.
        weights: ``(n_features,)`` float32, what each feature weighs in the mean that a step's loss is, and in the
            metrics; None: each 1.
        targets: ``(all_tokens, n_targets)`` float16 or float32, what a teacher says of every token; None without one.

    """

    token_ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int32]
    example_of: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32] | None = None
    targets: TokenRows | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """``(n_features,)`` tokens in each feature."""
        return np.diff(self.offsets)

    def weight(self, feature_ids: npt.NDArray[np.int64]) -> float:
        """What these features weigh together."""
        return float(len(feature_ids) if self.weights is None else self.weights[feature_ids].sum(dtype=np.float64))

    def batch(self, feature_ids: npt.NDArray[np.int64]) -> PackedBatch:
        """Pack these features, in this order."""
        return pack(self.token_ids, self.offsets, self.labels, feature_ids, self.targets)
