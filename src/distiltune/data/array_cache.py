"""Arrays on disk under a key of what made them, memory-mapped on the next run; a damaged entry is made anew."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distiltune.errors import DataError

Arrays = dict[str, npt.NDArray[Any]]
FloatType = type[np.float16] | type[np.float32]
FloatArray = npt.NDArray[np.float16] | npt.NDArray[np.float32]

FORMAT = 2
"""Raise this whenever the meaning of any cached array changes: entries of another format are made anew."""

_MANIFEST = "manifest.json"
_BLOCK_BYTES = 1 << 16


def cache_directory() -> Path:
    """Where cached arrays live: ``$DISTILTUNE_CACHE``, else ``distiltune`` in the user's cache directory."""
    if own := os.environ.get("DISTILTUNE_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "distiltune"


def cache_key(parts: Mapping[str, object]) -> str:
    """A name for what these parts (plain values) make: equal parts, equal key."""
    text = json.dumps({"format": FORMAT, **parts}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def fingerprint_of(texts: Iterable[str]) -> str:
    """Hash of these texts in their order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\x1e")
    return digest.hexdigest()


def load_or_make(
    directory: Path, key: str, make: Callable[[], Arrays], on_problem: Callable[[str], None]
) -> tuple[Arrays, bool]:
    """The arrays under ``key``, memory-mapped if they are there and sound, else made and kept.

    Args:
        directory: the cache; created if need be. One that cannot be written costs speed, nothing else.
        key: from :func:`cache_key`.
        make: makes the arrays.
        on_problem: told in one sentence when an entry is damaged or cannot be written.

    Returns:
        The arrays, and whether they came from the cache.

    """
    found = find_arrays(directory, key, on_problem)
    if found is not None:
        return found, True
    arrays = make()
    keep_arrays(directory, key, arrays, on_problem)
    return arrays, False


def find_arrays(directory: Path, key: str, on_problem: Callable[[str], None]) -> Arrays | None:
    """The arrays under ``key``, memory-mapped; None, and the entry is gone, if they are not there or not sound."""
    entry = directory / key
    if entry.exists():
        try:
            return _read(entry)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            on_problem(f"the cached features {entry} are damaged ({error}) and are made anew")
            _remove(entry)
    return None


def keep_arrays(directory: Path, key: str, arrays: Arrays, on_problem: Callable[[str], None]) -> None:
    """Write the arrays under ``key``, where there are none yet."""
    try:
        _write(directory / key, arrays)
    except OSError as error:
        on_problem(f"the features cannot be cached in {directory} ({error.strerror}); the next run makes them again")


def remove_entry(directory: Path, key: str) -> None:
    """Remove what is under ``key``, as far as that can be done."""
    _remove(directory / key)


def map_or_fill(
    directory: Path,
    key: str,
    shape: tuple[int, ...],
    dtype: FloatType,
    fill: Callable[[FloatArray], None],
) -> tuple[FloatArray, bool]:
    """One large array under ``key``, memory-mapped; ``fill`` writes it where it is not there.

    For arrays larger than memory: it is filled on disk, beside, and renamed when whole. On reading, its size and some
    blocks of it are checked, since a checksum of everything would take longer than a start may.

    Args:
        directory: the cache; created if need be.
        key: from :func:`cache_key`.
        shape: of the array.
        dtype: of its numbers.
        fill: is given the array, all zeros, to write into.

    Returns:
        The array, read-only, and whether it came from the cache.

    Raises:
        DataError: if the array cannot be written.

    """
    entry = directory / key
    path = entry / "targets.npy"
    if entry.exists():
        with contextlib.suppress(OSError, ValueError, KeyError):
            stored = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if array.shape == shape and array.dtype == dtype and _sample(path) == stored["sample"]:
                return array, True
        _remove(entry)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=directory))
        try:
            new = np.lib.format.open_memmap(beside / path.name, mode="w+", dtype=dtype, shape=shape)
            fill(new)
            new.flush()
            del new
            manifest = {"sample": _sample(beside / path.name)}
            (beside / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
            with contextlib.suppress(OSError):  # another process may have been quicker; its entry is as good
                beside.rename(entry)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return np.load(path, mmap_mode="r", allow_pickle=False), False
    except OSError as error:
        size = math.prod(shape) * np.dtype(dtype).itemsize / 1024**3
        raise DataError(
            f"The teacher's outputs cannot be kept on disk: {error.strerror or error}.",
            where=str(directory),
            fix=f"make {size:.1f} GiB of room there, or name another place in DISTILTUNE_CACHE",
        ) from error


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


def _remove(entry: Path) -> None:
    """Remove what is damaged, as far as that can be done."""
    if entry.is_dir():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            entry.unlink()


def _write(entry: Path, arrays: Arrays) -> None:
    """Write beside and rename, so that an entry is whole or absent."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    try:
        checksums = {}
        for name, array in arrays.items():
            path = beside / f"{name}.npy"
            np.save(path, array, allow_pickle=False)
            with path.open("rb") as opened:
                checksums[name] = hashlib.file_digest(opened, "sha256").hexdigest()
        (beside / _MANIFEST).write_text(json.dumps({"arrays": checksums}, indent=1), encoding="utf-8")
        try:
            beside.rename(entry)
        except OSError:
            # Another process may have been quicker; its entry is as good.
            if not (entry / _MANIFEST).is_file():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
