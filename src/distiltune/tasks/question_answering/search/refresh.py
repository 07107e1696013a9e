"""An index brought up to date with its files: what is new or changed is read, what is gone goes, nothing else."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from distiltune.data.values import is_encodable
from distiltune.progress import counted, tell
from distiltune.tasks.document_files import ReadDocument, read_documents, said_of
from distiltune.tasks.question_answering.search.store import FileState, PassageStore

_FILES_AT_ONCE: Final = 64
_BYTES_AT_ONCE: Final = 64 * 1024**2
_TICK_NS: Final = 2_000_000_000
"""Within so much of being looked at, a file may change and keep its time, on file systems that count whole seconds."""

_ATTEMPTS: Final = 2
_UNKNOWN: Final = ""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of an index.

    Attributes:
        n_new: documents that were not in it.
        n_changed: documents whose files hold something else than before.
        n_gone: documents that are no longer there, or can no longer be read.
        n_kept: all others, which were not read again.
        notes: what a person should know of single files.

    """

    n_new: int
    n_changed: int
    n_gone: int
    n_kept: int
    notes: tuple[str, ...] = ()

    @property
    def in_words(self) -> str:
        """In one line; empty if nothing was done."""
        if not self.n_new + self.n_changed + self.n_gone:
            return ""
        return (
            f"index: {counted(self.n_new, 'document')} new, {self.n_changed:,} changed, {self.n_gone:,} gone, "
            f"{self.n_kept:,} as before"
        )


def refresh(store: PassageStore, names: Mapping[str, str], encoding: str = "") -> Refreshed:
    """Bring an index up to date.

    A file of the same size and time is the same; if only its time is another, its hash says whether it is.

    Args:
        store: the index.
        names: absolute path → what the document is called in messages, for all documents that it is to have.
        encoding: of plain text that is not UTF-8; what was read in another is read anew.

    Raises:
        DamagedIndexError, sqlite3.OperationalError: as `PassageStore`.

    """
    known = store.states()
    if store.about("encoding") != encoding:
        known = {path: FileState(0, 0, 0, _UNKNOWN) for path in known}
        store.note("encoding", encoding)
    stale = [path for path in names if not _is_same(store, path, known.get(path))]
    new, changed, unreadable, notes = 0, 0, set[str](), list[str]()
    for some in _chunks(stale):
        read, said = _read(some, names, encoding)
        notes += said
        store.put((path, state, text) for path, (state, text) in read.items())
        new += sum(path not in known for path in read)
        changed += sum(path in known for path in read)
        unreadable |= {path for path in some if path not in read}
        tell("indexing", "files", new + changed + len(unreadable), len(stale))
    gone = [path for path in known if path not in names or path in unreadable]
    store.drop(gone)
    return Refreshed(new, changed, len(gone), len(known) - changed - len(gone), tuple(notes))


def _is_same(store: PassageStore, path: str, known: FileState | None) -> bool:
    """Whether a file is as it was read; the index notes its times if they alone are others."""
    now = _state(path)
    if known is None or now is None or now.size != known.size or not known.sha256:
        return False
    if now.changed == known.changed and known.changed < known.looked - _TICK_NS:
        return True
    hashed = _hashed(path, now)
    if hashed is None or hashed.sha256 != known.sha256:
        return False
    store.touch(path, hashed)
    return True


def _state(path: str) -> FileState | None:
    """A file's size and times; None if it is not there."""
    looked = time.time_ns()
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return FileState(found.st_size, found.st_mtime_ns, looked, _UNKNOWN)


def _hashed(path: str, state: FileState) -> FileState | None:
    """The state with the file's hash; None if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
    return FileState(state.size, state.changed, state.looked, digest)


def _read(
    paths: Sequence[str], names: Mapping[str, str], encoding: str
) -> tuple[dict[str, tuple[FileState, str]], list[str]]:
    """State and text of the files that can be read, and what there is to say of all.

    One that changes while it is read is read again; if it does so once more, what was read then counts, and it is
    looked at again next time.
    """
    found: dict[str, tuple[FileState, str]] = {}
    notes: list[str] = []
    waiting = list(paths)
    for attempt in range(1, _ATTEMPTS + 1):
        before = {path: _state(path) for path in waiting}
        hashes = {path: _hashed(path, state) for path, state in before.items() if state is not None}
        restless = []
        for path, document in zip(waiting, read_documents(waiting, encoding), strict=True):
            state, after = hashes.get(path), _state(path)
            moved = state is None or after is None or (after.size, after.changed) != (state.size, state.changed)
            if moved and attempt < _ATTEMPTS and after is not None:
                restless.append(path)
                continue
            notes += _said(document, names[path])
            if document.text is None or not document.text.strip() or not is_encodable(document.text):
                continue
            if moved or state is None:
                notes.append(f"{names[path]} changes while it is read; it is answered from as it was at one moment")
                state = FileState(0, 0, 0, _UNKNOWN)
            found[path] = state, document.text
        waiting = restless
    return found, notes


def _said(document: ReadDocument, name: str) -> list[str]:
    """What a person should know of a document that was read, or was not."""
    lines = [line.replace(document.name, name) for line in said_of(document)]
    if document.text is not None and not document.text.strip():
        return [*lines, f"not read: {name}: there is no text in it"]
    if document.text is not None and not is_encodable(document.text):
        return [*lines, f"not read: {name}: it has half of a surrogate pair, which is no character"]
    return lines


def _chunks(paths: Sequence[str]) -> Iterator[list[str]]:
    """Files to read together: so many, or so many bytes."""
    some: list[str] = []
    n_bytes = 0
    for path in paths:
        state = _state(path)
        size = state.size if state is not None else 0
        if some and (len(some) == _FILES_AT_ONCE or n_bytes + size > _BYTES_AT_ONCE):
            yield some
            some, n_bytes = [], 0
        some.append(path)
        n_bytes += size
    if some:
        yield some
