"""The loss over words."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from distiltune.data.packing import PackedBatch, token_places
from distiltune.tasks.token_classification.features import NO_LABEL
from distiltune.training.objective import StepSums

METRIC_NAMES = ("loss", "accuracy")


def token_labels(batch: PackedBatch) -> Tensor:
    """``(n_features, longest)`` labels → ``(total_tokens,)``, `NO_LABEL` where there is none, filler included."""
    feature, within = token_places(batch.cu_seqlens, batch.n_tokens)
    n_features, longest = batch.labels.shape
    labels = batch.labels[feature.clamp(max=n_features - 1), within.clamp(max=longest - 1)]
    return torch.where((feature < n_features) & (within < longest), labels, NO_LABEL)


def token_loss(logits: Tensor, batch: PackedBatch) -> StepSums:
    """Cross-entropies of the labelled tokens and how many are right, each summed; features weigh their labels.

    Args:
        logits: ``(total_tokens, n_tags)``.
        batch: with labels ``(n_features, longest)``.

    """
    labels = token_labels(batch)
    loss = F.cross_entropy(logits.float(), labels, ignore_index=NO_LABEL, reduction="sum")
    right = (logits.detach().argmax(dim=1) == labels).sum()
    return StepSums(loss, torch.stack([loss.detach(), right.to(loss.dtype)]))


def token_divergence(logits: Tensor, teacher_logits: Tensor, batch: PackedBatch, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from a teacher's softened tags of the labelled tokens, times the temperature squared.

    Both are ``(total_tokens, n_tags)``; the result is the sum (Hinton et al. 2015, section 2).
    """
    ours = (logits.float() / temperature).log_softmax(dim=1)
    theirs = (teacher_logits.float() / temperature).log_softmax(dim=1)
    each = (theirs.exp() * (theirs - ours)).sum(dim=1)
    return torch.where(token_labels(batch) != NO_LABEL, each, 0.0).sum() * temperature**2
