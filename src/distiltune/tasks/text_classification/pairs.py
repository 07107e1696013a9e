"""Pairs of like and unlike texts, learnt before the labels, where these are few (SetFit, Tunstall et al. 2022).

A text has two vectors: the mean of its tokens', which is what a sentence encoder knows texts by, and that of its first
token, which is all that the head reads. Vectors of one label are to point the same way, of different labels to be at
right angles: the squared error of their cosine against 1 and 0, as SetFit has it. Taken together, the first token's
learn to be what the mean's are. SetFit draws pairs and encodes both texts of each; here all pairs within a batch are
taken, so that of 16 texts, each encoded once, there are 496.

The encoder learns from pairs alone. The head learns the labels all the while, from vectors that it does not move, and
goes on after the pairs: a few dozen texts that moved the encoder by their labels undid what it had learnt.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import PackedBatch, required, token_positions
from distiltune.model.encoder import TaskModel
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.training.objective import Objective, StepSums

LABEL, OF_PAIRS = 0, 1
"""Columns of a feature's labels: its label's id, and 1 if it is read to be told apart, 0 to learn its label."""

HEAD_RATE: Final = 10.0
"""Times the learning rate of the encoder: the head begins from nothing, and moves nothing else."""


class PairsModel(TaskModel):
    """A model that in training gives, behind its scores, both vectors of the text; otherwise its scores alone."""

    def forward(self, batch: PackedBatch) -> Tensor:
        """→ ``(n_features, n_labels + 2 * hidden)``, or ``(n_features, n_labels)``."""
        if not self.training:
            return super().forward(batch)
        hidden: Tensor = self.encoder(batch)
        first = hidden.index_select(0, batch.cu_seqlens[: batch.n_features].long())
        scores = self._apply_head(first.detach())
        return torch.cat([scores, mean_vectors(hidden, batch), first.float()], dim=1)


def mean_vectors(hidden: Tensor, batch: PackedBatch) -> Tensor:
    """``(total_tokens, hidden)`` → ``(n_features, hidden)``: the mean over each feature's tokens, in float32."""
    sequence, _ = token_positions(batch.cu_seqlens, len(hidden))
    lengths = batch.cu_seqlens.diff()
    sums = hidden.new_zeros(len(lengths), hidden.shape[1], dtype=torch.float32)
    sums = sums.index_add(0, sequence, hidden.float())
    return (sums / lengths.clamp(min=1)[:, None])[: batch.n_features]


@dataclass(frozen=True, slots=True)
class PairsFirst:
    """The usual loss, and of features that are read to be told apart that of their pairs too.

    The figures are the usual ones of all, so that they mean the same in every epoch and in every run.

    Attributes:
        usual: the loss of the labels.
        n_labels: how many scores there are.

    """

    usual: Objective
    n_labels: int

    def __call__(self, output: Tensor, batch: PackedBatch) -> StepSums:
        """See ``Objective``; where there are no vectors, as out of a training, the usual loss of all."""
        scores, vectors = output[:, : self.n_labels], output[:, self.n_labels :]
        if not vectors.shape[1]:
            return self.usual(scores, batch)
        heavy = required(batch.weights, "weights")
        apart = heavy * batch.labels[:, OF_PAIRS].to(heavy.dtype)
        both = torch.cat(vectors.chunk(2, dim=1))
        of_mean, of_first = pair_losses(both, batch.labels[:, LABEL].repeat(2)).chunk(2)
        learnt = self.usual(scores, batch)
        return StepSums(learnt.loss + (apart * (of_mean + of_first) / 2).sum(), learnt.metrics)


def pair_losses(vectors: Tensor, labels: Tensor) -> Tensor:
    """``(n, hidden)`` and the ids of their labels ``(n,)`` → ``(n,)``, a vector's loss against all others.

    It is half the mean over those with its label, and half the mean over those with another; where there are none of
    a kind, that half is 0.
    """
    directions = F.normalize(vectors.float(), dim=1)
    cosines = directions @ directions.T
    same = labels[:, None] == labels[None, :]
    myself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return (_mean_of((1 - cosines).square(), same & ~myself) + _mean_of(cosines.square(), ~same)) / 2


def _mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum(dim=1) / chosen.sum(dim=1).clamp(min=1)


def two_by_two(examples: Sequence[TextExample], seed: int) -> tuple[tuple[TextExample, ...], npt.NDArray[np.int64]]:
    """The texts in an order in which those of one label stand side by side, and which belong together.

    Two of one label do, of an odd number three: wherever a batch is cut, each text has a like one in it. A text whose
    label no other has stands alone.

    Returns:
        the texts, and ``(n_examples,)`` the number of each one's group, ascending.

    """
    of_label: dict[tuple[str, ...], list[TextExample]] = {}
    for example in examples:
        of_label.setdefault(example.gold or (), []).append(example)
    ordered: list[TextExample] = []
    groups: list[int] = []
    drawn = random.Random(seed)
    for label in sorted(of_label):
        texts = of_label[label]
        drawn.shuffle(texts)
        first = groups[-1] + 1 if groups else 0
        ordered += texts
        groups += [first + min(i // 2, max(0, len(texts) // 2 - 1)) for i in range(len(texts))]
    return tuple(ordered), np.array(groups, dtype=np.int64)


def marked(features: FeatureSet, group_of_example: npt.NDArray[np.int64], *, of_pairs: bool) -> FeatureSet:
    """Features of one label each, with what they are read for, and with the groups of their examples."""
    column = np.full((len(features), 1), int(of_pairs), dtype=features.labels.dtype)
    return replace(
        features,
        labels=np.concatenate([features.labels, column], axis=1),
        group_of=group_of_example[features.example_of],
    )
