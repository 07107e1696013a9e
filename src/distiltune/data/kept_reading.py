"""Large data sets that were read before: kept in the cache as one JSON text, so that they need not be read again.

Reading looks at every row and places every answer: 2 to 3 seconds of SQuAD's 98,169 questions. What came of it is kept
under the contents of the files and under the code that read them, so that neither can change unnoticed. NumPy is
imported where something is kept or recalled: `--help` does not wait for it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from distiltune.data.findings import Finding, Findings

E = TypeVar("E")

ROWS_WORTH_KEEPING = 10_000
"""Fewer are read again in less time than anybody would notice."""


@dataclass(frozen=True, slots=True)
class Keeping(Generic[E]):
    """How a task's examples are kept.

    Attributes:
        pack: examples → what JSON can hold.
        unpack: the way back; raises `ValueError`, `TypeError`, `KeyError` or `IndexError` for anything else.
        depends_on: all that reading depends on beside the files, in plain values.
        code: the folder of the task's modules.

    """

    pack: Callable[[Sequence[E]], object]
    unpack: Callable[[Any], list[E]]
    depends_on: Mapping[str, object]
    code: Path


@dataclass(frozen=True, slots=True)
class Kept(Generic[E]):
    """What came of reading: the examples, all that was noticed, and the columns of the first flat row."""

    examples: list[E]
    findings: Findings
    columns_seen: tuple[str, ...]


def key_of(files: Sequence[tuple[Path, str]], ignored: Sequence[Path], keeping: Keeping[E]) -> str:
    """The name of what reading these files, each with the SHA-256 of its contents, comes to."""
    from distiltune.data.array_cache import cache_key

    return cache_key(
        {
            "reading": _code_fingerprint(Path(__file__).parent, keeping.code),
            "files": [[str(path), digest] for path, digest in files],
            "ignored": list(map(str, ignored)),
            **keeping.depends_on,
        }
    )


def recall(key: str, keeping: Keeping[E]) -> Kept[E] | None:
    """What is kept under ``key``; None if nothing is, or nothing sound: it costs the time to read, nothing else."""
    from distiltune.data.array_cache import cache_directory, find_arrays, remove_entry

    directory = cache_directory()
    arrays = find_arrays(directory, key, lambda problem: None)
    if arrays is None:
        return None
    try:
        kept = json.loads(arrays["read"].tobytes())
        findings = Findings(kept["n_rows"], [Finding(*each) for each in kept["findings"]])
        return Kept(keeping.unpack(kept["examples"]), findings, tuple(kept["columns_seen"]))
    except (ValueError, TypeError, KeyError, IndexError):
        remove_entry(directory, key)
        return None


def keep(key: str, read: Kept[E], keeping: Keeping[E]) -> None:
    """Keep what came of reading, if it is worth it."""
    if read.findings.n_rows < ROWS_WORTH_KEEPING:
        return
    import numpy as np

    from distiltune.data.array_cache import cache_directory, keep_arrays

    kept = {
        "examples": keeping.pack(read.examples),
        "n_rows": read.findings.n_rows,
        "findings": [astuple(each) for each in read.findings.items],
        "columns_seen": read.columns_seen,
    }
    text = np.frombuffer(json.dumps(kept, separators=(",", ":")).encode(), dtype=np.uint8)
    keep_arrays(cache_directory(), key, {"read": text}, lambda problem: None)


@functools.cache
def _code_fingerprint(*folders: Path) -> str:
    """Hash of the modules in these folders."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
