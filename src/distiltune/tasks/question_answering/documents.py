"""The texts that a question is asked about: documents, the parts of them that are read, and places in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from distiltune.data.held import Column, as_list
from distiltune.errors import DataError
from distiltune.system.names import described

Documents = str | Column | Mapping[str, str]
"""One text, several, or several by name."""

# A sentence ends at one of these and white space, or at an empty line. The ends of Arabic and Urdu, of Hindi and its
# relatives, Armenian, Ethiopic, Khmer, Burmese and Tibetan are among them;
# those of Chinese and Japanese need no white space.
_SENTENCE_END = re.compile(r"[.!?…؟۔।॥։።፧።។៕၊။།༎][\"'”’»)\]]*\s+|[。！？｡．][\"'”’»」』）)\]]*\s*|\n\s*\n")


_LONGEST_NAME = 255
"""Characters; what is longer is no file's name."""

_SPACE = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class Document:
    """A text, what it is called (empty: nothing), and at which code points its pages begin, if it has any."""

    name: str
    text: str
    pages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A stretch of a document that is read in one piece: ``text`` begins at the document's code point ``start``."""

    document: int
    start: int
    text: str


@dataclass(frozen=True, slots=True)
class ChosenParts:
    """What is read for some questions.

    Attributes:
        documents: those of which something is read.
        parts: of these, for each question; never none.
        n_characters: of all texts, also of those that nothing is read of.
        notes: for each question what there is to say of the choice, in sentences.

    """

    documents: tuple[Document, ...]
    parts: tuple[tuple[DocumentPart, ...], ...]
    n_characters: int
    notes: tuple[tuple[str, ...], ...]


@runtime_checkable
class Searchable(Protocol):
    """Documents that are not all read for a question: it is looked up what of them is."""

    def choose(self, questions: Sequence[str], passages: int) -> ChosenParts:
        """What is read for each question: about so many passages, or as many as it finds right if that is 0."""


@dataclass(frozen=True, slots=True)
class TextPosition:
    """Where a stretch of a text stands: line and column counted from 1, and the sentence around it."""

    line: int
    column: int
    sentence: str
    sentence_start: int


def as_documents(given: Documents) -> tuple[Document, ...]:
    """The documents, checked.

    Raises:
        DataError: if there is none that holds any text, one is no text, or it is no list of them, naming its type.

    """
    if isinstance(given, str):
        documents: tuple[Document, ...] = (Document("", given),)
    elif isinstance(given, Mapping):
        documents = tuple(Document(name, text) for name, text in given.items())
    else:
        fix = 'give a text, a list of texts, or a column of them, as frame["text"]'
        documents = tuple(Document("", text) for text in as_list(given, "documents", fix))
    for number, document in enumerate(documents, start=1):
        text: object = document.text
        if not isinstance(text, str):
            where = f"text {number}{document.name and f', {document.name}'}"
            raise DataError(f"This is {described(text)}, no text.", where=where, fix="give texts to look in")
    if not any(document.text.strip() for document in documents):
        raise DataError("The text is empty.", where="argument: documents", fix="give a text that may hold the answer")
    return documents


def check_is_no_path(text: str) -> None:
    """Check that what was given as the one text to look in is not the name of a file or a folder.

    Raises:
        DataError: if there is one of that name.

    """
    if len(text) > _LONGEST_NAME or "\n" in text or not text.strip():
        return
    try:
        path = Path(text).expanduser()
        is_folder, is_there = path.is_dir(), path.exists()
    except (OSError, ValueError, RuntimeError):
        return
    if is_there:
        what = "folder" if is_folder else "file"
        raise DataError(
            f"{text!r} is the name of a {what} here, and was given as the text to look in.",
            where="argument: documents",
            fix=f"distiltune.Folder({text!r}) reads what is in it, in the terminal --document {shlex.quote(text)}",
        )


def position_of(text: str, start: int, end: int) -> TextPosition:
    """Where ``text[start:end]`` stands."""
    sentence_start, sentence_end = sentence_around(text, start, end)
    return TextPosition(
        line=text.count("\n", 0, start) + 1,
        column=start - text.rfind("\n", 0, start),
        sentence=text[sentence_start:sentence_end],
        sentence_start=sentence_start,
    )


def sentence_around(text: str, start: int, end: int, reach: int = 400) -> tuple[int, int]:
    """Where the sentence or sentences that hold ``text[start:end]`` begin and end, white space left out.

    Looks at most ``reach`` characters to either side; where no sentence ends there, it begins and ends with a word.
    """
    low, high = _whole_words(text, start, end, reach)
    for match in _SENTENCE_END.finditer(text, low, start):
        low = match.end()
    following = _SENTENCE_END.search(text, max(start, end - 1), high)
    high = following.end() if following else high
    while low < start and text[low].isspace():
        low += 1
    while high > end and text[high - 1].isspace():
        high -= 1
    return low, high


def _whole_words(text: str, start: int, end: int, reach: int) -> tuple[int, int]:
    """``reach`` characters to either side, less the part of a word that is cut there; scripts without gaps are cut."""
    low, high = max(0, start - reach), min(len(text), end + reach)
    if low and _SPACE.match(text, low - 1) is None and (gap := _SPACE.search(text, low, start)) is not None:
        low = gap.end()
    if high < len(text) and _SPACE.match(text, high) is None:
        gaps = [gap.start() for gap in _SPACE.finditer(text, end, high)]
        high = gaps[-1] if gaps else high
    return low, high
