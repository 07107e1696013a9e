"""What of the recipe is distilling an encoder's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from distiltune.settings.engine import Count, EngineSettings
from distiltune.settings.of_texts import check_of_texts

Weight = Annotated[float, Field(ge=0.0)]

_WITHOUT_MEANING = (
    *("quoting", "no_header", "max_rejected_share", "train_examples", "validation_examples"),
    *("warm_up_data", "warm_up_order", "warm_up_weight", "warm_up_epochs"),
    *("head_dropout", "temperature", "soft_weight"),
)
"""Settings of every task that say nothing where plain text is read and hidden states are compared."""


class EncoderSettings(EngineSettings):
    """The settings of a training of an encoder on plain text."""

    student_layers: Count = 0
    """Layers of the student (0: as many as `model` has)."""
    student_width: Count = 0
    """Width of the student (0: that of `model`)."""
    student_heads: Count = 0
    """Attention heads of the student (0: of the same size as those of `model`)."""
    hidden_weight: Weight = 1.0
    """Weight of the hidden states in the loss."""
    relation_weight: Weight = 1.0
    """Weight of the attention relations in the loss."""
    relation_heads: Count = 0
    """Heads that the relations are cut into (0: the most up to 12 that divide both widths)."""


DEFAULTS: Final[Mapping[str, Any]] = {
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


def defaults(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the recipe's settings are where nothing else is said; the student is made from its teacher."""
    return {**DEFAULTS, "model": given["teacher"]} if given.get("teacher") else DEFAULTS


def check(settings: EncoderSettings) -> None:
    """Check that there is a teacher and something to learn, that windows move on, and that all settings have a meaning.

    Raises:
        ValueError: naming the settings.

    """
    if not settings.teacher:
        raise ValueError("the task encoder learns from a teacher, and teacher names no model")
    if not settings.hidden_weight and not settings.relation_weight:
        raise ValueError("hidden_weight and relation_weight are both 0, so there is nothing to learn")
    check_of_texts(settings, "encoder", _WITHOUT_MEANING)
