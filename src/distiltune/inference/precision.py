"""A trained model whose products are taken in another precision than its weights'."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.inference.onnx_model import OnnxModel
from distiltune.model.build import LoadedModel
from distiltune.model.encoder import Linear, TaskModel, model_device, rows_of
from distiltune.system.device import HALVES, Precision, arithmetic, choose_precision


class InPrecision(nn.Module):
    """Runs a model with its matrix products in that precision; everything else stays as it is."""

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        """Take a model over: where that has 16 bits, its weights are rounded now, and not again for every batch."""
        super().__init__()
        self.model = model
        self.precision = precision
        self.rows = rows_of(model)
        # The head works in float32 in any case.
        for part in (model.encoder if isinstance(model, TaskModel) else model).modules():
            if precision in HALVES and isinstance(part, Linear):
                part.to(HALVES[precision])

    def forward(self, batch: PackedBatch) -> Tensor:
        """As the model's own; the output is in float32."""
        with arithmetic(self.precision, model_device(self.model)):
            out: Tensor = self.model(batch)
        return out.float()


def in_precision(loaded: LoadedModel, name: str) -> LoadedModel:
    """The model with its products in that precision; its notes say so where it is not float32."""
    if isinstance(loaded.model, OnnxModel):
        return loaded
    device = model_device(loaded.model)
    precision = choose_precision(name, device, loaded.source.config.hidden_size)
    if precision == "float32":
        return loaded
    note = f"Matrix products are taken in {precision}; float32 is slower and exact to the last digits."
    source = replace(loaded.source, notes=(*loaded.source.notes, note))
    return replace(loaded, model=InPrecision(loaded.model, precision).eval(), source=source)
