"""The question-answering head and its loss: one start and one end logit a token, a softmax over each feature."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from distiltune.data.packing import NO_LABEL, PackedBatch, token_positions
from distiltune.tasks.heads import TokenHead
from distiltune.tasks.own import Loss, checked
from distiltune.training.objective import StepSums

METRIC_NAMES = ("loss", "end_accuracy", "start_accuracy")


SpanHead = partial(TokenHead, n_columns=2)
"""Start and end logits, as ``DistilBertForQuestionAnswering`` has them: ``SpanHead(hidden_size, dropout)``."""


def unpack_logits(logits: Tensor, batch: PackedBatch) -> Tensor:
    """``(total_tokens, 2)`` → ``(n_features, 2, max_length)``, minus infinity behind each feature's end."""
    n_sequences = len(batch.lengths)  # the features, and filler if there is some
    feature, within = token_positions(batch.cu_seqlens, batch.n_tokens)
    dense = logits.new_full((n_sequences, batch.max_length, 2), -torch.inf)
    return dense.index_put((feature, within), logits)[: batch.n_features].transpose(1, 2)


def span_loss(logits: Tensor, batch: PackedBatch) -> StepSums:
    """Mean of start and end cross-entropy a feature, over the feature's own tokens, summed by weight over the batch.

    Args:
        logits: ``(total_tokens, 2)``.
        batch: with labels ``(n_features, 2)``, start and end within the feature.

    """
    dense = unpack_logits(logits.float(), batch)
    losses = F.cross_entropy(dense.transpose(1, 2), batch.labels, reduction="none")
    right = dense.detach().argmax(dim=-1) == batch.labels
    if batch.weights is not None:
        losses, right = losses * batch.weights[:, None], right * batch.weights[:, None]
    loss, right = losses.sum() / 2, right.sum(dim=0)
    return StepSums(
        loss=loss,
        metrics=torch.stack([loss.detach(), right[1].to(loss.dtype), right[0].to(loss.dtype)]),
    )


def span_losses(logits: Tensor, batch: PackedBatch) -> Tensor:
    """The loss of `span_loss` feature by feature, ``(n_features,)``; 0 where the label is not known."""
    dense = unpack_logits(logits.float(), batch)
    return F.cross_entropy(dense.transpose(1, 2), batch.labels, reduction="none").sum(dim=1) / 2


@dataclass(frozen=True, slots=True)
class OwnSpanLoss:
    """The sum over a batch's features of a loss of one's own, each as heavy as it weighs."""

    loss: Loss

    def __call__(self, logits: Tensor, batch: PackedBatch) -> Tensor:
        """``(total_tokens, 2)`` → a scalar; features whose label is not known count nothing."""
        is_known = batch.labels[:, 0] != NO_LABEL
        labels = batch.labels.clamp(min=0)
        losses = checked(self.loss(unpack_logits(logits.float(), batch), labels), batch.n_features)
        losses = torch.where(is_known, losses, 0.0)
        return (losses if batch.weights is None else losses * batch.weights).sum()


def span_divergence(logits: Tensor, teacher_logits: Tensor, batch: PackedBatch, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from a teacher's softened starts and ends, mean of the two, summed by weight.

    Both are softmaxes over the feature's own tokens of the logits divided by ``temperature``; the result is times its
    square, so that gradients stay as large as those of the labels (Hinton et al. 2015, section 2).

    Args:
        logits: ``(total_tokens, 2)``, the student's.
        teacher_logits: ``(total_tokens, 2)``.
        batch: where the features lie.
        temperature: above 0.

    """
    ours = unpack_logits(logits.float() / temperature, batch).log_softmax(-1)
    theirs = unpack_logits(teacher_logits.float() / temperature, batch).log_softmax(-1)
    differences = (theirs - ours).masked_fill(theirs == -torch.inf, 0.0)  # behind a feature's end
    each = theirs.exp() * differences
    if batch.weights is not None:
        each = each * batch.weights[:, None, None]
    return each.sum() * temperature**2 / 2
