"""What the task is called, and the files that it writes."""

from __future__ import annotations

from typing import Final

NAME: Final = "multiple-choice"
ARCHITECTURE: Final = "DistilBertForMultipleChoice"
PREDICTION_FILES: Final[tuple[str, ...]] = ("predictions.jsonl",)
"""The predictions, with each choice's score."""
