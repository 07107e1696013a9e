"""A folder whose documents are asked over HTTP: looked at anew while it is asked, its texts shown by name."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Final

from distiltune.errors import DistiltuneError
from distiltune.serving.server import NotReadyError, NotThereError
from distiltune.system.background import in_background
from distiltune.tasks.question_answering.documents import ChosenParts, Document
from distiltune.tasks.question_answering.search.folder import PASSAGES_READ, Folder
from distiltune.tasks.question_answering.serve.folder_names import folders_of, names_in_folders
from distiltune.tasks.question_answering.serve.forms import AUTOMATIC_CHARACTERS

LOOK_S: Final = 1.0
"""Within so much of a look at the folder no other is begun."""

LOOK_SHARE: Final = 0.1
"""The most of the time that looking may take, however large the folder."""

WAIT_S: Final = 1.0
"""A look that takes longer is not waited for: what was indexed before is answered from."""

_STILL_LOOKING: Final = "The folder is still being looked through: what has changed in it last may be missing here."


@dataclass(frozen=True, slots=True)
class _Names:
    """What the documents of one look are called.

    Attributes:
        source: absolute path → what a document was found as.
        shown: what it was found as → what it is called.
        paths: what it is called → absolute path.

    """

    source: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)


class ServedFolder:
    """A `Folder` that many ask at once. Before an answer it is looked at anew, but not for each of many together."""

    def __init__(self, folder: Folder, passages: int = 0, on_note: Callable[[str], None] = lambda text: None) -> None:
        """Serve this folder.

        Args:
            folder: which may be asked from several threads.
            passages: how many are read for a question that does not say; 0: as the folder finds right, which reads
                whole what has up to `AUTOMATIC_CHARACTERS` if it is left to choose.
            on_note: told what is new about its files, with their paths: that is for whoever runs the server.

        """
        self._folder, self._passages, self._on_note = folder, passages, on_note
        self._folders = folders_of(folder.named)
        self._lock = threading.Lock()
        self._look: Future[None] = Future()
        self._look.set_result(None)
        self._began, self._next = 0.0, time.monotonic() + LOOK_S
        self._is_ready = True
        self._said = frozenset(folder.notes)
        self._names = _Names()
        self._n_documents, self._n_characters = folder.n_documents, folder.n_characters

    @property
    def n_documents(self) -> int:
        """Documents that can be asked about, as of the last look."""
        return self._n_documents

    async def looked(self) -> bool:
        """Have what has changed in the folder taken up; False if that takes too long to wait for.

        Raises:
            NotReadyError: if there are no documents any more.

        """
        look = self._begun_look()
        left = max(0.0, self._began + WAIT_S - time.monotonic())
        if not look.done():
            await asyncio.wait({asyncio.wrap_future(look)}, timeout=left)
        if not self._is_ready:
            raise NotReadyError(
                "The documents are not there at the moment: the folder is gone, or holds none that can be read.",
                where="the folder that is served",
                fix="tell whoever runs this server; it is looked at again when something is asked",
            )
        return look.done()

    def characters_read(self, passages: int | None, characters_a_passage: int) -> int:
        """How much is read for a question, about."""
        n_passages = self._n_passages(passages)
        reads_all = self._reads_all(passages) or (not n_passages and self._folder.way == "auto")
        return self._n_characters if reads_all else (n_passages or PASSAGES_READ) * characters_a_passage

    def choose(self, questions: Sequence[str], passages: int | None, *, is_new: bool = True) -> ChosenParts:
        """What is read for each question, of documents called as `names_in_folders` has it.

        Args:
            questions: what is asked.
            passages: how many passages; 0: everything; None: as it is served.
            is_new: whether the folder was looked at; if not, that is noted with every question.

        """
        if self._reads_all(passages):
            chosen = self._folder.all_of_it(questions)
        else:
            chosen = self._folder.choose(questions, self._n_passages(passages))
        shown = self._known_names().shown
        documents = tuple(replace(each, name=_called(each.name, shown)) for each in chosen.documents)
        notes = chosen.notes if is_new else tuple((*each, _STILL_LOOKING) for each in chosen.notes)
        return replace(chosen, documents=documents, notes=notes)

    def document(self, name: str) -> Document:
        """The document of that name as it is indexed now. It is looked up, and no file is opened.

        Raises:
            NotThereError: if there is none.

        """
        path = self._known_names().paths.get(name)
        found = None if path is None else self._folder.document(path)
        if found is None:
            raise NotThereError(
                "There is no such document in the folder, or not any more.",
                where="parameter name",
                fix="ask again; /api/documents says which there are",
            )
        return replace(found, name=name)

    def names(self) -> list[str]:
        """What the documents are called, in order."""
        names = self._known_names()
        found = ((path, names.source.get(path)) for path in self._folder.paths())
        return [names.shown[name] for _, name in found if name is not None]

    def _reads_all(self, passages: int | None) -> bool:
        return passages == 0 or (passages is None and self._folder.way == "all")

    def _n_passages(self, passages: int | None) -> int:
        """As the folder takes it: 0 where it is left to choose, which reads small ones whole."""
        asked = passages or self._passages
        return asked or (PASSAGES_READ if self._n_characters > AUTOMATIC_CHARACTERS else 0)

    def _known_names(self) -> _Names:
        found, known = self._folder.names, self._names
        if known.source is not found:
            shown = names_in_folders(self._folders, found.values())
            known = self._names = _Names(found, shown, {shown[name]: path for path, name in found.items()})
        return known

    def _begun_look(self) -> Future[None]:
        with self._lock:
            if self._look.done() and time.monotonic() >= self._next:
                self._began = time.monotonic()
                self._look = in_background(self._do_look, "looking")
            return self._look

    def _do_look(self) -> None:
        try:
            self._folder.refresh()
        except (DistiltuneError, OSError) as error:
            if self._is_ready:
                self._on_note(f"the documents are not there: {error}")
            self._is_ready = False
        else:
            if not self._is_ready:
                self._on_note("the documents are there again")
            self._is_ready = True
            self._n_documents, self._n_characters = self._folder.n_documents, self._folder.n_characters
            notes = self._folder.notes
            for note in notes:
                if note not in self._said:
                    self._on_note(note)
            self._said = frozenset(notes)
        finally:
            ended = time.monotonic()
            self._next = ended + max(LOOK_S, (ended - self._began) / LOOK_SHARE)


def _called(name: str, shown: Mapping[str, str]) -> str:
    """What a document is called; of another folder's, where two processes share an index, no more than its own name."""
    return shown[name] if name in shown else PurePath(name).name
