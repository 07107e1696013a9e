"""Weights in bfloat16 beside the float32 ones that are trained, for the matrix products on a GPU.

Autocast rounds every weight and bias of a product by itself in every forward pass, turns every gradient back by itself
and adds it to what is there: some 250 kernels a step of DistilBERT, which move 1.3 GB. Here a kernel rounds all of them
and another puts all gradients back in their places: half the bytes, and the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from distiltune.data.packing import PackedBatch
from distiltune.model.encoder import Linear, TaskModel
from distiltune.system.device import Precision, arithmetic
from distiltune.training.objective import Objective


class RoundedWeights:
    """A model's trainable parameters, their gradients at fixed places, and rounded copies of those of products.

    Gradients are written, not added: whoever wants the sum of several batches keeps it elsewhere.
    """

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        """Make the copies, of bfloat16 only, and gradients of 0."""
        self._model, self._precision = model, precision
        named = {name: each for name, each in model.named_parameters() if each.requires_grad}
        inside = _of_products(model) if precision == "bfloat16" else set()
        self._copied: list[Tensor] = [each for each in named.values() if id(each) in inside]
        self._copies = {
            name: torch.empty_like(each, dtype=torch.bfloat16, requires_grad=True)
            for name, each in named.items()
            if id(each) in inside
        }
        self._others: list[Tensor] = [each for each in named.values() if id(each) not in inside]
        for parameter in named.values():
            parameter.grad = torch.zeros_like(parameter)

    @property
    def gradients(self) -> list[Tensor]:
        """Of all trainable parameters."""
        return [each.grad for each in (*self._copied, *self._others) if each.grad is not None]

    def write_gradients(self, objective: Objective, batch: PackedBatch, weight: float | Tensor) -> Tensor:
        """Put the gradients of a batch, each feature with ``weight``, in their places; returns the metrics' sums.

        Parameters that the objective does not depend on keep the gradients that they have, which are 0.
        """
        if self._copies:
            with torch.no_grad():
                torch._foreach_copy_(list(self._copies.values()), self._copied)
        with arithmetic(self._precision, batch.token_ids.device):
            output = functional_call(self._model, self._copies, (batch,)) if self._copies else self._model(batch)
        sums = objective(output, batch)
        leaves = [*self._copies.values(), *self._others]
        found = torch.autograd.grad(sums.loss * weight, leaves, allow_unused=True)
        _put(self._copied, found[: len(self._copied)])
        _put(self._others, found[len(self._copied) :])
        return sums.metrics


def _put(parameters: Sequence[Tensor], found: Sequence[Tensor | None]) -> None:
    """Copy what was found to the parameters' gradients: one kernel for all that are of one type."""
    pairs = [
        (parameter.grad, gradient)
        for parameter, gradient in zip(parameters, found, strict=True)
        if gradient is not None and parameter.grad is not None
    ]
    if pairs:
        places, gradients = zip(*pairs, strict=True)
        torch._foreach_copy_(places, gradients)


def _of_products(model: nn.Module) -> set[int]:
    """The parameters of linear layers that run in bfloat16: an encoder's; a head works in float32 (see `TaskModel`)."""
    if not isinstance(model, TaskModel):
        return set()
    layers = [module for module in model.encoder.modules() if isinstance(module, Linear)]
    return {id(parameter) for layer in layers for parameter in layer.parameters()}
