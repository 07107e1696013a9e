"""What people set right on the page, appended to a file of JSON lines that `train` reads. Nothing else is stored."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from distiltune.errors import DistiltuneError

SUFFIX: Final = ".jsonl"
"""What the file's name must end with, so that `train` knows its form."""

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


class NotKeptError(DistiltuneError):
    """A correction could not be written."""


class ConflictError(DistiltuneError):
    """What was to be changed is not any more what whoever changes it has seen."""


class SavedOut(BaseModel):
    """How many rows were appended."""

    saved: int


@dataclass(frozen=True, slots=True)
class Correctable:
    """How a task's answers are set right.

    Attributes:
        form: of a request.
        rows: what such a request is as rows that `train` reads; raises `DataError` if it cannot be.
        example: a request, for the description of the API.

    """

    form: type[BaseModel]
    rows: Callable[[Any], Sequence[Mapping[str, Any]]]
    example: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CorrectionsFile:
    """The file. Several threads and processes may append to it; a reader never sees a part of a correction."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def check(self) -> None:
        """Find out now, not at the first correction, whether it can be written; it is made if it is not there.

        Raises:
            NotKeptError: if not, or if `train` would not know its form by its name.

        """
        if self.path.suffix.lower() != SUFFIX:
            raise NotKeptError(
                "Corrections are JSON lines, which `train` knows by the name.",
                where=str(self.path),
                fix=f"give a name that ends with {SUFFIX}",
            )
        self.append(())

    def append(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Append rows, all or none, bring them to the disk, and say how many.

        Raises:
            NotKeptError: if that cannot be done; the file then is as it was.

        """
        lines = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
        with self._lock:
            try:
                append_lines(self.path, lines)
            except OSError as error:
                raise NotKeptError(
                    f"The correction could not be kept: {error.strerror or type(error).__name__}.",
                    fix="have whoever runs this server make room or rights for the file of --corrections",
                ) from error
        return len(rows)


def append_lines(path: Path, lines: bytes) -> None:
    """Append lines, all or none, and bring them to the disk; the file is made if it is not there.

    Raises:
        OSError: if that cannot be done; the file then is as it was.

    """
    descriptor = os.open(path, _FLAGS, 0o666)
    try:
        _append(descriptor, lines)
    finally:
        os.close(descriptor)


def _append(descriptor: int, lines: bytes) -> None:
    """Write at the end, on a line of its own; what was written of it goes again if not all can be."""
    _lock_file(descriptor)  # given back when it is closed
    size = os.fstat(descriptor).st_size
    if size and lines:
        os.lseek(descriptor, -1, os.SEEK_END)
        lines = lines if os.read(descriptor, 1) == b"\n" else b"\n" + lines
    try:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _lock_file(descriptor: int) -> None:
    """Keep other processes out, where the system and the file system can."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except (ImportError, OSError):
        return
