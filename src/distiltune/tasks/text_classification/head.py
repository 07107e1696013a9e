"""The head that classifies a text by its first token, and its losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import PackedBatch, Rows, required
from distiltune.model.dropout import dropout
from distiltune.model.encoder import Linear
from distiltune.tasks.heads import FloatArray, log_odds, log_shares
from distiltune.tasks.own import Loss, checked
from distiltune.tasks.text_classification.settings import ProblemType
from distiltune.tasks.text_classification.targets import Targets
from distiltune.training.objective import StepSums


class SequenceHead(nn.Module):
    """A linear layer, ReLU, dropout and a linear layer, as ``DistilBertForSequenceClassification`` has them.

    ``mean`` and ``spread`` are of the numbers that it learns: weights of any usual size give numbers of theirs.
    """

    rows: Final[Rows] = "sequence"
    mean: float = 0.0
    spread: float = 1.0

    def __init__(self, hidden_size: int, n_labels: int, dropout_probability: float) -> None:
        super().__init__()
        self.inner = Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, n_labels)
        self.dropout = dropout_probability

    def forward(self, hidden: Tensor) -> Tensor:
        """``(n, hidden)`` → ``(n, n_labels)``."""
        out: Tensor = self.output(dropout(F.relu(self.inner(hidden)), self.dropout, self.training))
        if (self.mean, self.spread) == (0.0, 1.0):
            return out
        return out.float() * self.spread + self.mean


def in_units_of(head: SequenceHead, targets: Targets, *, is_trained: bool) -> None:
    """Let the head learn in units of the targets' spread, from their mean; a trained one goes on from what it knows."""
    head.mean, head.spread = targets.mean, targets.spread
    if is_trained:
        with torch.no_grad():
            head.output.weight /= targets.spread
            head.output.bias.sub_(targets.mean).div_(targets.spread)


def in_own_units(tensors: Mapping[str, Tensor], targets: Targets) -> dict[str, Tensor]:
    """A trained head's tensors so that they give the numbers themselves, as everything else reads them."""
    scaled = dict(tensors)
    weight, bias = scaled["head.output.weight"].double(), scaled["head.output.bias"].double()
    scaled["head.output.weight"] = (weight * targets.spread).float()
    scaled["head.output.bias"] = (bias * targets.spread + targets.mean).float()
    return scaled


@dataclass(frozen=True, slots=True)
class TextLoss:
    """The loss of a batch, each feature as heavy as it weighs; with it the accuracy, each as its share of its text.

    Cross-entropy; the mean over labels of binary cross-entropies; or the squared error, in units of the spread of the
    training numbers. Smoothing and weights of labels are as in PyTorch's losses of these names.

    Attributes:
        problem: which of the three.
        smoothing: share of the label that is spread.
        label_weights: ``(n_labels,)``; of several labels a text, what the presence of each weighs. Of one, what the
            features' weights hold already, so that the accuracy can do without it. None: 1.
        spread: standard deviation of the numbers that were trained on.

    """

    problem: ProblemType
    smoothing: float = 0.0
    label_weights: Tensor | None = None
    spread: float = 1.0
    _on_device: dict[torch.device, Tensor] = field(default_factory=dict, compare=False)

    def __call__(self, logits: Tensor, batch: PackedBatch) -> StepSums:
        """See ``Objective``; metrics are the loss and, of labels, the accuracy."""
        scores, labels, heavy = logits.float(), batch.labels, required(batch.weights, "weights")
        loss = (heavy * self.losses(scores, labels)).sum()
        if self.problem == "regression":
            return StepSums(loss, loss.detach()[None])
        right = self._right(scores.detach(), labels)
        return StepSums(loss, torch.stack([loss.detach(), (self._shares(labels, heavy) * right).sum()]))

    def losses(self, scores: Tensor, labels: Tensor) -> Tensor:
        """``(n_features, n_labels)`` and the label columns → ``(n_features,)``."""
        if self.problem == "regression":
            return ((scores[:, 0] - labels[:, 0]) / self.spread) ** 2
        if self.problem == "single-label":
            return F.cross_entropy(scores, labels[:, 0], reduction="none", label_smoothing=self.smoothing)
        wanted = labels.to(scores.dtype) * (1 - self.smoothing) + self.smoothing / 2
        weights = self._weights(scores.device)
        return F.binary_cross_entropy_with_logits(scores, wanted, pos_weight=weights, reduction="none").mean(dim=1)

    def _right(self, scores: Tensor, labels: Tensor) -> Tensor:
        if self.problem == "single-label":
            return (scores.argmax(dim=1) == labels[:, 0]).to(scores.dtype)
        return ((scores > 0) == labels.bool()).all(dim=1).to(scores.dtype)

    def _shares(self, labels: Tensor, heavy: Tensor) -> Tensor:
        """``(n_features,)`` what part of its text each is."""
        weights = self._weights(heavy.device)
        if weights is None or self.problem == "multi-label":
            return heavy
        return heavy / weights[labels[:, 0]]

    def _weights(self, device: torch.device) -> Tensor | None:
        """The weights on the device; kept there, since a recording on a GPU may copy nothing from the host."""
        if self.label_weights is None:
            return None
        if device not in self._on_device:
            self._on_device[device] = self.label_weights.to(device)
        return self._on_device[device]


@dataclass(frozen=True, slots=True)
class OwnTextLoss:
    """The sum over a batch's features of a loss of one's own, each as heavy as it weighs.

    Numbers are handed to it in units of their ``spread``, from their ``mean``.
    """

    loss: Loss
    targets: Targets

    def __call__(self, logits: Tensor, batch: PackedBatch) -> Tensor:
        """``(n_features, n_labels)`` → a scalar."""
        scores, labels = logits.float(), batch.labels
        if self.targets.problem == "regression":
            scores, labels = ((each - self.targets.mean) / self.targets.spread for each in (scores[:, 0], labels))
        if self.targets.problem != "multi-label":
            labels = labels[:, 0]
        losses = checked(self.loss(scores, labels), batch.n_features)
        return (required(batch.weights, "weights") * losses).sum()


def how_common(features: FeatureSet, targets: Targets, weights: Tensor | None) -> FloatArray:
    """``(n_labels,)`` logits that say of every text how common the labels are.

    Args:
        features: to be trained on; of one label a text their weights hold what labels weigh.
        targets: of labels, not numbers.
        weights: ``(n_labels,)``: of several labels a text, what the presence of each weighs; None: 1.

    """
    heavy = np.ones(len(features)) if features.weights is None else features.weights.astype(np.float64)
    if targets.problem == "single-label":
        return log_shares(np.bincount(features.labels[:, 0], heavy, len(targets.labels)).astype(np.float64))
    there = heavy @ features.labels
    odds = log_odds(there, float(heavy.sum()))
    return odds if weights is None else odds + np.log(weights.double().numpy())


def metric_names(problem: ProblemType) -> tuple[str, ...]:
    """What the loss's sums are."""
    return ("loss",) if problem == "regression" else ("loss", "accuracy")


def probabilities(problem: ProblemType) -> Callable[[Tensor], Tensor]:
    """From logits to what is shown: probabilities of the labels, or the number itself."""
    if problem == "regression":
        return lambda scores: scores
    return torch.sigmoid if problem == "multi-label" else lambda scores: scores.softmax(dim=1)


@dataclass(frozen=True, slots=True)
class TextDivergence:
    """How far a student's logits are from a teacher's: see ``Divergence``.

    Kullback-Leibler divergence of the softened distributions times the temperature squared (Hinton et al. 2015), of
    several labels a text the mean over their two-way distributions; of numbers the squared difference in their spread.
    """

    problem: ProblemType
    spread: float = 1.0

    def __call__(self, logits: Tensor, teacher_logits: Tensor, batch: PackedBatch, temperature: float) -> Tensor:
        """→ scalar, the sum over the features, each as heavy as it weighs."""
        ours, theirs, heavy = logits.float(), teacher_logits.float(), required(batch.weights, "weights")
        if self.problem == "regression":
            return (heavy * ((ours - theirs) / self.spread).square()[:, 0]).sum()
        ours, theirs = ours / temperature, theirs / temperature
        if self.problem == "multi-label":
            ours, theirs = (torch.stack([F.logsigmoid(x), F.logsigmoid(-x)], dim=-1) for x in (ours, theirs))
            each = (theirs.exp() * (theirs - ours)).sum(dim=-1).mean(dim=1)
        else:
            ours, theirs = ours.log_softmax(dim=1), theirs.log_softmax(dim=1)
            each = (theirs.exp() * (theirs - ours)).sum(dim=1)
        return (heavy * each).sum() * temperature**2
