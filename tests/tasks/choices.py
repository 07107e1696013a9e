"""Multiple choice, as a task would have it: the choices of a question are a group of features, scored together.

Each feature is ``[CLS] question [SEP] choice [SEP]``, as ``DistilBertForMultipleChoice`` reads it; each is given a
score, and the softmax runs over the choices of the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import PackedBatch, Rows, cumulative_lengths, required
from distiltune.inference.predictor import outputs
from distiltune.training.objective import StepSums

CLS, SEP = 2, 3
METRIC_NAMES = ("loss", "accuracy")


@dataclass(frozen=True, slots=True)
class Question:
    """The token ids of a question and of its choices, and which of these is right, counted from 0."""

    question: tuple[int, ...]
    choices: tuple[tuple[int, ...], ...]
    right: int


def featurise(questions: Sequence[Question]) -> FeatureSet:
    """A feature a choice, labelled 1 where it is right and 0 elsewhere; those of a question weigh 1 together."""
    rows = [[CLS, *each.question, SEP, *choice, SEP] for each in questions for choice in each.choices]
    n_choices = np.array([len(each.choices) for each in questions])
    question_of = np.repeat(np.arange(len(questions)), n_choices)
    right = [number == each.right for each in questions for number in range(len(each.choices))]
    return FeatureSet(
        token_ids=np.array([token for row in rows for token in row], dtype=np.int32),
        offsets=cumulative_lengths([len(row) for row in rows]),
        labels=np.array(right, dtype=np.int32)[:, None],
        example_of=question_of,
        weights=(1.0 / n_choices[question_of]).astype(np.float32),
        group_of=question_of,
    )


class ChoiceHead(nn.Module):
    """A linear layer, ReLU and one score, as ``DistilBertForMultipleChoice`` has them."""

    rows: Rows = "sequence"

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.inner = nn.Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """``(n_features, hidden)`` → ``(n_features, 1)``."""
        out: Tensor = self.output(F.relu(self.inner(hidden)))
        return out


def log_shares(scores: Tensor, group_of: Tensor) -> Tensor:
    """``(n_features,)`` twice → the log-softmax of the scores of each group; nothing of it waits for a GPU."""
    none = scores.new_full(scores.shape, -torch.inf)
    largest = none.scatter_reduce(0, group_of, scores.detach(), "amax")[group_of]
    totals = torch.zeros_like(scores).index_add(0, group_of, (scores - largest).exp())
    return scores - largest - totals[group_of].log()


def choice_loss(output: Tensor, batch: PackedBatch) -> StepSums:
    """Cross-entropy of each question's choices and whether the best is the right one, each summed over the questions.

    Args:
        output: ``(n_features, 1)``.
        batch: with a label a feature, and groups.

    """
    shares = log_shares(output[:, 0].float(), required(batch.group_of, "groups"))
    is_right = batch.labels[:, 0].to(shares.dtype)
    loss = -(shares * is_right).sum()
    beaten = (_best_of(shares.detach(), required(batch.group_of, "groups")) > shares.detach()).to(shares.dtype)
    return StepSums(loss, torch.stack([loss.detach(), (is_right * (1 - beaten)).sum()]))


def _best_of(shares: Tensor, group_of: Tensor) -> Tensor:
    none = shares.new_full(shares.shape, -torch.inf)
    return none.scatter_reduce(0, group_of, shares, "amax")[group_of]


def chosen(model: nn.Module, features: FeatureSet, max_tokens: int = 256) -> list[int]:
    """The choice that the model gives to each question."""
    scores = np.zeros(len(features))
    for batch, output in outputs(model, features, np.arange(len(features)), max_tokens):
        scores[batch.feature_ids] = output[:, 0].float().cpu().numpy()
    firsts = np.flatnonzero(np.diff(required(features.group_of, "groups"), prepend=-1))
    return [int(part.argmax()) for part in np.split(scores, firsts[1:])]
