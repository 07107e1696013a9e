"""Scores of choices: the softmax runs over the choices of a question, each of which is a feature by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from distiltune.data.packing import PackedBatch, required
from distiltune.training.objective import StepSums

METRIC_NAMES = ("loss", "accuracy")


def log_shares(scores: Tensor, group_of: Tensor) -> Tensor:
    """``(n_features,)`` twice → the log-softmax of the scores of each group; nothing of it waits for a GPU."""
    largest = _largest(scores.detach(), group_of)
    totals = torch.zeros_like(scores).index_add(0, group_of, (scores - largest).exp())
    return scores - largest - totals[group_of].log()


def choice_loss(output: Tensor, batch: PackedBatch) -> StepSums:
    """Cross-entropy over each question's choices, and whether its best is the right one, both summed over questions.

    Args:
        output: ``(n_features, 1)``, a score a choice.
        batch: with a label a feature, 1 where the choice is right, else 0; and a group a question. The weights, where
            those of a question make 1 together, count it as one; a question that weighs more counts so much more.

    """
    groups, weights = required(batch.group_of, "groups"), required(batch.weights, "weights")
    shares = log_shares(output[:, 0].float(), groups)
    heavy = torch.zeros_like(shares).index_add(0, groups, weights)[groups]  # what the feature's question weighs
    is_right = batch.labels[:, 0].to(shares.dtype) * heavy
    loss = -(shares * is_right).sum()
    known = shares.detach()
    is_best = (known >= _largest(known, groups)).to(shares.dtype)
    return StepSums(loss, torch.stack([loss.detach(), (is_right * is_best).sum()]))


def choice_divergence(output: Tensor, teacher_output: Tensor, batch: PackedBatch, temperature: float) -> Tensor:
    """How far a student's shares of a question's choices are from its teacher's: see ``Divergence``."""
    groups, weights = required(batch.group_of, "groups"), required(batch.weights, "weights")
    ours = log_shares(output[:, 0].float() / temperature, groups)
    theirs = log_shares(teacher_output[:, 0].float() / temperature, groups)
    heavy = torch.zeros_like(ours).index_add(0, groups, weights)[groups]
    return (heavy * theirs.exp() * (theirs - ours)).sum() * temperature**2


def _largest(scores: Tensor, group_of: Tensor) -> Tensor:
    """The largest score of each feature's group."""
    none = scores.new_full(scores.shape, -torch.inf)
    return none.scatter_reduce(0, group_of, scores, "amax")[group_of]
