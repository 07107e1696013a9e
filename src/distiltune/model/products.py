"""Matrix products on the CPU: which library multiplies, chosen here and nowhere else.

PyTorch multiplies through MKL, which reaches three quarters of an AMD core's speed; the OpenBLAS inside NumPy's wheels
reaches nearly all of it (docs/performance.md has the measurement). OpenBLAS keeps threads of its own, which get in
the way of PyTorch's, so it is asked only by a thread that works alone (see ``workers``).
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


@functools.cache
def openblas_is_quicker(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether NumPy's products beat PyTorch's here: an AMD processor, and NumPy built with OpenBLAS.

    A rule and not a timing, so that the same machine always takes the same way to the same bits.
    """
    try:
        vendor_is_amd = "AuthenticAMD" in cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return vendor_is_amd and numpy_blas() == "openblas"


def numpy_blas() -> str:
    """The library that NumPy multiplies with: "openblas", or the name that NumPy gives it."""
    config: Any = np.show_config(mode="dicts")
    name = str(config["Build Dependencies"]["blas"]["name"]).lower()
    return "openblas" if "openblas" in name else name


def _numpy_multiplies(values: Tensor) -> bool:
    return (
        values.dtype == torch.float32
        and values.device.type == "cpu"
        and torch.get_num_threads() == 1
        and openblas_is_quicker()
    )


def product(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    """``left @ right`` into ``out``; two or three dimensions, the first of three being a batch. Not differentiable."""
    if _numpy_multiplies(left):
        np.matmul(left.numpy(), right.numpy(), out=out.numpy())
        return out
    if out.is_contiguous():
        return torch.matmul(left, right, out=out)
    return out.copy_(torch.matmul(left, right))


def linear(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``values @ weight.T + bias``: ``(n, n_in)``, ``(n_out, n_in)`` and ``(n_out,)`` → ``(n, n_out)``."""
    is_traced = torch.compiler.is_compiling()  # an export knows PyTorch's own operations only
    if is_traced or not _numpy_multiplies(values) or torch.is_autocast_enabled(values.device.type):
        return F.linear(values, weight, bias)
    out: Tensor = _Linear.apply(values, weight, bias)  # type: ignore[no-untyped-call]
    return out


class _Linear(torch.autograd.Function):
    """A linear layer whose three products (its own, and two in its gradient) are NumPy's."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(values, weight)
        return product(values, weight.t(), values.new_empty(values.shape[0], weight.shape[0])).add_(bias)

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        values, weight = ctx.saved_tensors
        grad_out = grad_out.contiguous()
        # A product each, which a frozen weight, or an input that nothing below is learnt from, can do without.
        for_values, for_weight, for_bias = ctx.needs_input_grad
        return (
            product(grad_out, weight, torch.empty_like(values)) if for_values else None,
            product(grad_out.t(), values, torch.empty_like(weight)) if for_weight else None,
            grad_out.sum(dim=0) if for_bias else None,
        )
