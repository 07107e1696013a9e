"""The loss over words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import NO_LABEL, PackedBatch, required, token_positions
from distiltune.tasks.heads import FloatArray
from distiltune.tasks.own import Loss, checked
from distiltune.training.objective import StepSums

METRIC_NAMES = ("loss", "accuracy")
_AT_ONCE: Final = 65_536


def counts_of_tags(features: FeatureSet, n_tags: int) -> FloatArray:
    """``(n_tags,)`` how often the labelled tokens have each, as heavy as they are in the loss.

    It goes through some features at once, since all may lie on disk.
    """
    counts = np.zeros(n_tags)
    for first in range(0, len(features), _AT_ONCE):
        last = min(first + _AT_ONCE, len(features))
        tags = required(features.token_labels, "token_labels")[features.offsets[first] : features.offsets[last]]
        feature_of = np.repeat(np.arange(last - first), np.diff(features.offsets[first : last + 1]))[tags != NO_LABEL]
        n_labels = np.bincount(feature_of, minlength=last - first)
        heavy = n_labels if features.weights is None else features.weights[first:last]
        each = (heavy / np.maximum(n_labels, 1))[feature_of]
        counts += np.bincount(tags[tags != NO_LABEL], each, n_tags)
    return counts


def token_loss(logits: Tensor, batch: PackedBatch) -> StepSums:
    """Cross-entropies of the labelled tokens and how many are right, each summed; features weigh their labels.

    Args:
        logits: ``(total_tokens, n_tags)``.
        batch: with a label a token.

    """
    labels = required(batch.token_labels, "token_labels")
    loss = F.cross_entropy(logits.float(), labels, ignore_index=NO_LABEL, reduction="sum")
    right = (logits.detach().argmax(dim=1) == labels).sum()
    return StepSums(loss, torch.stack([loss.detach(), right.to(loss.dtype)]))


def weighed_token_loss(logits: Tensor, batch: PackedBatch) -> StepSums:
    """As `token_loss`, where features weigh something else than their labels: each token has a share of its feature's.

    Without weights of their own it is the same but for rounding.
    """
    labels, heavy = required(batch.token_labels, "token_labels"), _token_weights(batch)
    loss = (heavy * F.cross_entropy(logits.float(), labels, ignore_index=NO_LABEL, reduction="none")).sum()
    right = (heavy * (logits.detach().argmax(dim=1) == labels)).sum()
    return StepSums(loss, torch.stack([loss.detach(), right]))


def _token_weights(batch: PackedBatch) -> Tensor:
    """``(total_tokens,)`` what each labelled token weighs; of a token without a label, 0."""
    is_labelled = (required(batch.token_labels, "token_labels") != NO_LABEL).float()
    sequence, _ = token_positions(batch.cu_seqlens, batch.n_tokens)
    n_sequences = len(batch.lengths)  # the features, and filler if there is some
    n_labels = is_labelled.new_zeros(n_sequences).index_add(0, sequence, is_labelled)
    if batch.weights is None:
        return is_labelled
    weights = F.pad(batch.weights, (0, n_sequences - batch.n_features))
    return is_labelled * (weights / n_labels.clamp(min=1.0))[sequence]


@dataclass(frozen=True, slots=True)
class OwnTokenLoss:
    """The sum over a batch's labelled tokens of a loss of one's own, each as heavy as it weighs."""

    loss: Loss

    def __call__(self, logits: Tensor, batch: PackedBatch) -> Tensor:
        """``(total_tokens, n_tags)`` → a scalar."""
        labels, heavy = required(batch.token_labels, "token_labels"), _token_weights(batch)
        losses = checked(self.loss(logits.float(), labels.clamp(min=0)), batch.n_tokens)
        return torch.where(heavy > 0, heavy * losses, 0.0).sum()


def token_losses(logits: Tensor, batch: PackedBatch) -> Tensor:
    """The loss of `token_loss` feature by feature, ``(n_features,)``."""
    labels = required(batch.token_labels, "token_labels")
    each = F.cross_entropy(logits.float(), labels, ignore_index=NO_LABEL, reduction="none")
    feature, _ = token_positions(batch.cu_seqlens, batch.n_tokens)
    return each.new_zeros(len(batch.lengths)).index_add(0, feature, each)[: batch.n_features]


def token_divergence(logits: Tensor, teacher_logits: Tensor, batch: PackedBatch, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from a teacher's softened tags of the labelled tokens, times the temperature squared.

    Both are ``(total_tokens, n_tags)``; the result is the sum, each as heavy as it weighs (Hinton et al. 2015, section
    2).
    """
    ours = (logits.float() / temperature).log_softmax(dim=1)
    theirs = (teacher_logits.float() / temperature).log_softmax(dim=1)
    each = (theirs.exp() * (theirs - ours)).sum(dim=1)
    heavy = _token_weights(batch)
    return torch.where(heavy > 0, heavy * each, 0.0).sum() * temperature**2
