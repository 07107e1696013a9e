"""The tasks' own settings, all of them, as the recipe mixes them in."""

from __future__ import annotations

from distiltune.tasks.encoder.settings import EncoderSettings
from distiltune.tasks.question_answering.settings import QuestionAnsweringSettings
from distiltune.tasks.text_classification.settings import TextClassificationSettings


class TaskSettings(EncoderSettings, TextClassificationSettings, QuestionAnsweringSettings):
    """Every setting that only one task has."""
