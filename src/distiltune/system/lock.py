"""One run directory, one run: a lock that the system gives back when its holder dies, however that happens."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from distiltune.errors import TrainingError
from distiltune.system.durable import open_own

NAME = ".lock"


class RunLock:
    """An advisory lock (flock) on a file in the run directory; the file says for people who holds it.

    A file left by a killed run is no lock: the system has released it. Where file systems or systems cannot lock,
    nothing is locked.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; without effect if this object holds it.

        Raises:
            TrainingError: if another process holds it, or the directory cannot be written.

        """
        if self._descriptor is not None:
            return
        try:
            import fcntl
        except ImportError:  # not a POSIX system
            return
        while True:
            try:
                descriptor = open_own(self._path, os.O_RDWR)
            except OSError as error:
                raise TrainingError(
                    f"The run directory cannot be written: {error.strerror}.",
                    where=str(self._path),
                    fix="give the right to write there, or choose another directory",
                ) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = os.pread(descriptor, 500, 0).decode("utf-8", "replace").strip()
                os.close(descriptor)
                if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                    raise _held(self._path.parent, holder) from error
                return  # this file system knows no locks
            if _is_same_file(descriptor, self._path):
                break
            os.close(descriptor)  # its last holder removed it between our two calls
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, (json.dumps(_who()) + "\n").encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back and remove its file."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            if _is_same_file(self._descriptor, self._path):
                self._path.unlink()
        os.close(self._descriptor)
        self._descriptor = None


def _who() -> dict[str, object]:
    return {
        "process": os.getpid(),
        "machine": platform.node(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _held(directory: Path, holder: str) -> TrainingError:
    try:
        who = json.loads(holder)
        by = f" (process {who['process']} on {who['machine']}, since {who['since']})"
    except (ValueError, KeyError, TypeError):
        by = ""
    return TrainingError(
        f"Another run is writing into this directory{by}.",
        where=str(directory),
        fix="wait for it, stop it, or choose another --output",
    )


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        ours, theirs = os.fstat(descriptor), path.stat()
    except OSError:
        return False
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)
