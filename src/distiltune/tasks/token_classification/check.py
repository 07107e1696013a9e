"""What is wrong with marked texts, before they are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from distiltune.checks.data_check import Checked
from distiltune.tasks.labelled_check import check_labelled
from distiltune.tasks.token_classification.features import TokenData
from distiltune.tasks.token_classification.labelled import labelled_texts
from distiltune.tasks.token_classification.names import ARCHITECTURE
from distiltune.tasks.token_classification.settings import TokenClassificationSettings
from distiltune.tasks.token_classification.task import from_settings


def check(
    data: Sequence[str], against: Sequence[str], settings: TokenClassificationSettings, fix: Path | None
) -> Checked:
    """What `distiltune check` says of such data."""
    return check_labelled(data, against, settings, fix, _open_data, labelled_texts, ARCHITECTURE)


def _open_data(settings: TokenClassificationSettings, tokenizer: Tokenizer) -> tuple[TokenData, TokenData | None]:
    return from_settings(settings).open_training(torch.device("cpu")).data(tokenizer)
