"""Large data sets that were read before: kept in the cache as one JSON text, so that they need not be read again.

Reading looks at every row and places every answer: 2 to 3 seconds of SQuAD's 98,169 questions. What came of it is kept
under the contents of the files (`distiltune.data.cache`). That, and NumPy with it, is imported where something is kept
or recalled: `--help` does not wait for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.system.code_fingerprint import module_of

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

    """

    pack: Callable[[Sequence[E]], object]
    unpack: Callable[[Any], list[E]]
    depends_on: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Kept(Generic[E]):
    """What came of reading: the examples, all that was noticed, and the columns of the first flat row."""

    examples: list[E]
    findings: RowFindings
    columns_seen: tuple[str, ...]


class KeptReading(Generic[E]):
    """What reading some files comes to, in the cache, if it is there."""

    def __init__(
        self, files: Sequence[tuple[Path, str]], ignored: Sequence[Path], keeping: Keeping[E], code: Sequence[str]
    ) -> None:
        """Find its place.

        Args:
            files: each with the SHA-256 of its contents.
            ignored: the files beside them that are no data.
            keeping: how examples are kept.
            code: the modules that read them.

        """
        from distiltune.data.cache import entry_of

        parts = {
            "files": [[str(path), digest] for path, digest in files],
            "ignored": list(map(str, ignored)),
            "depends on": dict(keeping.depends_on),
        }
        self._entry = entry_of(parts, (*code, module_of(keeping.pack)))
        self._keeping = keeping

    def recall(self) -> Kept[E] | None:
        """What is kept; None if nothing is, or nothing sound: it costs the time to read, nothing else."""
        arrays = self._entry.find()
        if arrays is None:
            return None
        try:
            kept = json.loads(arrays["read"].tobytes())
            findings = RowFindings(kept["n_rows"], [RowFinding(*each) for each in kept["findings"]])
            return Kept(self._keeping.unpack(kept["examples"]), findings, tuple(kept["columns_seen"]))
        except (ValueError, TypeError, KeyError, IndexError):
            self._entry.remove()
            return None

    def keep(self, read: Kept[E]) -> None:
        """Keep what came of reading, if it is worth it."""
        if read.findings.n_rows < ROWS_WORTH_KEEPING:
            return
        import numpy as np

        kept = {
            "examples": self._keeping.pack(read.examples),
            "n_rows": read.findings.n_rows,
            "findings": [astuple(each) for each in read.findings.items],
            "columns_seen": read.columns_seen,
        }
        text = json.dumps(kept, separators=(",", ":")).encode()
        self._entry.keep({"read": np.frombuffer(text, dtype=np.uint8)})
