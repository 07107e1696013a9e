"""Large data sets that were read before: kept in the cache as JSON or Arrow, so that they need not be read again.

Reading looks at every row and places every answer: 2 to 3 seconds of SQuAD's 98,169 questions. What came of it is kept
under the contents of the files (`distiltune.data.cache`). That, and NumPy with it, is imported where something is kept
or recalled: `--help` does not wait for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.data.stored import Form, OnDisk, from_files
from distiltune.system.code_fingerprint import module_of

if TYPE_CHECKING:
    from distiltune.data.cache import Arrays

E = TypeVar("E")

ROWS_WORTH_KEEPING = 10_000
"""Fewer are read again in less time than anybody would notice."""


@dataclass(frozen=True, slots=True)
class Keeping(Generic[E]):
    """How a task's examples are kept.

    Attributes:
        depends_on: all that reading depends on beside the files, in plain values.
        pack: examples → what JSON can hold; None: they are kept where they are on disk already, as Arrow, or not at
            all.
        unpack: the way back; raises `ValueError`, `TypeError`, `KeyError` or `IndexError` for anything else.
        form: of examples on disk; None where all are in memory.

    """

    depends_on: Mapping[str, object]
    pack: Callable[[Sequence[E]], object] | None = None
    unpack: Callable[[Any], Sequence[E]] | None = None
    form: Form[E] | None = None

    @property
    def code(self) -> str:
        """The module that says how they are kept."""
        made_by = self.pack or (self.form.pack if self.form is not None else None)
        return module_of(made_by) if made_by is not None else __name__


@dataclass(frozen=True, slots=True)
class Kept(Generic[E]):
    """What came of reading: the examples, all that was noticed, and the columns of the first flat row."""

    examples: Sequence[E]
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
        self._entry = entry_of(parts, (*code, keeping.code))
        self._keeping = keeping

    def recall(self) -> Kept[E] | None:
        """What is kept; None if nothing is, or nothing sound: it costs the time to read, nothing else."""
        arrays = self._entry.find()
        if arrays is None:
            return None
        try:
            kept = json.loads(arrays["read"].tobytes())
            findings = RowFindings(kept["n_rows"], [RowFinding(*each) for each in kept["findings"]])
            examples = self._examples(arrays, kept)
            return Kept(examples, findings, tuple(kept["columns_seen"]))
        except (ValueError, TypeError, KeyError, IndexError):
            self._entry.remove()
            return None

    def _examples(self, arrays: Arrays, kept: Mapping[str, Any]) -> Sequence[E]:
        if "examples" in arrays and self._keeping.form is not None:
            return from_files(arrays, self._keeping.form)
        if self._keeping.unpack is None:
            raise ValueError("the examples are kept in another form")
        return tuple(self._keeping.unpack(kept["examples"]))

    def is_worth_keeping(self, read: Kept[E]) -> bool:
        """Whether reading again takes longer than anybody would wait for."""
        return isinstance(read.examples, OnDisk) or (
            self._keeping.pack is not None and read.findings.n_rows >= ROWS_WORTH_KEEPING
        )

    def keep(self, read: Kept[E]) -> None:
        """Keep what came of reading."""
        import numpy as np

        is_stored = isinstance(read.examples, OnDisk)
        kept = {
            "examples": None if is_stored or self._keeping.pack is None else self._keeping.pack(read.examples),
            "n_rows": read.findings.n_rows,
            "findings": [astuple(each) for each in read.findings.items],
            "columns_seen": read.columns_seen,
        }
        text = json.dumps(kept, separators=(",", ":")).encode()
        arrays: Arrays = {"read": np.frombuffer(text, dtype=np.uint8)}
        if isinstance(read.examples, OnDisk):
            arrays |= read.examples.files
        self._entry.keep(arrays)
