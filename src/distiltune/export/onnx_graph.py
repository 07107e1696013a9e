"""The graph: the packed model's weights behind the padded call that ONNX runtimes expect."""

from __future__ import annotations

import logging
import math
import warnings
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.errors import ModelError, install_extra
from distiltune.model.encoder import TaskModel

OPSET: Final = 18
_MASKED: Final = -1e9
"""Added to the score of a padded token: its weight is 0 in float32."""


class PaddedModel(nn.Module):
    """A task's model that takes ``(n_sequences, length)`` ids and mask; it shares the packed model's weights.

    Written out in plain operations, since the packed one's have no ONNX form.
    """

    def __init__(self, model: TaskModel, n_outputs: int) -> None:
        super().__init__()
        self.n_outputs, self.rows = n_outputs, model.rows
        self.encoder = model.encoder
        self.head = model.head

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """``(n, length)`` int64 twice → as exporters of such models have it.

        One ``(n, length)`` for each column of the head; or where it has one name, ``(n, length, n_columns)``, of a head
        that gives a row a sequence ``(n, n_columns)``.
        """
        embeddings = self.encoder.embeddings
        position_ids = torch.arange(input_ids.shape[1], device=input_ids.device)
        hidden = embeddings.norm(embeddings.token(input_ids) + embeddings.position(position_ids)[None])
        bias = (1.0 - attention_mask[:, None, None, :].to(hidden.dtype)) * _MASKED
        last = len(self.encoder.layers) - 1
        for number, layer in enumerate(self.encoder.layers):
            hidden = _layer(layer, hidden, bias, first_only=self.rows == "sequence" and number == last)
        scores = self.head(hidden)
        return (scores,) if self.n_outputs == 1 else tuple(scores.unbind(-1))


def _layer(layer: nn.Module, hidden: Tensor, bias: Tensor, *, first_only: bool) -> Tensor:
    """``(n, length, hidden)`` → the same shape, as `distiltune.model.encoder.Layer` has it; or of the first tokens."""
    attention, feed_forward = layer.get_submodule("attention"), layer.get_submodule("feed_forward")
    n, length, width = hidden.shape
    n_heads = attention.n_heads
    assert isinstance(n_heads, int)
    qkv = _linear(attention.get_submodule("qkv"), hidden).view(n, length, 3, n_heads, width // n_heads)
    query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    scores = query @ key.transpose(-1, -2) / math.sqrt(width // n_heads) + bias
    mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(n, length, width)
    if first_only:
        mixed, hidden = mixed[:, 0], hidden[:, 0]
    hidden = layer.get_submodule("attention_norm")(_linear(attention.get_submodule("output"), mixed) + hidden)
    activation = F.relu if feed_forward.activation is F.relu else F.gelu
    inner = activation(_linear(feed_forward.get_submodule("up"), hidden))
    out: Tensor = layer.get_submodule("feed_forward_norm")(_linear(feed_forward.get_submodule("down"), inner) + hidden)
    return out


def _linear(module: nn.Module, values: Tensor) -> Tensor:
    weight, bias = module.get_parameter("weight"), module.get_parameter("bias")
    return F.linear(values, weight, bias)


def write_graph(model: TaskModel, file: Path, output_names: tuple[str, ...]) -> None:
    """Write the model as one ONNX file with any number of sequences and any length up to its positions.

    Args:
        model: in evaluation mode, on the CPU.
        file: where to write it.
        output_names: one name for each column of the head, or one for all of them.

    Raises:
        ModelError: if the libraries of the extra `export` are not installed.

    """
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ModelError(
            "Exporting to ONNX needs onnx, onnxscript and onnxruntime.",
            fix=f"install them: {install_extra('export')}",
        ) from error
    longest = model.encoder.config.max_position_embeddings
    ids = torch.ones(2, min(16, longest - 1), dtype=torch.int64)
    n, length = torch.export.Dim("n_sequences", min=1, max=65_536), torch.export.Dim("length", min=3, max=longest)
    shapes = {"input_ids": {0: n, 1: length}, "attention_mask": {0: n, 1: length}}
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns of its own insides
            program = torch.onnx.export(
                PaddedModel(model, len(output_names)).eval(),
                (ids, torch.ones_like(ids)),
                input_names=["input_ids", "attention_mask"],
                output_names=list(output_names),
                dynamic_shapes=shapes,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        assert program is not None
        program.save(str(file), external_data=False)
    finally:
        logger.setLevel(level)
