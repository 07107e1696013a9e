"""What the task is called, and the files that it writes."""

from __future__ import annotations

from typing import Final

NAME: Final = "encoder"
ARCHITECTURE: Final = "DistilBertModel"
PREDICTION_FILES: Final[tuple[str, ...]] = ()
"""Nothing is predicted."""
