"""What a training will take on this machine: counted work over a speed measured in a second, counted memory."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import torch

from distiltune.model.config import EncoderConfig

_PROBE_SECONDS = 0.4
_SHARE_OF_PROBE = 0.72
"""What a training step reaches of the products' own speed; the rest goes to attention, dropout, norms and Adam.
Measured on two cores with the 6 x 384 and the 6 x 768 model (docs/coach.md)."""
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

    def as_json(self) -> dict[str, float]:
        """The estimate as plain values."""
        return asdict(self)


def estimate_training(
    config: EncoderConfig,
    *,
    n_tokens: int,
    n_validation_tokens: int,
    n_features: int,
    longest: int,
    epochs: int,
    batch_size: int,
    device: torch.device,
) -> Estimate:
    """Estimate a training of ``n_tokens`` an epoch; measures the machine's products for about half a second."""
    speed = probe_products(config, device)
    per_token = flops_per_token(config, longest)
    rate = speed * _SHARE_OF_PROBE / (3 * per_token)
    tokens_in_batch = n_tokens / max(n_features, 1) * batch_size
    return Estimate(
        train_seconds=epochs * n_tokens / rate,
        validation_seconds=epochs * n_validation_tokens / (3 * rate),
        memory_bytes=_BASE_BYTES + training_bytes(config, tokens_in_batch, longest),
        n_tokens=n_tokens,
        n_steps=epochs * -(-n_features // batch_size),
        tokens_per_second=rate,
        gflops_measured=speed / 1e9,
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


def probe_products(config: EncoderConfig, device: torch.device) -> float:
    """Floating-point operations a second of float32 products of the model's own shapes, on PyTorch's threads."""
    rows = 1_024
    left = torch.randn(rows, config.hidden_size, device=device)
    right = torch.randn(config.hidden_size, config.intermediate_size, device=device)

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    with torch.inference_mode():
        for _ in range(3):
            left @ right
        wait()
        began, n_done = time.perf_counter(), 0
        while time.perf_counter() - began < _PROBE_SECONDS:
            left @ right
            wait()
            n_done += 1
        seconds = time.perf_counter() - began
    return 2.0 * rows * config.hidden_size * config.intermediate_size * n_done / seconds
