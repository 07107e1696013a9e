"""What the task is called, and the files that it writes."""

from __future__ import annotations

from typing import Final

NAME: Final = "token-classification"
ARCHITECTURE: Final = "DistilBertForTokenClassification"
PREDICTION_FILES: Final[tuple[str, ...]] = ("predictions.jsonl", "predictions.conll", "entities.json")
"""Entities as spans of characters, the same as IOB2 columns, and each label's scores where there is gold."""
