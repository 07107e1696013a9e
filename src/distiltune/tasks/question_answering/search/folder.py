"""A folder of documents that questions are asked about: its index kept up to date, and what is read for a question."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args

from distiltune.errors import DataError, RecipeError
from distiltune.inference.sentence_vectors import SentenceEncoder, Vectors, load_sentence_encoder, sentence_vectors
from distiltune.model.encoder import fingerprint
from distiltune.progress import tell
from distiltune.system.device import choose_device
from distiltune.system.host import with_threads
from distiltune.system.names import as_path
from distiltune.tasks.document_files import find_documents
from distiltune.tasks.question_answering.documents import ChosenParts, Document, DocumentPart
from distiltune.tasks.question_answering.passages import joined_parts
from distiltune.tasks.question_answering.search.opening import IndexPlace, place_of
from distiltune.tasks.question_answering.search.ranking import fused
from distiltune.tasks.question_answering.search.refresh import Refreshed, Unreadable, refresh
from distiltune.tasks.question_answering.search.store import (
    WAIT_S,
    DamagedIndexError,
    PassageStore,
    is_other_file,
)

Search = Literal["auto", "all", "words", "vectors", "both"]
"""How it is chosen what is read: everything, or the passages found by words, by vectors, or by both together."""

READ_WHOLE_CHARACTERS: Final = 200_000
"""With ``auto``, documents of so many characters together are read whole."""

PASSAGES_READ: Final = 10
"""Passages read for a question where their number is not said."""

T = TypeVar("T")

_CANDIDATES: Final = 50
_VECTORS_AT_ONCE: Final = 256


class Folder:
    """Documents in files that questions are asked about, with an index of their passages beside or in the cache.

    Several threads may use it, also while one of them brings it up to date: files are read aside, and what was indexed
    before is answered from until they are in.

    >>> folder = Folder("handbooks")
    >>> answerer("Who signs the lease?", folder).answer.document_name
    """

    def __init__(
        self,
        documents: str | Path | Sequence[str | Path],
        *,
        search: Search = "auto",
        encoder: str | Path | None = None,
        index: str | Path | None = None,
        encoding: str = "",
        threads: int = 0,
        wait_s: float = WAIT_S,
    ) -> None:
        """Find the documents and bring their index up to date.

        Args:
            documents: a folder, a file, a pattern such as ``docs/*.pdf``, or several.
            search: how it is chosen what is read for a question: ``all``; ``words`` (BM25), ``vectors``, or ``both`` by
                the ranks in the two; ``auto``: both if an encoder is named, else all of a small folder and
                words in others.
            encoder: the model whose sentence vectors are compared: one made for that, such as a converted MiniLM.
            index: the file of the index; by default one in the user's cache that belongs to these documents.
            encoding: of plain text that is not UTF-8.
            threads: of tensor work on the CPU; 0 means as many as there are usable cores.
            wait_s: how long another process may hold the index before this one does without.

        Raises:
            DataError: if there is no document, none can be read, or ``index`` is some other file.
            ModelError, HubError: if the encoder cannot be had.
            RecipeError: if ``search`` needs an encoder and none is named, or is no way to search.

        """
        if search not in get_args(Search):
            ways = ", ".join(get_args(Search))
            raise RecipeError(f"There is no search {search!r}.", where="--search", fix=f"give one of {ways}")
        if search in ("vectors", "both") and encoder is None:
            raise RecipeError(
                f"To search by {search} it must be said which model gives the vectors.",
                where="--search",
                fix="name an encoder made for sentence vectors: --encoder MODEL; or search by words",
            )
        self._named = [documents] if isinstance(documents, str | Path) else list(documents)
        # Who names an encoder wants a search, of small folders too.
        self._search = "both" if search == "auto" and encoder is not None else search
        self._encoding, self._threads = encoding, threads
        place = place_of(self._named) if index is None else as_path(index, "index")
        if index is not None and place is not None and is_other_file(place):
            raise DataError("This file is no index.", where=str(index), fix="name a new file, or an index")
        self._place = IndexPlace(place, wait_s)
        self._encoder = load_sentence_encoder(str(encoder), choose_device("cpu")) if encoder is not None else None
        self._model = fingerprint(self._encoder.encoder) if self._encoder is not None else ""
        self._store, said = self._place.open()
        self._opening = [said] if said else []
        self._names: Mapping[str, str] = {}
        self._unreadable: dict[str, Unreadable] = {}
        self._notes: tuple[str, ...] = ()
        self._refreshing = threading.RLock()
        self.refresh()

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say since it was last brought up to date: of the index, of files that are not read."""
        return self._notes

    @property
    def place(self) -> Path | None:
        """The file of the index; None if it is in memory only."""
        return self._place.path

    @property
    def named(self) -> tuple[str, ...]:
        """What was given as documents."""
        return tuple(map(str, self._named))

    @property
    def names(self) -> Mapping[str, str]:
        """Absolute path → what the document is called, of all files that there are to read; it is never changed."""
        return self._names

    @property
    def way(self) -> Search:
        """How it is chosen what is read."""
        return self._search

    @property
    def n_characters(self) -> int:
        """Code points of all documents."""
        return self._store.counts()[2]

    @property
    def n_documents(self) -> int:
        """Documents that can be asked about."""
        return self._store.counts()[0]

    @property
    def n_passages(self) -> int:
        """Passages of all documents."""
        return self._store.counts()[1]

    def close(self) -> None:
        """Let go of the index."""
        self._store.close()

    def refresh(self) -> Refreshed:
        """Look for what has changed in the files, and index that; the notes are of this then.

        Raises:
            DataError: if there is no document, or none can be read.

        """
        with self._refreshing:
            return self._refresh(None)

    def _refresh(self, failed: Exception | None) -> Refreshed:
        """The same; into a new index if one ``failed``, which is answered from only when it is filled."""
        found = find_documents(map(str, self._named))
        names = {str(Path(name).absolute()): name for name in found.files}
        self._names = names if names == self._names else {**self._names, **names}  # what is gone is there until it goes
        store = self._store if failed is None else self._started_anew(failed)
        try:
            done = self._refreshed(store, names)
        except (DamagedIndexError, sqlite3.OperationalError) as error:
            store = self._started_anew(error)
            done = self._refreshed(store, names)
        self._store = store
        if names != self._names:
            self._names = names
        if not store.counts()[0]:
            raise DataError(
                "None of the documents can be read.",
                where=", ".join(map(str, self._named)),
                fix="; ".join(done.notes[:3]) or "give documents with text in them",
            )
        self._notes = (*found.notes, *self._opening, *done.notes, *([done.in_words] if done.in_words else []))
        self._opening.clear()
        return done

    def choose(self, questions: Sequence[str], passages: int = 0) -> ChosenParts:
        """What is read for each question.

        Args:
            questions: what is asked.
            passages: how many passages at most, of small folders too, and where all is read otherwise; 0:
                `PASSAGES_READ`.

        """
        return self._unless_damaged(lambda store: self._choose(store, questions, passages))

    def all_of_it(self, questions: Sequence[str]) -> ChosenParts:
        """Everything, for each question."""
        return self._unless_damaged(lambda store: self._all_of_it(store, questions))

    def document(self, path: str) -> Document | None:
        """The document of that absolute path, as it is indexed; None if it is not."""

        def look_up(store: PassageStore) -> Document | None:
            with store.reading():
                number = store.number_of(path)
                return None if number is None else self._document(store, number)

        return self._unless_damaged(look_up)

    def paths(self) -> list[str]:
        """The absolute paths of the documents that can be asked about, in order."""
        return self._unless_damaged(lambda store: [path for _, path in store.numbers()])

    def _unless_damaged(self, look_up: Callable[[PassageStore], T]) -> T:
        """What is looked up in the index; in one that is made anew if it is damaged or cannot be had."""
        store = self._store
        try:
            return look_up(store)
        except (DamagedIndexError, sqlite3.OperationalError) as error:
            with self._refreshing:
                if self._store is store:  # and no other thread has made it anew meanwhile
                    self._refresh(error)
            return look_up(self._store)

    def ranked(self, questions: Sequence[str], n: int) -> list[list[int]]:
        """The numbers of the ``n`` likeliest passages for each question, best first; none if nothing is alike."""
        store = self._store
        vectors = self._vectors(store, questions)
        with store.reading():
            return self._ranked(store, questions, vectors, n)

    def _ranked(
        self, store: PassageStore, questions: Sequence[str], vectors: Vectors | None, n: int
    ) -> list[list[int]]:
        n_looked = max(n, _CANDIDATES)
        by_words = [store.by_words(each, n_looked) if self._way() != "vectors" else [] for each in questions]
        if vectors is None:
            return [each[:n] for each in by_words]
        if store.about("model") != self._model:
            raise DataError(
                "Another process gives the same index the vectors of another model.",
                where=str(self.place),
                fix="give each its own index: --index FILE",
            )
        by_vector = [store.by_vector(each, n_looked) for each in vectors]
        return [fused(each)[:n] for each in zip(by_words, by_vector, strict=True)]

    def document_of(self, passage: int) -> str:
        """What the document of a passage is called."""
        return self._document(self._store, self._store.passage(passage).document).name

    def _way(self) -> str:
        return "words" if self._search in ("auto", "all") else self._search

    def _choose(self, store: PassageStore, questions: Sequence[str], passages: int) -> ChosenParts:
        _, _, n_characters = store.counts()
        small = self._search == "auto" and n_characters <= READ_WHOLE_CHARACTERS
        if (small or self._search == "all") and not passages:
            return self._all_of_it(store, questions)
        vectors = self._vectors(store, questions)
        with store.reading():
            return self._searched(store, questions, vectors, passages)

    def _all_of_it(self, store: PassageStore, questions: Sequence[str]) -> ChosenParts:
        with store.reading():
            documents = [self._document(store, number) for number, _ in store.numbers()]
        whole = tuple(DocumentPart(i, 0, each.text) for i, each in enumerate(documents))
        n_characters = sum(len(each.text) for each in documents)
        return ChosenParts(tuple(documents), (whole,) * len(questions), n_characters, ((),) * len(questions))

    def _searched(
        self, store: PassageStore, questions: Sequence[str], vectors: Vectors | None, passages: int
    ) -> ChosenParts:
        _, n_passages, n_characters = store.counts()
        n = min(passages or PASSAGES_READ, n_passages)
        ranked = self._ranked(store, questions, vectors, n)
        found = [numbers or store.first(n) for numbers in ranked]
        stand = {number: store.passage(number) for numbers in found for number in numbers}
        order = {number: i for i, number in enumerate(dict.fromkeys(each.document for each in stand.values()))}
        documents = [self._document(store, number) for number in order]
        texts = [each.text for each in documents]
        parts = [
            tuple(joined_parts(texts, ((order[stand[i].document], stand[i].start, stand[i].end) for i in numbers)))
            for numbers in found
        ]
        told = [(self._told(len(by_rank), len(read), n_passages),) for by_rank, read in zip(ranked, found, strict=True)]
        return ChosenParts(tuple(documents), tuple(parts), n_characters, tuple(told))

    def _told(self, n_found: int, n_read: int, n_all: int) -> str:
        if not n_found:
            return f"No passage has a word of the question, so the first {n_read:,} of {n_all:,} were read: a guess."
        ways = {"words": "words", "vectors": "vectors", "both": "words and vectors"}
        return f"{n_read:,} of {n_all:,} passages were read, the likeliest by {ways[self._way()]}."

    def _document(self, store: PassageStore, number: int) -> Document:
        found = store.document(number)
        return replace(found, name=self._names.get(found.name, found.name))

    def _refreshed(self, store: PassageStore, names: Mapping[str, str]) -> Refreshed:
        done = refresh(store, names, self._encoding, self._unreadable)
        if self._way() in ("vectors", "both") and self._encoder is not None:
            self._fill_vectors(store, self._encoder)
        return done

    def _fill_vectors(self, store: PassageStore, encoder: SentenceEncoder) -> None:
        """Give every passage a vector, some at a time: what is done is kept if the rest is broken off."""
        n_done, n_all = 0, store.counts()[1]
        while missing := store.without_vectors(self._model, _VECTORS_AT_ONCE):
            texts = [text for _, text in missing]
            store.put_vectors(self._model, [number for number, _ in missing], self._vectors_of(encoder, texts))
            n_done += len(missing)
            tell("embedding", "passages", n_done, n_all)

    def _vectors(self, store: PassageStore, questions: Sequence[str]) -> Vectors | None:
        """Those of the questions, where vectors are compared; the index then has those of this model too."""
        if self._way() == "words" or self._encoder is None:
            return None
        if store.about("model") != self._model:
            self._fill_vectors(store, self._encoder)
        return self._vectors_of(self._encoder, questions)

    def _vectors_of(self, encoder: SentenceEncoder, texts: Sequence[str]) -> Vectors:
        with with_threads(self._threads or 1):
            return sentence_vectors(
                encoder.encoder, encoder.tokenizer, texts, max_length=encoder.max_length, normalise=True
            )

    def _started_anew(self, error: Exception) -> PassageStore:
        """A new index, in the place of the one that is closed; threads that still look into that wait for this one."""
        self._store.close()
        store, said = self._place.replace(error)
        self._opening.append(said)
        return store
