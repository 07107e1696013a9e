"""The index: passages of documents with their words and vectors, in one file that survives whatever is cut off.

It is a database of SQLite, which comes with Python: its writes are whole or not at all, other processes wait for them,
and its full-text index FTS5 adds and drops single documents and ranks by BM25. Words are found in any of their English
forms (Porter 1980), accents make no difference; where a script has no gaps between words, each of its letters is one.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from distiltune.data.passages import cut_passages
from distiltune.tasks.question_answering.documents import Document

WAIT_S: Final = 20.0
"""How long another process may hold the index before it is done without."""

_OURS: Final = 0x64746978  # "dtix", as SQLite's application_id
_MAGIC: Final = b"SQLite format 3\x00"
_ID_AT: Final = 68  # where an SQLite file has it

# `words` keeps no text of its own: what is deleted from it is told anew.
_SCHEMA: Final = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "CREATE TABLE documents (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, "
    "changed INTEGER NOT NULL, looked INTEGER NOT NULL, sha256 TEXT NOT NULL, text_sha256 TEXT NOT NULL, "
    "n_characters INTEGER NOT NULL, pages TEXT NOT NULL) STRICT",
    "CREATE TABLE passages (id INTEGER PRIMARY KEY, document INTEGER NOT NULL, start INTEGER NOT NULL, "
    "text TEXT NOT NULL) STRICT",
    "CREATE INDEX passages_of ON passages (document, start)",
    "CREATE TABLE vectors (passage INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT",
    "CREATE VIRTUAL TABLE words USING fts5 (text, content='', tokenize='porter unicode61 remove_diacritics 2')",
)

_WORD: Final = re.compile(r"\w+")
_NOT_WRITTEN: Final = re.compile(r"[\\\ud800-\udfff]")
_ESCAPED: Final = re.compile(r"\\([0-9a-f]{4})")
# Chinese, Japanese; Thai, Lao, Burmese, Khmer: a letter is a word here, as it is (the first two) for BERT.
_GAPLESS: Final = re.compile(
    "([\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])"
)
_ROWS_AT_ONCE: Final = 16_384
_COMMON: Final = 0.5  # BM25 weighs a word that more than half of the passages have as nothing


class DamagedIndexError(Exception):
    """What an index holds is not what was written into it."""


@dataclass(frozen=True, slots=True)
class FileState:
    """How a file was when it was read.

    Attributes:
        size: in bytes.
        changed: its time of change, in nanoseconds.
        looked: when it was looked at, likewise.
        sha256: of its bytes; empty if it is not to be trusted, so that it is looked at again.

    """

    size: int
    changed: int
    looked: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """Where a passage stands: its document's number in the index and its first and last code point there."""

    document: int
    start: int
    end: int


class PassageStore:
    """The passages of documents by the documents' paths. All methods may raise `DamagedIndexError`.

    Several threads may use it: each call, and all within `reading` or `writing`, is one thread's alone.
    """

    def __init__(self, path: Path | None = None, wait_s: float = WAIT_S) -> None:
        """Open the index in that file, or a new one; None: in memory.

        Raises:
            DamagedIndexError: if it is none, cannot be read, or is of another version.
            sqlite3.OperationalError: if it cannot be written, or another process holds it for so long.

        """
        self._vectors: tuple[npt.NDArray[np.int64], npt.NDArray[np.float16]] | None = None
        self._version = 0
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            ":memory:" if path is None else path, timeout=wait_s, isolation_level=None, check_same_thread=False
        )
        try:
            with _damage_told():
                self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA trusted_schema = OFF")  # the file may be a stranger's
        run("PRAGMA cell_size_check = ON")
        with self.writing():
            found = {str(sql) for (sql,) in run("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
            if not found:
                for each in _SCHEMA:
                    run(each)
                run(f"PRAGMA application_id = {_OURS}")
                return
        own = {sql for sql in found if not re.match(r"CREATE TABLE '?words_", sql)}
        if own != set(_SCHEMA):
            raise DamagedIndexError("it is of another version")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All that is written within it, or nothing."""
        with self._lock, _damage_told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """All that is read within it is of one moment, whatever others write meanwhile."""
        with self._lock, _damage_told():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def about(self, name: str) -> str:
        """What was noted under a name; empty if nothing was."""
        found = self._rows("SELECT value FROM about WHERE name = ?", (name,))
        return str(found[0][0]) if found else ""

    def note(self, name: str, value: str) -> None:
        """Note something about the whole index."""
        with self._lock, _damage_told():
            self._connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    def states(self) -> dict[str, FileState]:
        """How each document's file was when it was read."""
        rows = self._rows("SELECT path, size, changed, looked, sha256 FROM documents")
        return {_named(path): FileState(*state) for path, *state in rows}

    def put(self, documents: Iterable[tuple[FileState, Document]]) -> None:
        """Put documents, named by their paths, in the place of what there is of them: all of them or none."""
        with self.writing():
            for state, document in documents:
                self._drop(document.name)
                self._put(state, document)

    def _put(self, state: FileState, given: Document) -> None:
        run = self._connection.execute
        columns = "path, size, changed, looked, sha256, text_sha256, n_characters, pages"
        of_text = (_hash(given.text), len(given.text), json.dumps(given.pages))
        row = (_written(given.name), state.size, state.changed, state.looked, state.sha256, *of_text)
        document = run(f"INSERT INTO documents ({columns}) VALUES (?,?,?,?,?,?,?,?)", row).lastrowid
        for start, end in cut_passages(given.text):
            part = given.text[start:end]
            passage = run("INSERT INTO passages (document, start, text) VALUES (?,?,?)", (document, start, part))
            run("INSERT INTO words (rowid, text) VALUES (?,?)", (passage.lastrowid, _spaced(part)))

    def touch(self, path: str, state: FileState) -> None:
        """Note that a document's file is another in its times only."""
        with self._lock, _damage_told():
            self._connection.execute(
                "UPDATE documents SET size=?, changed=?, looked=?, sha256=? WHERE path=?",
                (state.size, state.changed, state.looked, state.sha256, _written(path)),
            )

    def drop(self, paths: Iterable[str]) -> None:
        """Take documents out."""
        with self.writing():
            for path in paths:
                self._drop(path)

    def _drop(self, path: str) -> None:
        self._vectors = None
        found = self._rows("SELECT id FROM documents WHERE path=?", (_written(path),))
        for (number,) in found:
            for passage, text in self._rows("SELECT id, text FROM passages WHERE document=?", (number,)):
                self._connection.execute(
                    "INSERT INTO words (words, rowid, text) VALUES ('delete',?,?)", (passage, _spaced(text))
                )
            mine = "(SELECT id FROM passages WHERE document=?)"
            self._connection.execute(f"DELETE FROM vectors WHERE passage IN {mine}", (number,))
            self._connection.execute("DELETE FROM passages WHERE document=?", (number,))
            self._connection.execute("DELETE FROM documents WHERE id=?", (number,))

    def counts(self) -> tuple[int, int, int]:
        """How many documents, passages and characters there are."""
        ((n_documents, n_characters),) = self._rows("SELECT count(*), coalesce(sum(n_characters), 0) FROM documents")
        ((n_passages,),) = self._rows("SELECT count(*) FROM passages")
        return n_documents, n_passages, n_characters

    def numbers(self) -> list[tuple[int, str]]:
        """Number and path of every document, in the order of their paths."""
        return [(number, _named(path)) for number, path in self._rows("SELECT id, path FROM documents ORDER BY path")]

    def number_of(self, path: str) -> int | None:
        """The number of the document of that path; None if there is none."""
        rows = self._rows("SELECT id FROM documents WHERE path=?", (_written(path),))
        return int(rows[0][0]) if rows else None

    def document(self, number: int) -> Document:
        """A document, named by its path.

        Raises:
            DamagedIndexError: if its text is not the one that was put there.

        """
        ((path, expected, pages),) = self._rows(
            "SELECT path, text_sha256, pages FROM documents WHERE id=?", (number,)
        ) or [("", "", "[]")]
        parts = self._rows("SELECT text FROM passages WHERE document=? ORDER BY start", (number,))
        text = "".join(part for (part,) in parts)
        if _hash(text) != expected:
            raise DamagedIndexError(f"the text of {path or 'a document'} is not what was written")
        return Document(_named(path), text, _pages(pages))

    def passage(self, number: int) -> StoredPassage:
        """Where a passage stands."""
        rows = self._rows("SELECT document, start, length(text) FROM passages WHERE id=?", (number,))
        if not rows:
            raise DamagedIndexError(f"passage {number} is listed and is not there")
        document, start, length = rows[0]
        return StoredPassage(document, start, start + length)

    def first(self, n: int) -> list[int]:
        """The first ``n`` passages."""
        return [number for (number,) in self._rows("SELECT id FROM passages ORDER BY id LIMIT ?", (n,))]

    def by_words(self, question: str, n: int) -> list[int]:
        """The passages that share words with a question, the ``n`` best by BM25, best first.

        Words that more than half of the passages have count for nothing, as long as there are others.
        """
        with self._lock:
            return self._by_words(list(dict.fromkeys(_WORD.findall(_spaced(question.casefold())))), n)

    def _by_words(self, words: Sequence[str], n: int) -> list[int]:
        count = "SELECT count(*) FROM words WHERE words MATCH ?"
        n_having = {word: int(self._rows(count, (f'"{word}"',))[0][0]) for word in words}
        known = [word for word in words if n_having[word]]
        rare = [word for word in known if n_having[word] <= _COMMON * self.counts()[1]]
        if not known:
            return []
        asked = " OR ".join(f'"{word}"' for word in rare or known)
        found = self._rows("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?", (asked, n))
        return [number for (number,) in found]

    def without_vectors(self, model: str, n: int) -> list[tuple[int, str]]:
        """Number and text of passages that have no vector yet, ``n`` at most; those of another model go."""
        if self.about("model") != model:
            with self.writing():
                self._vectors = None
                self._connection.execute("DELETE FROM vectors")
                self.note("model", model)
        missing = "SELECT id, text FROM passages WHERE id NOT IN (SELECT passage FROM vectors) ORDER BY id LIMIT ?"
        return [(number, text) for number, text in self._rows(missing, (n,))]

    def put_vectors(self, model: str, numbers: Sequence[int], vectors: npt.NDArray[np.float32]) -> None:
        """Keep the vectors of passages, in half precision; nothing if another process took to another model."""
        with self.writing():
            if self.about("model") != model:
                return
            self._vectors = None
            rows = zip(numbers, (vector.tobytes() for vector in vectors.astype("<f2")), strict=True)
            self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?,?)", rows)

    def by_vector(self, vector: npt.NDArray[np.float32], n: int) -> list[int]:
        """The ``n`` passages whose vectors have the largest dot product with this one, best first."""
        with self._lock:
            return self._by_vector(vector, n)

    def _by_vector(self, vector: npt.NDArray[np.float32], n: int) -> list[int]:
        ((version,),) = self._rows("PRAGMA data_version")  # another one after another process has written
        if self._vectors is None or version != self._version:
            self._version = version
            rows = self._rows("SELECT passage, vector FROM vectors ORDER BY passage")
            if any(len(each) != 2 * len(vector) for _, each in rows):
                raise DamagedIndexError("a vector has another length than was written")
            flat = np.frombuffer(b"".join(each for _, each in rows), dtype="<f2")
            self._vectors = np.array([number for number, _ in rows], dtype=np.int64), flat.reshape(-1, len(vector))
        numbers, matrix = self._vectors
        blocks = np.array_split(matrix, 1 + len(matrix) // _ROWS_AT_ONCE)
        likeness = np.concatenate([block.astype(np.float32) @ vector for block in blocks])
        return [int(number) for number in numbers[np.argsort(-likeness, kind="stable")[:n]]]

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        with self._lock, _damage_told():
            return self._connection.execute(sql, values).fetchall()


def is_other_file(path: Path) -> bool:
    """Whether a file is there that is no index of ours, whole or damaged; an empty one may become one."""
    if not path.exists():
        return False
    if not path.is_file():
        return True
    with path.open("rb") as file:
        head = file.read(_ID_AT + 4)
    return bool(head) and not (head.startswith(_MAGIC) and head[_ID_AT:] == _OURS.to_bytes(4, "big"))


@contextmanager
def _damage_told() -> Iterator[None]:
    """A database that cannot be read is a damaged index; one that is held or cannot be written is another matter."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in _NOT_NOW:
            raise
        raise DamagedIndexError(str(error)) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise DamagedIndexError(str(error)) from error


_NOT_NOW: Final = frozenset(
    {
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN),
        *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
    }
)


def _written(path: str) -> str:
    """A path as SQLite can hold it, where a name that is no UTF-8 has halves of surrogate pairs; `_named` reads it."""
    return _NOT_WRITTEN.sub(lambda found: f"\\{ord(found[0]):04x}", path)


def _named(written: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), written)


def _pages(written: str) -> tuple[int, ...]:
    """Where the pages begin, as it was written.

    Raises:
        DamagedIndexError: if it is something else.

    """
    try:
        pages = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise DamagedIndexError("it is not written where pages begin") from error
    if not isinstance(pages, list) or not all(type(each) is int for each in pages):
        raise DamagedIndexError("it is not written where pages begin")
    return tuple(pages)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _spaced(text: str) -> str:
    """The text with gaps around each letter of a script that has none."""
    return _GAPLESS.sub(r" \1 ", text)
