"""What a training will take on this machine: counted work over a speed measured in a second, counted memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

import torch

from distiltune.model.config import EncoderConfig
from distiltune.model.products import product
from distiltune.system.device import Precision, allow_tf32
from distiltune.system.workers import Workers, plan_workers

_PROBE_SECONDS = 0.4
_SHARE_OF_PROBE: Final[Mapping[Precision, float]] = {
    "float32": 0.8,
    "tf32": 0.7,
    "bfloat16": 0.7,
    "float16": 0.7,
}
"""What a training step reaches of the products' own speed; the rest goes to attention, dropout, norms and Adam, which
are no quicker in bfloat16. docs/performance.md has both on two cores: 78 to 87 % of the products in float32, and
products for 73 % of the time in bfloat16. Not measured on a GPU."""
_COPIES_OF_WEIGHTS = 4  # weights, gradients, Adam's two moments
_BASE_BYTES = 450e6  # PyTorch and Python themselves


@dataclass(frozen=True, slots=True)
class Estimate:
    """A training's expected cost; times in seconds, memory in bytes."""

    train_seconds: float
    validation_seconds: float
    memory_bytes: float
    n_tokens: int
    n_steps: int
    tokens_per_second: float
    gflops_measured: float
    precision: Precision

    def as_json(self) -> dict[str, float | str]:
        """The estimate as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Work:
    """What a training has to do an epoch; ``longest`` is the longest feature, in tokens."""

    n_tokens: int
    n_validation_tokens: int
    n_features: int
    longest: int


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How often and how it is done: epochs, features a step, where, in which arithmetic."""

    epochs: int
    batch_size: int
    device: torch.device
    precision: Precision


def estimate_training(config: EncoderConfig, work: Work, plan: TrainingPlan) -> Estimate:
    """Estimate a training whose validation is in float32; no longer than a second.

    The machine's products are measured, in the plan's precision and where that is bfloat16 in float32 too.
    """
    speed = probe_products(config, plan.device, plan.precision)
    per_token = flops_per_token(config, work.longest)
    rate = speed * _SHARE_OF_PROBE[plan.precision] / (3 * per_token)
    validation_rate = 3 * rate  # a third of the work
    if plan.precision == "bfloat16" and work.n_validation_tokens:
        validation_rate = probe_products(config, plan.device, "float32") * _SHARE_OF_PROBE["float32"] / per_token
    tokens_in_batch = work.n_tokens / max(work.n_features, 1) * plan.batch_size
    return Estimate(
        train_seconds=plan.epochs * work.n_tokens / rate,
        validation_seconds=plan.epochs * work.n_validation_tokens / validation_rate,
        memory_bytes=_BASE_BYTES + training_bytes(config, tokens_in_batch, work.longest),
        n_tokens=work.n_tokens,
        n_steps=plan.epochs * -(-work.n_features // plan.batch_size),
        tokens_per_second=rate,
        gflops_measured=speed / 1e9,
        precision=plan.precision,
    )


def flops_per_token(config: EncoderConfig, length: int) -> float:
    """Multiplications and additions of one forward pass over a token in a window of ``length`` tokens."""
    linear = 4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
    attention = 2 * length * config.hidden_size
    return 2.0 * config.n_layers * (linear + attention)


def training_bytes(config: EncoderConfig, tokens_in_batch: float, length: int) -> float:
    """Bytes of weights with their copies, and of what a step keeps for the way back."""
    n_weights = (config.vocab_size + config.max_position_embeddings) * config.hidden_size + config.n_layers * (
        4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
    )
    kept_per_token = config.n_layers * (
        12 * config.hidden_size + 3 * config.intermediate_size + 2 * config.n_heads * length
    )
    return 4.0 * (_COPIES_OF_WEIGHTS * n_weights + tokens_in_batch * kept_per_token)


def probe_products(config: EncoderConfig, device: torch.device, precision: Precision) -> float:
    """Floating-point operations a second of products of the model's own shapes, shared out as a training does."""
    if device.type != "cpu":
        allow_tf32(precision == "tf32")
        return _time_products(config, device, precision)
    with Workers(plan_workers(torch.get_num_threads())) as workers:
        jobs = [partial(_time_products, config, device, precision)] * workers.plan.n_workers
        return sum(workers.run(jobs))


def _time_products(config: EncoderConfig, device: torch.device, precision: Precision) -> float:
    """The same of one thread's products, or of a GPU's."""
    rows = 1_024
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left = torch.randn(rows, config.hidden_size, device=device, dtype=kind)
    right = torch.randn(config.hidden_size, config.intermediate_size, device=device, dtype=kind)
    out = torch.empty(rows, config.intermediate_size, device=device, dtype=kind)

    def multiply() -> None:
        product(left, right, out)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()

    for _ in range(3):
        multiply()
    began, n_done = time.perf_counter(), 0
    while time.perf_counter() - began < _PROBE_SECONDS:
        multiply()
        n_done += 1
    seconds = time.perf_counter() - began
    return 2.0 * rows * config.hidden_size * config.intermediate_size * n_done / seconds
