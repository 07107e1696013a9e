"""What the task is called, and the files that it writes."""

from __future__ import annotations

from typing import Final

NAME: Final = "text-classification"
ARCHITECTURE: Final = "DistilBertForSequenceClassification"
PREDICTION_FILES: Final[tuple[str, ...]] = ("predictions.jsonl", "classes.json", "confusion.svg", "confusion.png")
"""The predictions, each label's scores, and the confusion matrix as pictures; of numbers only the first."""
