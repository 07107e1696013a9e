"""A trained model whose products are taken in another precision than its weights'."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.device import Precision, arithmetic
from distiltune.model.encoder import Linear, model_device


class InPrecision(nn.Module):
    """Runs a model with its matrix products in that precision; everything else stays as it is."""

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        """Take a model over: where that is bfloat16, its weights are rounded now, and not again for every batch."""
        super().__init__()
        self.model = model
        self.precision = precision
        for part in model.modules():
            if precision == "bfloat16" and isinstance(part, Linear):
                part.to(torch.bfloat16)

    def forward(self, batch: PackedBatch) -> Tensor:
        """As the model's own; the output is in float32."""
        with arithmetic(self.precision, model_device(self.model)):
            out: Tensor = self.model(batch)
        return out.float()
