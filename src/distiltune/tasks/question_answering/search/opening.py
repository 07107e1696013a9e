"""Which file an index is in, and what is done where it is damaged or cannot be had: answers are given all the same."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from distiltune.data.cache import cache_directory
from distiltune.tasks.question_answering.search.store import DamagedIndexError, PassageStore


@dataclass(frozen=True, slots=True)
class IndexPlace:
    """Where an index is kept.

    Attributes:
        path: its file; None: in memory only.
        wait_s: how long another process may hold it before this one does without.

    """

    path: Path | None
    wait_s: float

    def open(self) -> tuple[PassageStore, str]:
        """The index that is there, or a new one, as `replace`; and what there is to say."""
        if self.path is None:
            return PassageStore(), ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return PassageStore(self.path, self.wait_s), ""
        except (DamagedIndexError, sqlite3.OperationalError, OSError) as error:
            return self.replace(error)

    def replace(self, error: Exception) -> tuple[PassageStore, str]:
        """A new one in the place of one that is damaged; where it cannot be had, one in memory for this time."""
        if isinstance(error, DamagedIndexError) and self.path is not None:
            with suppress(OSError, sqlite3.OperationalError, DamagedIndexError):
                for ending in ("", "-journal"):
                    Path(f"{self.path}{ending}").unlink(missing_ok=True)
                made = PassageStore(self.path, self.wait_s)
                return made, f"the index {self.path} is damaged ({error}) and is made anew"
        what = f"the index {self.path} cannot be used ({error})" if self.path is not None else f"{error}"
        return PassageStore(), f"{what}: the documents are indexed in memory, for this time"


def place_of(documents: Iterable[str | Path]) -> Path | None:
    """The index of these documents in the user's cache; None where there is no cache."""
    directory = cache_directory()
    if directory is None:
        return None
    key = "\n".join(sorted(str(Path(name).expanduser().absolute()) for name in documents))
    return directory / f"index-{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.sqlite"
