"""How strongly each part of a model is being trained, read off Adam's own state: no hook in the step, no gradient kept.

Adam keeps running means of the gradients and of their squares. From these follow the size of recent gradients and the
size of the update that a step makes, which is what tells a learning rate that is too low from one that is too high.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distiltune.training.optimiser import Adam, Moments

STEPS_BETWEEN_VITALS = 50
"""A look takes about as long as the optimiser's step itself, some milliseconds to a tenth of a second."""


@dataclass(frozen=True, slots=True)
class PartVitals:
    """One part of the model, such as ``encoder.layers.3``.

    Attributes:
        name: the parameters' common prefix.
        weight_norm: of all its parameters together.
        gradient_norm: root of the running mean of squared gradients; 0 where nothing is trained.
        update_ratio: norm of one step's update over the norm of the weights; 0 where nothing is trained.

    """

    name: str
    weight_norm: float
    gradient_norm: float
    update_ratio: float


@dataclass(frozen=True, slots=True)
class Vitals:
    """All parts at one step, counted from 0 over the run."""

    step: int
    parts: tuple[PartVitals, ...]


@torch.no_grad()
def take_vitals(model: nn.Module, optimiser: Adam, step: int) -> Vitals:
    """Look at every part of ``model``, which the optimiser trains."""
    sums: dict[str, list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        zero = torch.zeros((), device=parameter.device)
        gradient, update = zero, zero
        moments = optimiser.moments.get(parameter)
        if moments is not None:
            gradient, update = _gradient_and_update(moments, optimiser, optimiser.rate_of(parameter))
        weight = parameter.float().square().sum()
        sums.setdefault(part_name(name), []).append(torch.stack([weight, gradient, update]))
    parts = []
    for part, values in sums.items():
        weight_sum, gradient_sum, update_sum = torch.stack(values).sum(0).tolist()
        ratio = math.sqrt(update_sum / weight_sum) if weight_sum > 0 else 0.0
        parts.append(PartVitals(part, math.sqrt(weight_sum), math.sqrt(gradient_sum), ratio))
    return Vitals(step, tuple(parts))


def frozen_share(model: nn.Module) -> float:
    """Share of a model's numbers that are not trained."""
    n_frozen = sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad)
    return n_frozen / max(1, sum(parameter.numel() for parameter in model.parameters()))


def still_parts(model: nn.Module) -> tuple[str, ...]:
    """The parts of which nothing is trained."""
    is_trained: dict[str, bool] = {}
    for name, parameter in model.named_parameters():
        part = part_name(name)
        is_trained[part] = is_trained.get(part, False) or parameter.requires_grad
    return tuple(part for part, moves in is_trained.items() if not moves)


def part_name(parameter: str) -> str:
    """The part that a parameter belongs to: ``encoder.layers.3.attention.…`` → ``encoder.layers.3``."""
    pieces = parameter.split(".")
    if len(pieces) > 3 and pieces[2].isdigit():
        return ".".join(pieces[:3])
    return ".".join(pieces[: max(1, min(2, len(pieces) - 1))])


def _gradient_and_update(moments: Moments, optimiser: Adam, rate: float) -> tuple[Tensor, Tensor]:
    """Squared norms of recent gradients and of the update, weight decay aside."""
    n_steps = float(moments.step)
    square = moments.exp_avg_sq / (1 - optimiser.beta2**n_steps)
    mean = moments.exp_avg / (1 - optimiser.beta1**n_steps)
    update = mean / (square.sqrt() + optimiser.epsilon) * rate
    return square.sum().float(), update.square().sum().float()
