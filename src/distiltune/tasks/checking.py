"""A recipe's settings as the check of a data set takes them."""

from __future__ import annotations

from collections.abc import Sequence

from distiltune.checks.data_check import CheckRequest
from distiltune.settings.engine import EngineSettings


def check_request(
    data: Sequence[str], against: Sequence[str], settings: EngineSettings, architecture: str
) -> CheckRequest:
    """What is to be checked, and for the training that these settings describe, of a model of that architecture."""
    return CheckRequest(
        task=settings.task,
        architecture=architecture,
        data=tuple(map(str, data)),
        against=tuple(map(str, against)),
        model=settings.model,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
    )
