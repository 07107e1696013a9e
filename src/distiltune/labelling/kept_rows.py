"""The file that labels are kept in: rows that `train` reads as they are, one item's together, whole or not at all.

A new item's rows are appended and brought to the disk before it is said that they are kept. A change of what stands
there already, such as an undo, writes the file anew beside and renames it: so there are no rows in it that a reader
would have to know as withdrawn. A kill in the middle loses the rows that were being written and no others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from distiltune.errors import DataError
from distiltune.labelling.offered import Row
from distiltune.serving.corrections import NotKeptError, append_lines
from distiltune.system.durable import write_whole

_OTHERS: Final = "row "
"""What begins the keys of rows that are of no item, by their number: they stay as they are."""

Stamp = tuple[int, int]


@dataclass(slots=True, eq=False)
class KeptRows:
    """The rows of one file by the keys of their items. Not for several threads at once.

    Attributes:
        path: of the file.
        n_cut: bytes of a last line that a kill left unfinished, and that were cut off.

    """

    path: Path
    n_cut: int = 0
    _lines: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    _stamp: Stamp | None = None

    def load(self, key_of: Callable[[Row], str | None]) -> dict[str, list[Row]]:
        """Read the file, if it is there: key → rows; those of no key are kept as they are.

        Raises:
            DataError: if a line is no JSON object, naming it, or the file cannot be read.

        """
        found: dict[str, list[Row]] = {}
        try:
            content = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise DataError(
                f"The file cannot be read: {error.strerror}.", where=str(self.path), fix="mend it"
            ) from error
        *lines, rest = content.split(b"\n")
        if rest and _as_row(rest) is not None:
            lines.append(rest)  # whole, by another program's hand
            rest = b""
        self.n_cut = len(rest)
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row = _as_row(line)
            if row is None:
                raise DataError(
                    "The line is no JSON object.",
                    where=f"{self.path}:{number}",
                    fix="mend it, or name another --output",
                )
            key = key_of(row)
            if key is None:
                self._lines[f"{_OTHERS}{number}"] = (line,)
                continue
            found.setdefault(key, []).append(row)
            self._lines[key] = (*self._lines.get(key, ()), line)
        self._stamp = _stamp(self.path)
        if rest or (content and not content.endswith(b"\n")):
            self._write_all()
        return found

    @property
    def n_others(self) -> int:
        """How many rows are of none of the items."""
        return sum(key.startswith(_OTHERS) for key in self._lines)

    def put(self, key: str, rows: Sequence[Row]) -> None:
        """Keep these rows as the item's, in place of those that it had; none: it has none any more.

        Raises:
            NotKeptError: if that cannot be done; the file then is as it was.

        """
        lines = tuple(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") for row in rows)
        before = self._lines.get(key, ())
        if lines == before:
            return
        self._check_untouched()
        if before:
            kept = dict(self._lines)
            self._lines[key] = lines
            if not lines:
                del self._lines[key]
            try:
                self._write_all()
            except NotKeptError:
                self._lines = kept
                raise
            return
        try:
            append_lines(self.path, b"".join(line + b"\n" for line in lines))
        except OSError as error:
            raise _not_kept(self.path, error) from error
        self._lines[key] = lines
        self._stamp = _stamp(self.path)

    def check(self) -> None:
        """Find out now, not at the first label, whether the file can be written; it is made if it is not there.

        Raises:
            NotKeptError: if not.

        """
        try:
            append_lines(self.path, b"")
        except OSError as error:
            raise _not_kept(self.path, error) from error
        self._stamp = _stamp(self.path)

    def _check_untouched(self) -> None:
        if _stamp(self.path) != self._stamp:
            raise NotKeptError(
                "Another program has changed the file meanwhile, so nothing is written into it.",
                where=str(self.path),
                fix="start `distiltune label` again, which reads it anew; what is open on the page is lost",
            )

    def _write_all(self) -> None:
        try:
            write_whole(
                self.path, b"".join(line + b"\n" for lines in self._lines.values() for line in lines), named=True
            )
        except OSError as error:
            raise _not_kept(self.path, error) from error
        self._stamp = _stamp(self.path)


def _as_row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _stamp(path: Path) -> Stamp | None:
    """What changes when somebody else writes the file."""
    try:
        found = os.stat(path)  # noqa: PTH116 (one call, as it stands)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _not_kept(path: Path, error: OSError) -> NotKeptError:
    return NotKeptError(
        f"The label could not be kept: {error.strerror or type(error).__name__}.",
        where=str(path),
        fix="make room or rights for the file, then save it again",
    )
