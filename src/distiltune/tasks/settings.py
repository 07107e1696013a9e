"""All tasks' settings together, as the recipe has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distiltune.settings.engine import EngineSettings
from distiltune.tasks.encoder.settings import EncoderSettings
from distiltune.tasks.fill_mask.settings import FillMaskSettings
from distiltune.tasks.question_answering.settings import QuestionAnsweringSettings
from distiltune.tasks.table import TASKS
from distiltune.tasks.text_classification.settings import TextClassificationSettings
from distiltune.tasks.token_classification.settings import TokenClassificationSettings

if TYPE_CHECKING:

    class AllSettings(
        FillMaskSettings,
        EncoderSettings,
        TokenClassificationSettings,
        TextClassificationSettings,
        QuestionAnsweringSettings,
    ):
        """Every task's settings and each one's own."""

else:  # the same, and those of the tasks that other packages have registered
    _BASES = tuple(entry.settings for entry in TASKS.values() if entry.settings is not EngineSettings)
    AllSettings = type("AllSettings", _BASES[::-1], {"__module__": __name__})
