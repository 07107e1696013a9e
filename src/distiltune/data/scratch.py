"""What a process writes while it works and needs no longer than it lives: files that are mapped and have no name."""

from __future__ import annotations

import os
import tempfile
import uuid
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from distiltune.data.cache import cache_directory
from distiltune.errors import DataError

_BYTES_IN_MEMORY: Final = 1 << 26
"""An array that stays smaller is not written anywhere."""


def scratch_folder() -> Path | None:
    """Where such files lie: in the cache, which has room and is seldom in memory; None: where the system says."""
    directory = cache_directory()
    try:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            if os.access(directory, os.W_OK | os.X_OK):
                return directory
    except OSError:
        return None
    return None


class Scratch:
    """A file that is written from front to end, and then mapped and gone by its name."""

    def __init__(self) -> None:
        """Make an empty one. Raises `DataError` if there is no room."""
        try:
            # Named as the cache names what is unfinished, so that what a killed process leaves is removed in time.
            self._folder = tempfile.TemporaryDirectory(
                prefix=f".{uuid.uuid4().hex}-", dir=scratch_folder(), ignore_cleanup_errors=True
            )
            self._path = Path(self._folder.name, "scratch")
            self._file: IO[bytes] = self._path.open("wb", buffering=1 << 20)
        except OSError as error:
            raise _no_room(error) from error

    closed = False

    def write(self, data: Any) -> int:
        """Add bytes at the end. Raises `DataError` if there is no room."""
        try:
            return self._file.write(data)
        except OSError as error:
            raise _no_room(error) from error

    def flush(self) -> None:
        """Nothing: what is mapped is written out before."""

    def mapped(self, dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[Any]:
        """All that was written, read-only; nothing can be written any more."""
        try:
            self._file.close()
        except OSError as error:
            raise _no_room(error) from error
        array = np.memmap(self._path, dtype=dtype, mode="r")
        self._folder.cleanup()  # a mapped file outlives its name
        return array


def _no_room(error: OSError) -> DataError:
    return DataError(
        f"What is read cannot be kept on disk: {error.strerror or error}.",
        where=str(scratch_folder() or tempfile.gettempdir()),
        fix="make room there, or name another place in DISTILTUNE_CACHE",
    )


class LongArray:
    """A flat array that grows at its end: in memory while it is small, then in a file that is mapped."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        """Hold nothing yet."""
        self._dtype = np.dtype(dtype)
        self._newest: list[npt.NDArray[Any]] = []
        self._n_bytes = 0
        self._file: Scratch | None = None

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add these."""
        self._newest.append(values.astype(self._dtype, copy=False))
        self._n_bytes += self._newest[-1].nbytes
        if self._n_bytes >= _BYTES_IN_MEMORY:
            self._write()

    def done(self) -> npt.NDArray[Any]:
        """All of it, ``(n,)``; nothing can be added any more."""
        if self._file is None:
            return np.concatenate(self._newest) if self._newest else np.zeros(0, self._dtype)
        self._write()
        return self._file.mapped(self._dtype)

    def _write(self) -> None:
        self._file = self._file or Scratch()
        for values in self._newest:
            self._file.write(np.ascontiguousarray(values).data)
        self._newest.clear()
        self._n_bytes = 0
