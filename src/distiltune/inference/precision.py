"""A trained model whose products are taken in another precision than its weights'."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.errors import RecipeError
from distiltune.inference.int8 import bytes_of, check_int8_can_be, to_int8
from distiltune.inference.onnx_model import OnnxModel
from distiltune.model.build import LoadedModel
from distiltune.model.encoder import Linear, TaskModel, model_device, rows_of
from distiltune.system.device import Precision, arithmetic, choose_precision, give_back_freed_memory


class InPrecision(nn.Module):
    """Runs a model with its matrix products in that precision; everything else stays as it is."""

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        """Take a model over: where that is bfloat16, its weights are rounded now, and not again for every batch."""
        super().__init__()
        self.model = model
        self.precision = precision
        self.rows = rows_of(model)
        # The head works in float32 in any case.
        for part in (model.encoder if isinstance(model, TaskModel) else model).modules():
            if precision == "bfloat16" and isinstance(part, Linear):
                part.to(torch.bfloat16)

    def forward(self, batch: PackedBatch) -> Tensor:
        """As the model's own; the output is in float32."""
        with arithmetic(self.precision, model_device(self.model)):
            out: Tensor = self.model(batch)
        return out.float()


def in_precision(loaded: LoadedModel, name: str) -> LoadedModel:
    """The model with its products in that precision; its notes say so where it is not float32.

    Raises:
        RecipeError: if the device or the model cannot have it, saying why.

    """
    if name == "int8":
        return _in_int8(loaded)
    if isinstance(loaded.model, OnnxModel):
        return loaded
    device = model_device(loaded.model)
    precision = choose_precision(name, device, loaded.source.config.hidden_size)
    if precision == "float32":
        return loaded
    note = f"Matrix products are taken in {precision}; float32 is slower and exact to the last digits."
    source = replace(loaded.source, notes=(*loaded.source.notes, note))
    return replace(loaded, model=InPrecision(loaded.model, precision).eval(), source=source)


def _in_int8(loaded: LoadedModel) -> LoadedModel:
    if not isinstance(loaded.model, TaskModel):
        raise RecipeError(
            "A model in ONNX form has the precision that it was exported in.",
            where="recipe: precision",
            fix="export it with --int8, or use the model that was exported",
        )
    check_int8_can_be(model_device(loaded.model))
    before = bytes_of(loaded.model)
    to_int8(loaded.model)
    give_back_freed_memory()
    note = (
        f"Matrix products are taken in int8, every token by its own range; the model takes "
        f"{bytes_of(loaded.model) / 1e6:,.1f} MB of memory, {before / 1e6:,.1f} in float32. "
        "Scores differ a little from float32's: `distiltune evaluate` with either says by how much on your data."
    )
    return replace(loaded, source=replace(loaded.source, notes=(*loaded.source.notes, note)))
