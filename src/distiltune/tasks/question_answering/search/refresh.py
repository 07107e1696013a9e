"""An index brought up to date with its files: what is new or changed is read, what is gone goes, nothing else."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from distiltune.data.values import is_encodable
from distiltune.progress import counted, tell
from distiltune.tasks.document_files import ReadDocument, read_documents, said_of
from distiltune.tasks.question_answering.documents import Document
from distiltune.tasks.question_answering.search.store import FileState, PassageStore

_FILES_AT_ONCE: Final = 64
_BYTES_AT_ONCE: Final = 64 * 1024**2
_TICK_NS: Final = 2_000_000_000
"""Within so much of being looked at, a file may change and keep its time, on file systems that count whole seconds."""

_ATTEMPTS: Final = 2
_UNKNOWN: Final = ""
_TRIED_AGAIN_S: Final = 600.0
"""After so long a file that could not be read is tried again though it is as it was: its parser may have been slow."""


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


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be read: how it was then, until when it is not tried again, and what there was to say."""

    stamp: tuple[int, ...]
    until: float
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Reading:
    """What became of files that were to be read."""

    found: dict[str, tuple[FileState, Document]] = field(default_factory=dict)
    failed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def refresh(
    store: PassageStore,
    names: Mapping[str, str],
    encoding: str = "",
    unreadable: MutableMapping[str, Unreadable] | None = None,
) -> Refreshed:
    """Bring an index up to date.

    A file of the same size and time is the same; if only its time is another, its hash says whether it is.

    Args:
        store: the index.
        names: absolute path → what the document is called in messages, for all documents that it is to have.
        encoding: of plain text that is not UTF-8; what was read in another is read anew.
        unreadable: the files that could not be read at the last look, which are not tried again while they are as they
            were; those of this look take their place.

    Raises:
        DamagedIndexError, sqlite3.OperationalError: as `PassageStore`.

    """
    known = store.states()
    if store.about("encoding") != encoding:
        known = {path: FileState(0, 0, 0, _UNKNOWN) for path in known}
        store.note("encoding", encoding)
    unreadable = {} if unreadable is None else unreadable
    failed = {path: each for path, each in unreadable.items() if path in names and _is_as_it_was(path, each)}
    stale = [path for path in names if path not in failed and not _is_same(store, path, known.get(path))]
    new, changed, n_looked = 0, 0, 0
    notes = [note for each in failed.values() for note in each.notes]
    for some in _chunks(stale):
        stamps = {path: _stamp(path) for path in some}
        read = _read(some, names, encoding)
        notes += read.notes
        store.put(read.found.values())
        new += sum(path not in known for path in read.found)
        changed += sum(path in known for path in read.found)
        until = time.monotonic() + _TRIED_AGAIN_S
        failed |= {path: Unreadable(stamps[path], until, said) for path, said in read.failed.items()}
        n_looked += len(some)
        tell("indexing", "files", n_looked, len(stale))
    unreadable.clear()
    unreadable.update(failed)
    gone = [path for path in known if path not in names or path in failed]
    store.drop(gone)
    return Refreshed(new, changed, len(gone), len(known) - changed - len(gone), tuple(notes))


def _stamp(path: str) -> tuple[int, ...]:
    """What of a file is another when it, or who may read it, has changed; empty if it is not there."""
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_as_it_was(path: str, known: Unreadable) -> bool:
    return bool(known.stamp) and time.monotonic() < known.until and _stamp(path) == known.stamp


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


def _read(paths: Sequence[str], names: Mapping[str, str], encoding: str) -> _Reading:
    """The files that can be read, those that cannot, and what there is to say of all.

    One that changes while it is read is read again; if it does so once more, what was read then counts, and it is
    looked at again next time.
    """
    done = _Reading()
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
            said = _said(document, names[path])
            done.notes += said
            if document.text is None or not document.text.strip() or not is_encodable(document.text):
                done.failed[path] = tuple(said)
                continue
            if moved or state is None:
                moment = "it is answered from as it was at one moment"
                done.notes.append(f"{names[path]} changes while it is read; {moment}")
                state = FileState(0, 0, 0, _UNKNOWN)
            done.found[path] = state, Document(path, document.text, document.pages)
        waiting = restless
    return done


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
