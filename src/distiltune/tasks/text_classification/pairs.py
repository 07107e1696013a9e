"""Pairs of like and unlike texts, learnt before the labels, where these are few (SetFit, Tunstall et al. 2022).

A text's vector is the mean of its tokens'. That of two texts with one label is to point the same way, that of two with
different labels to be at right angles: the squared error of their cosine against 1 and 0, as SetFit has it. SetFit
draws pairs and encodes both texts of each; here all pairs within a batch are taken, so that of 16 texts, each encoded
once, there are 120. After it the labels are learnt as they always are.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

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


class PairsModel(TaskModel):
    """A model that in training gives, behind its scores, the vector of the whole text; otherwise its scores alone."""

    def forward(self, batch: PackedBatch) -> Tensor:
        """→ ``(n_features, n_labels + hidden)``, or ``(n_features, n_labels)``."""
        if not self.training:
            return super().forward(batch)
        hidden: Tensor = self.encoder(batch)
        firsts = batch.cu_seqlens[: batch.n_features].long()
        scores = self._apply_head(hidden.index_select(0, firsts))
        return torch.cat([scores, mean_vectors(hidden, batch)], dim=1)


def mean_vectors(hidden: Tensor, batch: PackedBatch) -> Tensor:
    """``(total_tokens, hidden)`` → ``(n_features, hidden)``: the mean over each feature's tokens, in float32."""
    sequence, _ = token_positions(batch.cu_seqlens, len(hidden))
    lengths = batch.cu_seqlens.diff()
    sums = hidden.new_zeros(len(lengths), hidden.shape[1], dtype=torch.float32)
    sums = sums.index_add(0, sequence, hidden.float())
    return (sums / lengths.clamp(min=1)[:, None])[: batch.n_features]


@dataclass(frozen=True, slots=True)
class PairsFirst:
    """The loss of features that are read to be told apart, and the usual one of the others.

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
        learnt = self.usual(scores, batch.with_tensors({"weights": heavy - apart})).loss
        shown = self.usual(scores.detach(), batch).metrics
        return StepSums(learnt + (apart * pair_losses(vectors, batch.labels[:, LABEL])).sum(), shown)


def pair_losses(vectors: Tensor, labels: Tensor) -> Tensor:
    """``(n, hidden)`` and the ids of their labels ``(n,)`` → ``(n,)``, a text's loss against all others.

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
