"""Which of a model's weights are trained, and how fast each is beside the others."""

from __future__ import annotations

from torch import nn


def depth_of(name: str, n_layers: int) -> int:
    """How high a parameter stands: 0 the embeddings, 1 to ``n_layers`` the layers, above them the head."""
    if name.startswith("encoder.embeddings."):
        return 0
    if name.startswith("encoder.layers."):
        return int(name.split(".")[2]) + 1
    return n_layers + 1


def n_layers_of(model: nn.Module) -> int:
    """How many layers the encoder of a model has."""
    numbers = {name.split(".")[2] for name, _ in model.named_parameters() if name.startswith("encoder.layers.")}
    return len(numbers)


def rate_factors(model: nn.Module, decay: float) -> dict[nn.Parameter, float]:
    """What each parameter's learning rate is multiplied by: 1 for the head, and ``decay`` once more a layer below.

    As Clark et al. 2020 (ELECTRA) and Zhang et al. 2021 (arXiv:2006.05987) fine-tune.
    """
    n_layers = n_layers_of(model)
    return {
        parameter: decay ** (n_layers + 1 - depth_of(name, n_layers)) for name, parameter in model.named_parameters()
    }
