"""What settings have to be where plain texts are read, which have no labels."""

from __future__ import annotations

from collections.abc import Iterable

from distiltune.settings.engine import EngineSettings

_BESIDE_STRIDE = 3
"""Tokens of a window that are not of the text's next stretch: both special ones, and one by which it moves on."""


def check_of_texts(settings: EngineSettings, task: str, without_meaning: Iterable[str]) -> None:
    """Check that windows move on, and that all settings have a meaning.

    Args:
        settings: of the task.
        task: its name.
        without_meaning: settings of every task that say nothing in this one.

    Raises:
        ValueError: naming the settings.

    """
    if settings.stride + _BESIDE_STRIDE > settings.max_length:
        raise ValueError(
            f"max_length ({settings.max_length}) must be at least stride ({settings.stride}) + {_BESIDE_STRIDE}, "
            "or windows cannot move on"
        )
    for name in without_meaning:
        if getattr(settings, name) != type(settings).model_fields[name].default:
            raise ValueError(f"{name} has no meaning for the task {task}; leave it out")
