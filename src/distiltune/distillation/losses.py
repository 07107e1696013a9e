"""What a student's hidden states and attention relations are worth beside its teacher's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distiltune.data.packing import PackedBatch, token_positions
from distiltune.model.products import linear, product
from distiltune.training.objective import StepSums

METRIC_NAMES = ("loss", "hidden", "relations")


@dataclass(frozen=True, slots=True)
class EncoderLoss:
    """The loss of a student, given its teacher's hidden states as the batch's targets.

    Hidden states (as TinyBERT, Jiao et al. 2020, eq. 8): the squared error of the projected states, as a share of the
    variance that the teacher's have, so that 1 is what the mean alone would give; the mean over the heights.
    Relations (MiniLM, Wang et al. 2020, eq. 5 to 8): the divergence of the softmax of scaled query-key and value-value
    products of the last layer, in nats; its heads cut anew as in MiniLMv2 (Wang et al. 2021), so that the student may
    have any number of its own. Both are means over a feature's tokens.

    Attributes:
        n_heights: how many hidden states the student shows.
        teacher_size: the teacher's width.
        variances: ``(n_heights,)`` of the teacher's states, summed over their numbers.
        query_key_value: weight and bias of the teacher's last layer's projections.
        n_relation_heads: into how many heads the projections are cut; divides both widths.
        hidden_weight: of the one part in the loss.
        relation_weight: of the other.

    """

    n_heights: int
    teacher_size: int
    variances: Tensor
    query_key_value: tuple[Tensor, Tensor]
    n_relation_heads: int
    hidden_weight: float
    relation_weight: float

    def __call__(self, output: Tensor, batch: PackedBatch) -> StepSums:
        """The loss summed over the batch's features, with its two parts."""
        assert batch.targets is not None
        targets = batch.targets.float()
        width = self.n_heights * self.teacher_size
        weights = token_weights(batch)
        errors = (output[:, :width].float() - targets).square().view(-1, self.n_heights, self.teacher_size).sum(-1)
        hidden = (errors / self.variances).mean(dim=1) @ weights
        relations = output.new_zeros(())
        if self.relation_weight > 0:
            before_last = targets[:, -2 * self.teacher_size : -self.teacher_size]
            theirs = linear(before_last.contiguous(), *self.query_key_value)
            ours = output[:, width:].float()
            if ours.device.type == "cpu":
                relations = _RelationLoss.apply(ours, theirs, batch.lengths, self.n_relation_heads)  # type: ignore[no-untyped-call]
            else:
                relations = padded_relation_loss(ours, theirs, batch, self.n_relation_heads)
        loss = self.hidden_weight * hidden + self.relation_weight * relations
        return StepSums(loss, torch.stack([loss.detach(), hidden.detach(), relations.detach()]))


def token_weights(batch: PackedBatch) -> Tensor:
    """``(total_tokens,)``: 1 / length of the feature that a token is in, so that sums become means; 0 for filler."""
    sequence, _ = token_positions(batch.cu_seqlens, batch.n_tokens)
    return (1.0 / batch.cu_seqlens.diff().clamp(min=1))[sequence] * (sequence < batch.n_features)


def padded_relation_loss(ours: Tensor, theirs: Tensor, batch: PackedBatch, n_heads: int) -> Tensor:
    """The relation loss in plain differentiable operations over a padded copy: on a GPU, and the reference on a CPU.

    Args:
        ours: ``(total_tokens, 3 * hidden)``, the student's queries, keys and values.
        theirs: ``(total_tokens, 3 * teacher_hidden)``, the teacher's.
        batch: where the features lie; each has the sum 1.
        n_heads: into how many heads each is cut.

    """
    sequence, within = token_positions(batch.cu_seqlens, batch.n_tokens)
    n_sequences, longest = batch.cu_seqlens.shape[0] - 1, batch.max_length
    behind = torch.arange(longest, device=ours.device) >= batch.cu_seqlens.diff()[:, None]

    def log_relations(flat: Tensor) -> Tensor:
        padded = flat.new_zeros(n_sequences, longest, flat.shape[1]).index_put((sequence, within), flat)
        query, key, value = padded.view(n_sequences, longest, 3, n_heads, -1).permute(2, 0, 3, 1, 4)
        left, right = torch.stack([query, value]), torch.stack([key, value])
        scores = left @ right.transpose(-1, -2) / math.sqrt(left.shape[-1])
        return scores.masked_fill(behind[:, None, None, :], torch.finfo(scores.dtype).min).log_softmax(-1)

    mine, teachers = log_relations(ours), log_relations(theirs)
    divergence = (teachers.exp() * (teachers - mine)).sum(-1).mean(dim=(0, 2))  # of each row of each sequence
    return divergence[sequence, within] @ token_weights(batch)


class _RelationLoss(torch.autograd.Function):
    """The same, feature by feature; the gradient is taken on the way, while the relations are at hand."""

    @staticmethod
    def forward(ctx: Any, ours: Tensor, theirs: Tensor, lengths: tuple[int, ...], n_heads: int) -> Tensor:
        total = ours.new_zeros(())
        grad = torch.zeros_like(ours) if ctx.needs_input_grad[0] else None
        for rows in _rows(lengths):
            n_tokens = rows.stop - rows.start
            mine, teachers = _heads(ours[rows], n_heads), _heads(theirs[rows], n_heads)
            into = _heads(grad[rows], n_heads) if grad is not None else None
            for left, right in ((0, 1), (2, 2)):
                scale = 1.0 / math.sqrt(mine.shape[-1])
                log_mine = _scores(mine[left], mine[right]).log_softmax(-1)
                log_theirs = _scores(teachers[left], teachers[right]).log_softmax(-1)
                probabilities = log_theirs.exp()
                share = 1.0 / (2 * n_heads * n_tokens)
                total += torch.dot(probabilities.view(-1), (log_theirs - log_mine).view(-1)) * share
                if into is not None:
                    by_score = log_mine.exp_().sub_(probabilities).mul_(share * scale)
                    room = torch.empty_like(mine[0])
                    into[left].add_(product(by_score, mine[right], room))
                    into[right].add_(product(by_score.transpose(1, 2), mine[left], room))
        if grad is not None:
            ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, None, None]:
        (grad,) = ctx.saved_tensors
        return grad * grad_out, None, None, None


def _rows(lengths: tuple[int, ...]) -> Iterator[slice]:
    start = 0
    for length in lengths:
        if length:
            yield slice(start, start + length)
        start += length


def _heads(rows: Tensor, n_heads: int) -> Tensor:
    """``(length, 3 * width)`` → a view ``(3, n_heads, length, head_size)``."""
    return rows.view(rows.shape[0], 3, n_heads, -1).permute(1, 2, 0, 3)


def _scores(left: Tensor, right: Tensor) -> Tensor:
    """Scaled products ``(n_heads, length, length)``."""
    out = left.new_empty(left.shape[0], left.shape[1], right.shape[1])
    return product(left, right.transpose(1, 2), out).mul_(1.0 / math.sqrt(left.shape[-1]))
