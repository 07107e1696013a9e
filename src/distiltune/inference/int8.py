"""A trained encoder with its products in 8 bits, by PyTorch's own kernels: every token by its own range.

Weights are rounded once, each row of a matrix by its largest value; what goes into a product is rounded token by token,
so that an answer does not depend on who else is in the batch. Sums are whole numbers, exact in any order.
"""

from __future__ import annotations

import functools
import platform
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.errors import RecipeError
from distiltune.model.encoder import Embeddings, FeedForward, Layer, Linear, SelfAttention, TaskModel

_CHUNK_ROWS = 128
"""Tokens that go through a feed-forward block together: what lies between its products then stays in the cache."""

_LEAST_GELU: Final = -0.17
"""Below the least value of GELU, -0.16997 at -0.7518."""

_ROUND: Final = 1.5 * 2**23
"""Added to a float32 of at most 2^22, leaves it rounded to the nearest whole number in the last bits of the sum."""

_ZERO: Final = 128
"""What stands for 0 where numbers of both signs are kept in a byte."""

_PROBED_ROWS, _PROBED_SIZE = 32, 256


class Int8Linear(nn.Module):
    """A linear layer of trained weights in 8 bits.

    With s_i = max |x_i| / 127 of token i and t_j likewise of row j of the weights, y_ij = s_i t_j Σ_k x̂_ik ŵ_jk + b_j.
    Of inputs that have a ``least`` value it is the distance from it that is rounded, in all 8 bits; what that adds to
    every sum is in the bias.
    """

    scales: Tensor
    bias: Tensor
    zeros: Tensor

    def __init__(self, linear: nn.Linear, least: float | None = None) -> None:
        """Round the weights of a layer, whose inputs are never below ``least``."""
        super().__init__()
        limit = _weight_limit()
        weights = linear.weight.detach()
        scales = (weights.abs().amax(dim=1) / limit).clamp_min(torch.finfo(torch.float32).tiny)
        rounded = torch.round(weights / scales[:, None]).to(torch.int8)
        bias = linear.bias.detach().clone()
        if least is not None:
            bias += least * scales * rounded.sum(dim=1)
        self._least = least
        self._packed = _pack(rounded)  # in a layout of oneDNN's own, which no state dictionary could hold
        self.n_packed_bytes = rounded.nbytes
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.register_buffer("zeros", torch.zeros(len(scales), dtype=torch.int64), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """``(n, n_in)`` → ``(n, n_out)``, float32."""
        rounded, scales = quantise(values, self._least)
        zero = _ZERO if self._least is None else 0
        sums = _multiply(rounded, zero, self._packed, self.scales, self.zeros)
        return torch.addcmul(self.bias, sums, scales, out=sums)


def quantise(values: Tensor, least: float | None = None) -> tuple[Tensor, Tensor]:
    """Every row to bytes by its own range.

    Args:
        values: ``(n, width)`` float32.
        least: what no value is below; None: 128 stands for 0, and the range is as wide to both sides.

    Returns:
        Bytes ``(n, width)`` q and scales ``(n, 1)`` s: the values are about s (q - 128), or ``least`` + s q.

    """
    if least is not None:
        values = values - least
        scales = values.amax(dim=1, keepdim=True).div_(255)
    else:
        highest, lowest = values.amax(dim=1, keepdim=True), values.amin(dim=1, keepdim=True)
        scales = torch.maximum(highest, lowest.neg_()).div_(127)
    scales.clamp_min_(torch.finfo(torch.float32).tiny)
    # One pass that scales, shifts and rounds: the byte wanted is then the last of the float32's four. As quick as the
    # memory, where PyTorch's own rounding by rows takes ten times as long.
    shift = values.new_full((1, values.shape[1]), _ROUND + (_ZERO if least is None else 0))
    whole = torch.addcmul(shift, values, scales.reciprocal())
    return torch.empty_like(whole, dtype=torch.uint8).copy_(whole.view(torch.int32)), scales


class _Int8FeedForward(nn.Module):
    """A feed-forward block of trained weights in 8 bits, some tokens at a time."""

    def __init__(self, block: FeedForward) -> None:
        super().__init__()
        self.activation = block.activation
        self.up = Int8Linear(block.up)
        self.down = Int8Linear(block.down, _LEAST_GELU if block.activation is F.gelu else 0.0)

    def forward(self, hidden: Tensor) -> Tensor:
        """``(total_tokens, hidden)`` → ``(total_tokens, hidden)``."""
        parts = torch.split(hidden, _CHUNK_ROWS)
        return torch.cat([self.down(self.activation(self.up(part))) for part in parts])


class _Int8Table(nn.Module):
    """A trained embedding in 8 bits, each row by its own largest value."""

    rows: Tensor
    scales: Tensor

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        weights = embedding.weight.detach()
        scales = (weights.abs().amax(dim=1, keepdim=True) / 127).clamp_min(torch.finfo(torch.float32).tiny)
        self.register_buffer("rows", torch.round(weights / scales).to(torch.int8), persistent=False)
        self.register_buffer("scales", scales, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """``(n,)`` → ``(n, width)``."""
        return self.rows.index_select(0, ids) * self.scales.index_select(0, ids)


class _SteadyLinear(nn.Module):
    """A head's linear layer: a row's float32 result is the same whatever rows are beside it.

    The order in which a product of float32 adds up depends on how many rows it has; float64 keeps that below what is
    rounded off at the end.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.register_buffer("weight", linear.weight.detach().double(), persistent=False)
        bias = linear.bias.detach().double() if linear.bias is not None else None
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """``(n, n_in)`` → ``(n, n_out)``, float32."""
        return F.linear(values.double(), self.weight, self.bias).float()


def to_int8(model: TaskModel) -> None:
    """Round a trained model's encoder to 8 bits, in its place; norms and positions stay as they are.

    The head stays as exact as it was, and gives a row the same numbers whatever else is in the batch.

    Raises:
        RecipeError: if that cannot be done here, saying why.

    """
    check_int8_can_be(next(model.parameters()).device)
    for module in list(model.head.modules()):
        for name, part in module.named_children():
            if isinstance(part, nn.Linear) and type(part) in (nn.Linear, Linear):
                setattr(module, name, _SteadyLinear(part))
    for part in list(model.encoder.modules()):
        if isinstance(part, Embeddings):
            part.token = _Int8Table(part.token)  # type: ignore[assignment]
        elif isinstance(part, SelfAttention):
            part.qkv, part.output = Int8Linear(part.qkv), Int8Linear(part.output)  # type: ignore[assignment]
        elif isinstance(part, Layer):
            part.feed_forward = _Int8FeedForward(part.feed_forward)  # type: ignore[assignment]


def bytes_of(model: nn.Module) -> int:
    """What a model's numbers take in memory, packed ones included."""
    plain = sum(each.nbytes for each in (*model.parameters(), *model.buffers()))
    return plain + sum(each.n_packed_bytes for each in model.modules() if isinstance(each, Int8Linear))


def check_int8_can_be(device: torch.device) -> None:
    """Check that there are products of 8 bits.

    Raises:
        RecipeError: if there are none on that device.

    """
    if device.type != "cpu":
        why, fix = f"int8 is for a processor, and the model is on {device}.", "use bfloat16 there, or --device cpu"
    elif platform.machine() not in ("x86_64", "AMD64") or not torch._C._has_mkldnn:
        why = f"This PyTorch has no quick products of 8 bits for {platform.machine()}."
        fix = "use float32 or bfloat16, or an 8-bit ONNX model: distiltune export --format onnx --int8"
    else:
        return
    raise RecipeError(why, where="recipe: precision", fix=fix)


@functools.cache
def _weight_limit() -> int:
    """The largest weight in 8 bits: 127, or 63 where two products are added in 16 bits, which 2 · 255 · 64 overflows.

    The latter is so on processors without VNNI; it is tried rather than read off the processor's flags.
    """
    ones = torch.ones(_PROBED_SIZE)
    weights = torch.full((_PROBED_SIZE, _PROBED_SIZE), 127, dtype=torch.int8)
    inputs = torch.full((_PROBED_ROWS, _PROBED_SIZE), 255, dtype=torch.uint8)
    sums = _multiply(inputs, 0, _pack(weights), ones, torch.zeros(_PROBED_SIZE, dtype=torch.int64))
    return 127 if bool((sums == 255 * 127 * _PROBED_SIZE).all()) else 63


def _pack(weights: Tensor) -> Tensor:
    """Weights ``(n_out, n_in)`` int8 as oneDNN wants them laid out."""
    packed: Tensor = torch.ops.onednn.qlinear_prepack(weights, None)
    return packed


def _multiply(inputs: Tensor, zero: int, packed: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    """``(inputs - zero) @ weights.T * scales``: ``(n, n_in)`` uint8 → ``(n, n_out)`` float32."""
    multiply: Any = torch.ops.onednn.qlinear_pointwise
    out: Tensor = multiply(inputs, 1.0, zero, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], "")
    return out
