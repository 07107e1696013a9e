"""Which of a model's weights are trained, and how fast each is beside the others."""

from __future__ import annotations

from typing import Final

from torch import nn

from distiltune.errors import RecipeError


def depth_of(name: str, n_layers: int) -> int:
    """How high a parameter stands: 0 the embeddings, 1 to ``n_layers`` the layers, above them the head."""
    if name.startswith("encoder.embeddings."):
        return 0
    if name.startswith("encoder.layers."):
        return int(name.split(".")[2]) + 1
    return n_layers + 1


EMBEDDINGS: Final = "embeddings"
ENCODER: Final = "encoder"


def freeze(model: nn.Module, what: str) -> str:
    """Let a part of a model's encoder, from below, stay as it is; returns a sentence on it, empty for none.

    Args:
        model: an encoder with a head.
        what: as the setting ``freeze`` names it.

    Raises:
        RecipeError: if the encoder has fewer layers.

    """
    if not what:
        return ""
    n_layers = n_layers_of(model)
    n_frozen = {EMBEDDINGS: 0, ENCODER: n_layers}.get(what) if not what.isdigit() else int(what)
    assert n_frozen is not None, what  # the settings allow nothing else
    if n_frozen > n_layers:
        raise RecipeError(
            f"The first {n_frozen} layers are to be frozen, and the model has {n_layers}.",
            where="recipe: freeze",
            fix=f"give at most {n_layers}, which is --freeze {ENCODER}",
        )
    for name, parameter in model.named_parameters():
        if depth_of(name, n_layers) <= n_frozen:
            parameter.requires_grad_(False)
    still = sum(each.numel() for each in model.parameters() if not each.requires_grad)
    whole = sum(each.numel() for each in model.parameters())
    layers = f" and {'its' if n_frozen == n_layers else 'the first'} {n_frozen} layers" if n_frozen else ""
    return f"The embeddings{layers} are frozen, {still:,} of {whole:,} weights; they stay as they are."


def n_layers_of(model: nn.Module) -> int:
    """How many layers the encoder of a model has."""
    numbers = {name.split(".")[2] for name, _ in model.named_parameters() if name.startswith("encoder.layers.")}
    return len(numbers)


def rate_factors(model: nn.Module, decay: float, of_head: float = 1.0) -> dict[nn.Parameter, float]:
    """What each parameter's learning rate is multiplied by: that of the head, and 1 times ``decay`` once more a layer.

    As Clark et al. 2020 (ELECTRA) and Zhang et al. 2021 (arXiv:2006.05987) fine-tune.
    """
    n_layers = n_layers_of(model)
    above = {name: n_layers + 1 - depth_of(name, n_layers) for name, _ in model.named_parameters()}
    return {parameter: decay ** above[name] if above[name] else of_head for name, parameter in model.named_parameters()}
