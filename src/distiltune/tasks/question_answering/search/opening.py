"""Which file an index is in, and what is done where it is damaged or cannot be had: answers are given all the same."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from distiltune.data.cache import UNUSED_DAYS, cache_directory
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
            return self._opened(self.path), ""
        except (DamagedIndexError, sqlite3.OperationalError, OSError) as error:
            return self.replace(error)

    def replace(self, error: Exception) -> tuple[PassageStore, str]:
        """A new one in the place of one that is damaged; where it cannot be had, one in memory for this time."""
        if isinstance(error, DamagedIndexError) and self.path is not None:
            with suppress(OSError, sqlite3.OperationalError, DamagedIndexError):
                for ending in ("", "-journal"):
                    Path(f"{self.path}{ending}").unlink(missing_ok=True)
                return self._opened(self.path), f"the index {self.path} is damaged ({error}) and is made anew"
        what = f"the index {self.path} cannot be used ({error})" if self.path is not None else f"{error}"
        return PassageStore(), f"{what}: the documents are indexed in memory, for this time"

    def _opened(self, path: Path) -> PassageStore:
        # It holds the documents' texts, which others may not be allowed to read.
        path.touch(mode=0o600, exist_ok=True)
        return PassageStore(path, self.wait_s)


def place_of(documents: Iterable[str | Path]) -> Path | None:
    """The index of these documents in the user's cache; None where there is no cache.

    Others there that nobody has asked for in `UNUSED_DAYS` are removed, as the cache's other entries are.
    """
    directory = cache_directory()
    if directory is None:
        return None
    key = "\n".join(sorted(str(Path(name).expanduser().absolute()) for name in documents))
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    place = directory / f"index-{name}.sqlite"
    with suppress(OSError):
        oldest = time.time() - UNUSED_DAYS * 86_400
        for index in directory.glob("index-*.sqlite"):
            if index == place:
                os.utime(index)
            elif index.stat().st_mtime < oldest:
                index.unlink()
    return place
