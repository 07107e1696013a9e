"""The loss over words."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from distiltune.data.packing import NO_LABEL, PackedBatch, required, token_positions
from distiltune.training.objective import StepSums

METRIC_NAMES = ("loss", "accuracy")


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


def token_losses(logits: Tensor, batch: PackedBatch) -> Tensor:
    """The loss of `token_loss` feature by feature, ``(n_features,)``."""
    labels = required(batch.token_labels, "token_labels")
    each = F.cross_entropy(logits.float(), labels, ignore_index=NO_LABEL, reduction="none")
    feature, _ = token_positions(batch.cu_seqlens, batch.n_tokens)
    return each.new_zeros(len(batch.lengths)).index_add(0, feature, each)[: batch.n_features]


def token_divergence(logits: Tensor, teacher_logits: Tensor, batch: PackedBatch, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from a teacher's softened tags of the labelled tokens, times the temperature squared.

    Both are ``(total_tokens, n_tags)``; the result is the sum (Hinton et al. 2015, section 2).
    """
    ours = (logits.float() / temperature).log_softmax(dim=1)
    theirs = (teacher_logits.float() / temperature).log_softmax(dim=1)
    each = (theirs.exp() * (theirs - ours)).sum(dim=1)
    is_labelled = required(batch.token_labels, "token_labels") != NO_LABEL
    return torch.where(is_labelled, each, 0.0).sum() * temperature**2
