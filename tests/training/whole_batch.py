"""The plain way from batches to gradients, which the quick ones are compared with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.model.encoder import model_device
from distiltune.system.device import Precision
from distiltune.training.backward import add_gradients, total
from distiltune.training.objective import Objective


class WholeBatch:
    """The plain way: one part after the other through the model itself."""

    n_parts = 1

    def __init__(self, model: nn.Module, objective: Objective, precision: Precision = "float32") -> None:
        self._model, self._objective, self._precision = model, objective, precision
        self._device = model_device(model)

    def add(self, parts: Sequence[PackedBatch], step_weight: float) -> Tensor:
        """See ``Gradients``."""
        sums = [
            add_gradients(self._model, self._objective, part.to(self._device), 1 / step_weight, self._precision)
            for part in parts
        ]
        return total(sums)

    def finish(self) -> None:
        """See ``Gradients``."""

    def clear(self) -> None:
        """See ``Gradients``."""
        self._model.zero_grad(set_to_none=True)
