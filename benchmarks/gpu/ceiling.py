"""What the GPU's matrix products reach: those of the model's own shapes, and one that fills the chip."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from torch import Tensor

from benchmarks import workload
from benchmarks.gpu.work import MODELS, Say, Work, now
from distiltune.system.device import allow_tf32

N_TOKENS: Final = 2_816
"""Of an average batch of 16, filled up."""

LARGE: Final = 8_192
REPEATS: Final = 7


def ceilings(work: Work, say: Say) -> None:
    """Measure every precision; random numbers, since zeros are multiplied quicker."""
    for precision in ("bfloat16",) if work.rehearses else ("bfloat16", "tf32", "float32"):
        kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
        allow_tf32(precision == "tf32")
        size = work.n(LARGE, 64)
        left, right = (torch.randn(size, size, device=work.device, dtype=kind) for _ in range(2))
        rates = {"large": _rate(work, partial(_product, left, right), 2.0 * size**3, work.n(5))}
        for name in MODELS:
            products, flops = _layer(work.shape(name), work.n(N_TOKENS, 16), kind, work.device)
            rates[name] = _rate(work, products, flops, work.n(20))
        say({"precision": precision, "tflops": rates})
    if not work.rehearses:
        say({"copy_gb_per_second": _copy_rate(work)})


def _product(left: Tensor, right: Tensor) -> list[Tensor]:
    return [left @ right]


def _layer(
    shape: workload.Shape, n_tokens: int, kind: torch.dtype, device: torch.device
) -> tuple[Callable[[], list[Tensor]], float]:
    """The products of one layer's step, forward and backward, and what they count."""
    wide, wider = shape.hidden, shape.intermediate
    sizes = ((wide, 3 * wide), (wide, wide), (wide, wider), (wider, wide))
    operands = [
        tuple(torch.randn(size, device=device, dtype=kind) for size in ((n_tokens, a), (b, a), (n_tokens, b)))
        for a, b in sizes
    ]

    def run() -> list[Tensor]:
        return [
            product
            for values, weight, gradient in operands
            for product in (values @ weight.t(), gradient @ weight, gradient.t() @ values)
        ]

    return run, sum(3 * 2.0 * n_tokens * a * b for a, b in sizes)


def _rate(work: Work, run: Callable[[], list[Tensor]], flops: float, n: int) -> float:
    """TFLOP/s, the median of several goes of ``n`` runs each; recorded, so that the host does not hold them up."""
    kept = run()
    go = _recorded(run, n) if work.device.type == "cuda" else run
    per_go = n if work.device.type == "cuda" else 1
    seconds = []
    for _ in range(work.n(REPEATS) + 1):
        began = now(work.device)
        go()
        seconds.append(now(work.device) - began)
    del kept
    return flops * per_go / statistics.median(seconds[1:]) / 1e12


def _recorded(run: Callable[[], list[Tensor]], n: int) -> Callable[[], object]:
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(n):
            run()
    return graph.replay


def _copy_rate(work: Work) -> float:
    source = torch.randn(1 << 30, device=work.device)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(REPEATS):
        began = now(work.device)
        for _ in range(5):
            target.copy_(source)
        seconds.append(now(work.device) - began)
    return 5 * 2.0 * source.nbytes / statistics.median(seconds[1:]) / 1e9
