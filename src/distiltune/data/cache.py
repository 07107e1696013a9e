"""What was made before and need not be made again: arrays on disk, under a key of all that they depend on.

There is one rule for when an entry is stale: its key holds what it is made from, in plain values, and a fingerprint of
the code that makes it (`distiltune.system.code_fingerprint`). Whatever changes, the entry of before is not found; there
are no version numbers that somebody could forget to raise. Where the code cannot be known, nothing is kept.

An entry that no one has asked for in `UNUSED_DAYS` is removed when the next one is written. A cache that cannot be read
or written costs time, nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import math
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from distiltune.errors import DataError
from distiltune.system.code_fingerprint import code_fingerprint, module_of
from distiltune.system.durable import clear_abandoned, writing_directory

Arrays = dict[str, npt.NDArray[Any]]
FloatType = type[np.float16] | type[np.float32]
FloatArray = npt.NDArray[np.float16] | npt.NDArray[np.float32]

OnProblem = Callable[[str], None]
"""Is told in one sentence that an entry is damaged or cannot be written."""

UNUSED_DAYS: Final = 30
"""Days after which an entry that was not used is removed."""

_UNSOUND = (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, RecursionError)
"""What reading an entry may raise, whatever lies there."""

_MANIFEST = "manifest.json"
_MAPPED = "array.npy"
_BLOCK_BYTES = 1 << 16
_OURS = re.compile(r"[0-9a-f]{32}|\.[0-9a-f]{32}[-.].*")  # an entry, or what a killed process left of one


def ignore(problem: str) -> None:
    """A cache that cannot be used costs time, nothing else."""


def cache_directory() -> Path | None:
    """Where the cache lives: ``$DISTILTUNE_CACHE``, else ``distiltune`` in the user's cache directory; else nowhere."""
    try:
        if own := os.environ.get("DISTILTUNE_CACHE"):
            return Path(own).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "distiltune"
    except RuntimeError:  # a user without a home
        return None


def _why_distrusted(directory: Path) -> str | None:
    """Who else may write what we would read, in words; None if nobody but the user and the system's administrator."""
    try:
        found = directory.stat()
    except OSError:  # there is none yet, or it cannot be used anyway
        return None
    if os.name != "posix":
        return None
    if found.st_uid not in (os.geteuid(), 0):
        return "it belongs to another user; name one of your own in DISTILTUNE_CACHE"
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid != os.getegid()
    if by_group or found.st_mode & stat.S_IWOTH:
        return f"others may write there; if what is in it is yours: chmod go-w {directory}"
    return None


def fingerprint_of(texts: Iterable[str]) -> str:
    """Hash of these texts in their order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\x1e")
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """What is in the cache under one key, or will be.

    Attributes:
        path: its directory; None where nothing can be kept.
        distrusted: why the cache is not used although there is one, in a sentence; empty if nothing is against it.

    """

    path: Path | None
    distrusted: str = ""

    def find(self, on_problem: OnProblem = ignore) -> Arrays | None:
        """The arrays, memory-mapped; None, and the entry is gone, if they are not there or not sound."""
        if self.distrusted:
            on_problem(self.distrusted)
        if self.path is None:
            return None
        try:
            _mark_used(self.path)
            return _read(self.path)
        except _UNSOUND as error:
            if os.path.lexists(self.path):  # else there is none, or the whole cache cannot be read
                on_problem(f"the cached features {self.path} are damaged ({error}) and are made anew")
                self.remove()
            return None

    def keep(self, arrays: Arrays, on_problem: OnProblem = ignore) -> None:
        """Write the arrays, where there are none yet."""
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
            _clear_unused(self.path.parent)
            with writing_directory(self.path, replacing=False, synced=False) as beside:
                _write(beside, arrays)
        except OSError as error:
            on_problem(
                f"the features cannot be cached in {self.path.parent} ({error.strerror or error}); "
                "the next run makes them again"
            )

    def remove(self) -> None:
        """Remove what there is, as far as that can be done."""
        if self.path is None:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def entry_of(parts: Mapping[str, object], code: Iterable[str]) -> Entry:
    """The entry of what this code makes of these parts.

    Args:
        parts: all that the result depends on beside the code, in plain values: equal parts, equal key.
        code: the modules that make it, by name; what they import counts too.

    """
    directory, fingerprint = cache_directory(), code_fingerprint(code)
    if directory is None or not fingerprint:
        return Entry(None)
    if (why := _why_distrusted(directory)) is not None:
        return Entry(None, f"the cache {directory} is not used: {why}")
    text = json.dumps({"code": fingerprint, "parts": parts}, sort_keys=True, ensure_ascii=False)
    return Entry(directory / hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32])


def load_or_make(
    parts: Mapping[str, object],
    make: Callable[[], Arrays],
    *,
    code: Iterable[str] = (),
    on_problem: OnProblem = ignore,
) -> tuple[Arrays, bool]:
    """The arrays that ``make`` makes of these parts: memory-mapped if they were made before, else made and kept.

    Args:
        parts: all that the arrays depend on beside the code, in plain values.
        make: makes the arrays; the module that it is written in, and what that imports, count as the code.
        code: further modules that decide what it makes, such as that of an object that it is handed.
        on_problem: told in one sentence when an entry is damaged or cannot be written.

    Returns:
        The arrays, and whether they came from the cache.

    """
    entry = entry_of(parts, (module_of(make), *code))
    found = entry.find(on_problem)
    if found is not None:
        return found, True
    arrays = make()
    entry.keep(arrays, on_problem)
    # What was too large for memory is on disk twice now; one goes with the last who looks at it.
    if any(isinstance(array, np.memmap) for array in arrays.values()) and (kept := entry.find()) is not None:
        return kept, False
    return arrays, False


@dataclass(frozen=True, slots=True)
class ArrayForm:
    """Shape and type of a large array."""

    shape: tuple[int, ...]
    dtype: FloatType

    @property
    def n_bytes(self) -> int:
        """How large it is."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def map_or_fill(
    parts: Mapping[str, object],
    form: ArrayForm,
    fill: Callable[[FloatArray], None],
    *,
    code: Iterable[str] = (),
    on_problem: OnProblem = ignore,
) -> tuple[FloatArray, bool]:
    """One large array, memory-mapped; ``fill`` writes it where it was not made before.

    For arrays larger than memory: it is filled on disk, beside, and renamed when whole; where the cache cannot be
    written, among the temporary files. On reading, its size and some blocks of it are checked, since a checksum of
    everything would take longer than a start may.

    Args:
        parts: all that the array depends on beside the code, in plain values.
        form: its shape and type.
        fill: is given the array, all zeros, to write into; code as in `load_or_make`.
        code: further modules that decide what it writes.
        on_problem: told in one sentence when it cannot be kept.

    Returns:
        The array, read-only, and whether it came from the cache.

    Raises:
        DataError: if there is no room for the array anywhere.

    """
    entry = entry_of(parts, (module_of(fill), *code))
    if entry.distrusted:
        on_problem(entry.distrusted)
    if entry.path is not None:
        found = _find_mapped(entry.path, form)
        if found is not None:
            return found, True
        entry.remove()
        try:
            entry.path.parent.mkdir(0o700, parents=True, exist_ok=True)
            _clear_unused(entry.path.parent)
            with writing_directory(entry.path, replacing=False, synced=False) as beside:
                _fill(beside, form, fill)
            return np.load(entry.path / _MAPPED, mmap_mode="r", allow_pickle=False), False
        except OSError as error:
            on_problem(f"nothing can be cached in {entry.path.parent} ({error.strerror or error})")
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # a mapped file outlives its name
            _fill(Path(folder), form, fill)
            return np.load(Path(folder, _MAPPED), mmap_mode="r", allow_pickle=False), False
    except OSError as error:
        raise DataError(
            f"The teacher's outputs cannot be kept on disk: {error.strerror or error}.",
            where=str(cache_directory() or tempfile.gettempdir()),
            fix=f"make {form.n_bytes / 1024**3:.1f} GiB of room there, or name another place in DISTILTUNE_CACHE",
        ) from error


def _fill(folder: Path, form: ArrayForm, fill: Callable[[FloatArray], None]) -> None:
    """Write the array and its manifest into a folder that is there."""
    if shutil.disk_usage(folder).free < form.n_bytes:  # writing into a map of a full disk would end the process
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    new = np.lib.format.open_memmap(folder / _MAPPED, mode="w+", dtype=form.dtype, shape=form.shape)
    fill(new)
    new.flush()
    del new
    (folder / _MANIFEST).write_text(json.dumps({"sample": _sample(folder / _MAPPED)}), encoding="utf-8")


def _find_mapped(entry: Path, form: ArrayForm) -> FloatArray | None:
    with contextlib.suppress(*_UNSOUND):
        _mark_used(entry)
        stored = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))
        array: FloatArray = np.load(entry / _MAPPED, mmap_mode="r", allow_pickle=False)
        same_form = array.shape == form.shape and array.dtype == np.dtype(form.dtype)
        if same_form and _sample(entry / _MAPPED) == stored["sample"]:
            return array
    return None


def _sample(path: Path) -> str:
    """Hash of a file's size and of 64 blocks spread over it."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as opened:
        for i in range(64):
            opened.seek(max(0, size - _BLOCK_BYTES) * i // 63)
            digest.update(opened.read(_BLOCK_BYTES))
    return digest.hexdigest()


def _read(entry: Path) -> Arrays:
    """Map an entry's arrays after checking each file against the manifest's checksum."""
    manifest = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))
    arrays: Arrays = {}
    if not manifest["arrays"]:
        raise ValueError("the manifest names no arrays")
    for name, expected in manifest["arrays"].items():
        if Path(name).name != name:
            raise ValueError(f"{name!r} is no plain name")
        path = entry / f"{name}.npy"
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest != expected:
            raise ValueError(f"{path.name} has another checksum than was written")
        arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
    return arrays


def _write(folder: Path, arrays: Arrays) -> None:
    checksums = {}
    for name, array in arrays.items():
        path = folder / f"{name}.npy"
        np.save(path, array, allow_pickle=False)
        with path.open("rb") as opened:
            checksums[name] = hashlib.file_digest(opened, "sha256").hexdigest()
    (folder / _MANIFEST).write_text(json.dumps({"arrays": checksums}, indent=1), encoding="utf-8")


def _mark_used(entry: Path) -> None:
    """Note that it was asked for, for `_clear_unused`; a cache that may only be read is never cleared by us."""
    with contextlib.suppress(OSError):
        os.utime(entry / _MANIFEST)


@functools.cache  # once a process
def _clear_unused(directory: Path) -> None:
    """Remove what nobody has used for long, entries of older versions among it, and what killed processes left."""
    clear_abandoned(directory, lambda name: _OURS.fullmatch(name) is not None)
    oldest = time.time() - UNUSED_DAYS * 86_400
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            if _OURS.fullmatch(path.name) and path.is_dir() and _last_used(path) < oldest:
                shutil.rmtree(path, ignore_errors=True)


def _last_used(entry: Path) -> float:
    return max(path.stat().st_mtime for path in (entry, *entry.iterdir()))
