"""How sure a model is, in a word: one rule for the page, the command and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CERTAINTIES: Final[Mapping[str, float]] = {"sure": 0.85, "likely": 0.5, "a guess": 0.0}
"""Word → the least confidence, from 0 to 1, that it is said of; falling."""


def certainty(confidence: float) -> str:
    """The word for a confidence from 0 to 1."""
    return next((word for word, least in CERTAINTIES.items() if confidence >= least), "a guess")
