"""What the recipe's settings are for distilling an encoder, where nothing else is said. Imports nothing heavy."""

from __future__ import annotations

from typing import Any, Final

ENCODER_SETTINGS: Final[dict[str, Any]] = {
    "max_length": 256,
    "stride": 0,
    "validation_share": 0.01,
    "epochs": 6,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "warmup_share": 0.05,
    "max_gradient_norm": 1.0,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}
"""Those of the starter (docs/starter.md): a student this small underfits, so nothing is dropped out."""
