"""What of the recipe is masked language modelling's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from distiltune.settings.engine import EngineSettings
from distiltune.settings.of_texts import check_of_texts

WITHOUT_MEANING: Final = (
    *("quoting", "no_header", "max_rejected_share", "train_examples", "validation_examples"),
    *("warm_up_data", "warm_up_order", "warm_up_weight", "warm_up_epochs"),
    *("folds", "fold", "lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "freeze", "head_dropout"),
    *("teacher", "temperature", "soft_weight", "loss", "metrics", "monitor_better"),
)
"""Settings of every task that say nothing where plain text is read and its own words are asked for."""


class FillMaskSettings(EngineSettings):
    """The settings of a training on plain text whose words are masked."""

    mask_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15
    """Share of the words that are asked for; which, is drawn anew in every epoch."""


DEFAULTS: Final[Mapping[str, Any]] = {
    "max_length": 256,
    "stride": 0,
    "validation_share": 0.05,
    "epochs": 10,
    "batch_size": 32,
    "learning_rate": 1e-4,
    "warmup_share": 0.06,
    "max_gradient_norm": 1.0,
}
"""Rate and warm-up are those of task-adaptive pretraining (Gururangan et al. 2020, arXiv:2004.10964, table 13)."""


def defaults(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the recipe's settings are where nothing else is said."""
    return DEFAULTS


def check(settings: FillMaskSettings) -> None:
    """Check that windows move on, and that all settings have a meaning.

    Raises:
        ValueError: naming the settings.

    """
    check_of_texts(settings, "fill-mask", WITHOUT_MEANING)
