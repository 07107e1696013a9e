"""The run directory's log: one JSON object a line, readable while it grows."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TextIO

from distiltune.errors import TrainingError
from distiltune.system.durable import open_own

Kind = Literal["start", "step", "epoch", "evaluation", "event", "end"]


class RunLog:
    """Appends to ``log.jsonl``; every line is flushed, so that a killed run has told all it knew.

    A resumed run cuts off what its predecessor wrote after the checkpoint: those steps come again, and each line is
    there once.
    """

    def __init__(self, path: Path, keep_bytes: int | None = None) -> None:
        """Append to the log, after its first ``keep_bytes`` if that is said."""
        self._path, self._keep_bytes = path, keep_bytes
        self._file: TextIO | None = None
        self.n_missing = 0
        """Bytes that the log should have had and does not."""

    def __enter__(self) -> Self:
        try:
            descriptor = open_own(self._path, os.O_WRONLY | os.O_APPEND)
            self._file = os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
            if self._keep_bytes is not None:
                size = os.fstat(descriptor).st_size
                self.n_missing = max(0, self._keep_bytes - size)
                os.ftruncate(descriptor, min(size, self._keep_bytes))
        except OSError as error:
            raise self._cannot_write(error) from error
        return self

    @property
    def n_bytes(self) -> int:
        """How long the log is."""
        assert self._file is not None, "used outside its with block"
        return os.fstat(self._file.fileno()).st_size

    def write(self, kind: Kind, **values: object) -> None:
        """Append one object: its kind, the time (UTC), and the values; NaN and infinity are written as null.

        Raises:
            TrainingError: if it cannot be written, as on a full disk.

        """
        assert self._file is not None, "used outside its with block"
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps(plain_values({"kind": kind, "time": now, **values}), ensure_ascii=False, allow_nan=False)
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            raise self._cannot_write(error) from error

    def sync(self) -> None:
        """Bring what was written to the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be written was said when it happened
                self._file.close()
            self._file = None

    def _cannot_write(self, error: OSError) -> TrainingError:
        return TrainingError(
            f"The log cannot be written: {error.strerror}.",
            where=str(self._path),
            fix=f"make room or rights there, then: distiltune train --resume {self._path.parent}",
        )


def count_lines(path: Path, kind: Kind) -> int:
    """How many lines of a kind a log has; 0 if there is none.

    Raises:
        OSError: if it is there and cannot be read.

    """
    beginning = f'{{"kind": "{kind}", '.encode()
    try:
        with path.open("rb") as log:
            return sum(line.startswith(beginning) for line in log)
    except FileNotFoundError:
        return 0


def plain_values(value: object) -> object:
    """The value with every number that JSON cannot hold replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    return value
