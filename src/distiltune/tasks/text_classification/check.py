"""What is wrong with texts and their labels, before they are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from tokenizers import Tokenizer

from distiltune.checks.data_check import Checked
from distiltune.tasks.labelled_check import check_labelled
from distiltune.tasks.text_classification.features import TextData
from distiltune.tasks.text_classification.labelled import labelled_texts
from distiltune.tasks.text_classification.names import ARCHITECTURE
from distiltune.tasks.text_classification.settings import TextClassificationSettings
from distiltune.tasks.text_classification.task import from_settings


def check(
    data: Sequence[str], against: Sequence[str], settings: TextClassificationSettings, fix: Path | None
) -> Checked:
    """What `distiltune check` says of such data."""
    as_texts = partial(labelled_texts, problem=settings.problem)
    return check_labelled(data, against, settings, fix, _open_data, as_texts, ARCHITECTURE)


def _open_data(settings: TextClassificationSettings, tokenizer: Tokenizer) -> tuple[TextData, TextData | None]:
    return from_settings(settings).open_training(torch.device("cpu")).data(tokenizer)
