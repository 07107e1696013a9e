"""The question-answering head and its loss: one start and one end logit a token, a softmax over each feature."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.data.packing import PackedBatch, token_places
from distiltune.model.dropout import dropout
from distiltune.tasks.base import StepSums

METRIC_NAMES = ("loss", "end_accuracy", "start_accuracy")


class SpanHead(nn.Module):
    """Dropout and one linear layer, as ``DistilBertForQuestionAnswering`` has them."""

    def __init__(self, hidden_size: int, dropout_probability: float) -> None:
        super().__init__()
        self.output = nn.Linear(hidden_size, 2)
        self.dropout = dropout_probability

    def forward(self, hidden: Tensor) -> Tensor:
        """``(total_tokens, hidden)`` → ``(total_tokens, 2)``, start and end logits."""
        out: Tensor = self.output(dropout(hidden, self.dropout, self.training))
        return out


def unpack_logits(logits: Tensor, batch: PackedBatch) -> Tensor:
    """``(total_tokens, 2)`` → ``(n_features, 2, max_length)``, minus infinity behind each feature's end."""
    n_sequences = len(batch.lengths)  # the features, and filler if there is some
    feature, within = token_places(batch.cu_seqlens, batch.n_tokens)
    dense = logits.new_full((n_sequences, batch.max_length, 2), -torch.inf)
    return dense.index_put((feature, within), logits)[: batch.n_features].transpose(1, 2)


def span_loss(logits: Tensor, batch: PackedBatch) -> StepSums:
    """Mean of start and end cross-entropy a feature, over the feature's own tokens, summed over the batch.

    Args:
        logits: ``(total_tokens, 2)``.
        batch: with labels ``(n_features, 2)``, start and end within the feature.

    """
    dense = unpack_logits(logits.float(), batch)
    losses = F.cross_entropy(dense.transpose(1, 2), batch.labels, reduction="none")
    right = (dense.detach().argmax(dim=-1) == batch.labels).sum(dim=0)
    loss = losses.sum() / 2
    return StepSums(
        loss=loss,
        metrics=torch.stack([loss.detach(), right[1].to(loss.dtype), right[0].to(loss.dtype)]),
    )
