"""A trained model whose products are taken in another precision than its weights'."""

from __future__ import annotations

from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.device import Precision, arithmetic
from distiltune.model.encoder import model_device


class InPrecision(nn.Module):
    """Runs a model with its matrix products in that precision; everything else stays as it is."""

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.model = model
        self.precision = precision

    def forward(self, batch: PackedBatch) -> Tensor:
        """As the model's own; the output is in float32."""
        with arithmetic(self.precision, model_device(self.model)):
            out: Tensor = self.model(batch)
        return out.float()
