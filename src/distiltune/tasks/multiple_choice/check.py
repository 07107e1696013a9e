"""What is wrong with questions and their choices, before they are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from distiltune.checks.data_check import Checked
from distiltune.settings.engine import EngineSettings
from distiltune.tasks.labelled_check import check_labelled
from distiltune.tasks.multiple_choice.features import ChoiceData
from distiltune.tasks.multiple_choice.labelled import labelled_questions
from distiltune.tasks.multiple_choice.names import ARCHITECTURE
from distiltune.tasks.multiple_choice.task import from_settings


def check(data: Sequence[str], against: Sequence[str], settings: EngineSettings, fix: Path | None) -> Checked:
    """What `distiltune check` says of such data."""
    return check_labelled(data, against, settings, fix, _open_data, labelled_questions, ARCHITECTURE)


def _open_data(settings: EngineSettings, tokenizer: Tokenizer) -> tuple[ChoiceData, ChoiceData | None]:
    return from_settings(settings).open_training(torch.device("cpu")).data(tokenizer)
