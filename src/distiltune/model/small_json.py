"""The small JSON files of a model directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from distiltune.errors import ModelError

MAX_FILE_BYTES: Final = 64 * 1024**2
"""The largest tokenizer or configuration file that is read; BERT's have half a megabyte, multilingual ones three."""


def read_json(file: Path) -> dict[str, Any]:
    """The object that a JSON file of a model directory holds.

    Raises:
        ModelError: if the file cannot be read, is not JSON, or holds something other than an object.

    """
    try:
        check_size(file)
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{file.name} cannot be read.", where=f"{file} ({error})", fix="fetch or copy the file again."
        ) from error
    if not isinstance(value, dict):
        raise ModelError(f"{file.name} holds no JSON object.", where=str(file), fix="fetch or copy the file again.")
    return value


def check_size(file: Path) -> None:
    """Refuse a file that is too large for what it should be, before it is in memory.

    Raises:
        ModelError: if it is.

    """
    if file.stat().st_size > MAX_FILE_BYTES:
        raise ModelError(
            f"{file.name} is larger than any such file should be.", where=str(file), fix="fetch or copy the file again."
        )
