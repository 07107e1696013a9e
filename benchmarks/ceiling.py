"""What this machine can do: matrix products of the model's own shapes, and memory bandwidth."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.workload import Shape
from distiltune.system.device import usable_cores
from distiltune.system.workers import WorkerPlan, Workers

N_TOKENS = 2_732  # of an average batch of 16
COPY_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Rates of this machine: GFLOP/s by library, and GB/s of copying (read and written bytes counted)."""

    gflops: dict[str, float]
    copy_gb_per_second: float

    @property
    def best_gflops(self) -> float:
        """Of the quickest library."""
        return max(self.gflops.values())


def measure(shape: Shape, repeats: int = 5) -> Ceiling:
    """Measure the products of a step in float32, forward and backward, with every library at hand."""
    n_threads = usable_cores()
    torch.set_num_threads(n_threads)
    gflops = {}
    with threadpool_limits(n_threads, user_api="blas"):
        gflops["PyTorch, all threads on one product"] = _whole(shape, repeats, _torch_products)
        gflops["NumPy, all threads on one product"] = _whole(shape, repeats, _numpy_products)
    with threadpool_limits(1, user_api="blas"), Workers(WorkerPlan(n_threads, 1)) as workers:
        gflops["PyTorch, a product a thread"] = _shared(shape, repeats, _torch_products, workers)
        gflops["NumPy, a product a thread"] = _shared(shape, repeats, _numpy_products, workers)
    return Ceiling(gflops, _copy_rate(repeats))


@dataclass(frozen=True, slots=True)
class _Operands:
    values: torch.Tensor
    weight: torch.Tensor
    grad: torch.Tensor
    out: torch.Tensor
    grad_values: torch.Tensor
    grad_weight: torch.Tensor

    @property
    def flops(self) -> float:
        return 6.0 * self.values.numel() * self.grad.shape[1]


def _operands(shape: Shape, n_tokens: int) -> list[_Operands]:
    sizes = [(shape.hidden, 3 * shape.hidden), (shape.hidden, shape.hidden)]
    sizes += [(shape.hidden, shape.intermediate), (shape.intermediate, shape.hidden)]
    return [
        _Operands(
            torch.randn(n_tokens, n_in),
            torch.randn(n_out, n_in),
            torch.randn(n_tokens, n_out),
            torch.empty(n_tokens, n_out),
            torch.empty(n_tokens, n_in),
            torch.empty(n_out, n_in),
        )
        for n_in, n_out in sizes
    ]


def _torch_products(o: _Operands) -> None:
    torch.mm(o.values, o.weight.t(), out=o.out)
    torch.mm(o.grad, o.weight, out=o.grad_values)
    torch.mm(o.grad.t(), o.values, out=o.grad_weight)


def _numpy_products(o: _Operands) -> None:
    np.matmul(o.values.numpy(), o.weight.numpy().T, out=o.out.numpy())
    np.matmul(o.grad.numpy(), o.weight.numpy(), out=o.grad_values.numpy())
    np.matmul(o.grad.numpy().T, o.values.numpy(), out=o.grad_weight.numpy())


def _whole(shape: Shape, repeats: int, products: Callable[[_Operands], None]) -> float:
    operands = _operands(shape, N_TOKENS)
    return _rate(lambda: _all_products(products, operands), sum(o.flops for o in operands), repeats)


def _shared(shape: Shape, repeats: int, products: Callable[[_Operands], None], workers: Workers) -> float:
    n_workers = workers.plan.n_workers
    sets = [_operands(shape, N_TOKENS // n_workers) for _ in range(n_workers)]

    jobs = [partial(_all_products, products, operands) for operands in sets]
    return _rate(lambda: workers.run(jobs), sum(o.flops for operands in sets for o in operands), repeats)


def _all_products(products: Callable[[_Operands], None], operands: list[_Operands]) -> None:
    for each in operands:
        products(each)


def _rate(work: Callable[[], object], flops: float, repeats: int) -> float:
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return flops / statistics.median(seconds[1:]) / 1e9


def _copy_rate(repeats: int) -> float:
    source, target = torch.ones(COPY_BYTES // 4), torch.zeros(COPY_BYTES // 4)
    return _rate(lambda: target.copy_(source), 2.0 * COPY_BYTES, repeats)
