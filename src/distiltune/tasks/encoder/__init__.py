"""From a teacher to a student: of the encoder on plain text, and while fine-tuning."""

from __future__ import annotations

from distiltune.tasks.encoder.settings import EncoderSettings, check, defaults
from distiltune.tasks.entry import TaskEntry

TASK = TaskEntry(
    name="encoder",
    module="distiltune.tasks.encoder.task",
    architecture="DistilBertModel",
    settings=EncoderSettings,
    monitors={"validation_loss": "lower"},
    columns=(),
    renamed=lambda columns: {},
    after_training="fine-tune it: distiltune train --model {model} --train DATA --output RUN",
    examples_predicted="texts read",
    defaults=defaults,
    check=check,
)
