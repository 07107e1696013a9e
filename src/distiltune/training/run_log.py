"""The run directory's log: one JSON object a line, readable while it grows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TextIO

from distiltune.errors import TrainingError

Kind = Literal["start", "step", "epoch", "evaluation", "event", "end"]


class RunLog:
    """Appends to ``log.jsonl``; every line is flushed, so that a killed run has told all it knew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        try:
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise TrainingError(f"The log cannot be written: {error.strerror}.", where=str(self._path)) from error
        return self

    def write(self, kind: Kind, **values: object) -> None:
        """Append one object: its kind, the time (UTC), and the values; NaN and infinity are written as null."""
        assert self._file is not None, "used outside its with block"
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps(_plain({"kind": kind, "time": now, **values}), ensure_ascii=False, allow_nan=False)
        self._file.write(line + "\n")
        self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _plain(value: object) -> object:
    """The value with every number that JSON cannot hold replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
