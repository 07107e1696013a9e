"""From a teacher to a student: of the encoder on plain text, and while fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from distiltune.tasks.encoder.names import ARCHITECTURE, NAME
from distiltune.tasks.encoder.settings import EncoderSettings, check, defaults
from distiltune.tasks.entry import TaskEntry

if TYPE_CHECKING:
    from distiltune.distillation.text import PlainTextData
    from distiltune.tasks.base import TaskSpec


def _spec() -> Callable[[EncoderSettings], TaskSpec[PlainTextData]]:
    from distiltune.tasks.encoder.task import from_settings

    return from_settings


TASK = TaskEntry(
    name=NAME,
    spec=_spec,
    architecture=ARCHITECTURE,
    settings=EncoderSettings,
    monitors={"validation_loss": "lower"},
    figures={"hidden": "lower", "relations": "lower"},
    columns=(),
    renamed=lambda columns: {},
    after_training="fine-tune it: distiltune train --model {model} --train DATA --output RUN",
    examples_predicted="texts read",
    defaults=defaults,
    check=check,
)
