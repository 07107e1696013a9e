"""The overfit probe: whether a model can learn a few examples by heart, which wrong labels cannot keep it from."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn

from distiltune.coach.evidence import ProbeResult
from distiltune.data.feature_set import FeatureSet
from distiltune.data.loader import shortest
from distiltune.model.encoder import model_device
from distiltune.training.objective import Objective
from distiltune.training.optimiser import Adam


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """How hard the probe tries."""

    n_features: int = 32
    n_steps: int = 40
    learning_rate: float = 3e-4


def overfit_probe(
    model: nn.Module, features: FeatureSet, objective: Objective, settings: ProbeSettings = ProbeSettings()
) -> ProbeResult:
    """Train a copy of ``model`` on the shortest features, dropout off; the model itself stays as it is."""
    copied = copy.deepcopy(model).eval()
    for parameter in copied.parameters():
        parameter.requires_grad_(True)
    drawn = features.of_epoch(seed=0, epoch=0)
    batch = drawn.batch(shortest(drawn, settings.n_features)).to(model_device(model))
    optimiser = Adam(copied, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    losses = []
    for step in range(settings.n_steps + 1):
        loss = objective(copied(batch), batch).loss / batch.n_features
        losses.append(float(loss.detach()))
        if step == settings.n_steps or not torch.isfinite(loss):
            break
        # a short warm-up keeps Adam's first, full-sized steps from throwing the weights about
        optimiser.learning_rate = settings.learning_rate * min(1.0, (step + 1) / 5)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        copied.zero_grad(set_to_none=True)
    return ProbeResult(batch.n_features, len(losses) - 1, losses[0], losses[-1])
