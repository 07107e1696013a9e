"""Adam (Kingma & Ba 2015) with bias correction, and decoupled weight decay (Loshchilov & Hutter 2019)."""

from __future__ import annotations

import torch
from torch import nn


def make_optimiser(
    model: nn.Module, *, beta1: float, beta2: float, epsilon: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Adam over the trainable parameters, one fused kernel a step; the learning rate is set at every step.

    Weight decay spares biases and norms (all one-dimensional parameters), as BERT's training does.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=0.0, betas=(beta1, beta2), eps=epsilon, fused=True
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every parameter group this learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
