"""The question-answering head and its loss: one start and one end logit a token, a softmax over each feature."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.data.packing import PackedBatch
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
    n_features, longest = batch.n_features, max(batch.lengths)
    starts = batch.cu_seqlens[:-1].long()
    feature = torch.repeat_interleave(
        torch.arange(n_features, device=logits.device),
        batch.cu_seqlens.diff(),
        output_size=batch.n_tokens,
    )
    within = torch.arange(batch.n_tokens, device=logits.device) - starts[feature]
    dense = logits.new_full((n_features, longest, 2), -torch.inf)
    return dense.index_put((feature, within), logits).transpose(1, 2)


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
