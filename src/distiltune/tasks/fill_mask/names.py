"""What the task is called, and the class of its models."""

from __future__ import annotations

from typing import Final

NAME: Final = "fill-mask"
ARCHITECTURE: Final = "DistilBertForMaskedLM"
