"""What is wrong with marked texts, before they are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distiltune.checks.data_check import Checked
from distiltune.tasks.labelled_check import check_labelled
from distiltune.tasks.token_classification.labelled import labelled_texts
from distiltune.tasks.token_classification.settings import TokenClassificationSettings
from distiltune.tasks.token_classification.task import from_settings


def check(
    data: Sequence[str], against: Sequence[str], settings: TokenClassificationSettings, fix: Path | None
) -> Checked:
    """What `distiltune check` says of such data."""
    return check_labelled(data, against, settings, fix, from_settings, labelled_texts)
