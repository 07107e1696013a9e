"""Masked language modelling: an encoder learns one's own texts, by words that are masked, before any task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from distiltune.tasks.entry import TaskEntry
from distiltune.tasks.fill_mask.names import ARCHITECTURE, NAME
from distiltune.tasks.fill_mask.settings import FillMaskSettings, check, defaults

if TYPE_CHECKING:
    from distiltune.distillation.text import PlainTextData
    from distiltune.tasks.base import TaskSpec


def _spec() -> Callable[[FillMaskSettings], TaskSpec[PlainTextData]]:
    from distiltune.tasks.fill_mask.task import from_settings

    return from_settings


TASK = TaskEntry(
    name=NAME,
    spec=_spec,
    architecture=ARCHITECTURE,
    settings=FillMaskSettings,
    monitors={"validation_loss": "lower", "accuracy": "higher"},
    columns=(),
    renamed=lambda columns: {},
    after_training="fine-tune it: distiltune train --model {model} --train DATA --output RUN",
    examples_predicted="texts read",
    defaults=defaults,
    check=check,
)
