"""What the task is called, and the files that it writes."""

from __future__ import annotations

from typing import Final

NAME: Final = "question-answering"
ARCHITECTURE: Final = "DistilBertForQuestionAnswering"
PREDICTION_FILES: Final[tuple[str, ...]] = ("predictions.json", "nbest.jsonl")
"""The answers as the official scorer reads them, and each question's candidates."""
