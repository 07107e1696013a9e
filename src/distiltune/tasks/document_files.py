"""Documents in files: those that a path, a folder or a pattern stands for, and their texts as `serve` reads them."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from distiltune.data.files import files_below, format_suffix
from distiltune.data.held import Documents, holding, is_held_name
from distiltune.data.sources import STARTER, matches, not_found
from distiltune.data.streams import MAX_JSON_BYTES, open_bytes, read_text, reading
from distiltune.data.unknown_files import way_to_name
from distiltune.errors import DataError, install_extra
from distiltune.progress import tell
from distiltune.serving.files_to_text import Turn, file_to_text
from distiltune.serving.readers import KIND_OF_ENDING, FileText
from distiltune.system.background import in_background

STANDARD_INPUT: Final = "-"
_LINES_OF_A_TABLE: Final = 5
_LINES_LOOKED_AT: Final = 100
_LACKS_A_LIBRARY: Final = ("ModuleNotFoundError", "ImportError")
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class DocumentFiles:
    """The documents that were named, in reading order, and what in their folders is passed over.

    Attributes:
        files: the documents' paths.
        passed_over: files that are no documents.
        elsewhere: links out of the folder that they are in, and what only has a document's name, such as a pipe.

    """

    files: tuple[str, ...]
    passed_over: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know."""
        reasons = {"are no documents": self.passed_over, "are links to elsewhere, or no files": self.elsewhere}
        return tuple(
            f"passed over in folders, since they {reason}: {len(names):,} ({_first_of(names)})"
            for reason, names in reasons.items()
            if names
        )


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document's path and its text; the text is None where it cannot be read, and ``problem`` says why.

    What was left out or guessed in reading it stands in ``notes``, the code points that pages begin at in ``pages``.
    """

    name: str
    text: str | None
    problem: DataError | None = None
    notes: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()


def is_document(path: str | Path) -> bool:
    """Whether a file is a document by its suffix; unpacked, if it is gzipped."""
    return _suffix(path) in KIND_OF_ENDING


def find_documents(names: Iterable[str]) -> DocumentFiles:
    """The documents that these stand for: a file as it is, of a folder all in it and below it, of a pattern its files.

    Hidden files and folders are not looked at, nor is what is linked to from inside a folder and
    lies elsewhere. ``-``, standard input, stands for itself.

    Raises:
        DataError: if there is no such file, or none in a folder.

    """
    found: dict[str, None] = {}
    passed_over: dict[str, None] = {}
    elsewhere: dict[str, None] = {}
    for name in names:
        for path in [Path(name)] if name == STANDARD_INPUT else matches(name) or [Path(name).expanduser()]:
            if name != STANDARD_INPUT and not path.exists():
                raise not_found(path)
            inside = list(_below(path)) if path.is_dir() else []
            by_suffix = {each: is_document(each) for each in inside}
            outside = {each for each, is_one in by_suffix.items() if is_one and not _is_file_below(each, path)}
            documents = [each for each, is_one in by_suffix.items() if is_one and each not in outside]
            documents = documents if path.is_dir() else [path]
            if not documents:
                raise DataError(
                    "The folder holds no document.",
                    where=str(path),
                    fix=f"it should have files that end in one of: {', '.join(readable_suffixes())}",
                )
            found |= dict.fromkeys(map(str, documents))
            passed_over |= dict.fromkeys(str(each) for each, is_one in by_suffix.items() if not is_one)
            elsewhere |= dict.fromkeys(str(each) for each in inside if each in outside)
    return DocumentFiles(tuple(found), tuple(passed_over), tuple(elsewhere))


def _first_of(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + ", ..." * (len(names) > _SHOWN)


def _is_file_below(path: Path, folder: Path) -> bool:
    """Whether it is a file, and lies in the folder also where it is a link: what a folder is given for is in it."""
    try:
        return path.is_file() and (not path.is_symlink() or path.resolve().is_relative_to(folder.resolve()))
    except (OSError, RuntimeError):  # a link that goes round
        return False


def read_documents(names: Sequence[str], encoding: str = "") -> list[ReadDocument]:
    """The texts of documents, several at once where a library reads them; those that cannot be read say why.

    Args:
        names: paths, or ``-`` for standard input.
        encoding: of plain text that is not UTF-8.

    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_read_all(names, encoding))
    # In a notebook the thread has a loop already, and a loop runs only one thing to its end.
    return in_background(lambda: asyncio.run(_read_all(names, encoding)), "reading documents").result()


@contextmanager
def documents_as_data(sources: Sequence[str], encoding: str = "") -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Sources as data, and what a person should know: documents among them are held as rows until the ``with`` ends.

    A document that cannot be read is a row without text.

    Raises:
        DataError: as `document_sources` and `find_documents`, or if none can be read.

    """
    named = document_sources(sources)
    if named is None:
        yield tuple(sources), ()
        return
    found = find_documents(named)
    read = read_documents(found.files, encoding)
    if all(each.text is None for each in read) and read[0].problem is not None:
        raise read[0].problem
    notes = [note for each in read for note in said_of(each)]
    with holding(Documents({"id": each.name, "text": each.text} for each in read), "data") as names:
        yield names, (*found.notes, *notes)


def document_sources(sources: Iterable[str]) -> list[str] | None:
    """The documents that are named as data, where data files would be; None if it is data that is named.

    A folder counts where it holds documents and nothing that is read as data.

    Raises:
        DataError: if some of the sources are documents and others data.

    """
    kinds = {source: _is_of_documents(source) for source in sources}
    if not any(kinds.values()):
        return None
    if not all(kinds.values()):
        others = ", ".join(source for source, is_one in kinds.items() if not is_one)
        raise DataError(
            "Some of this is documents, some is data.", where=others, fix="read the one and the other by themselves"
        )
    return list(kinds)


def _is_of_documents(source: str) -> bool:
    if source == STARTER or is_held_name(source):
        return False
    paths = matches(source) or [Path(source).expanduser()]
    try:
        return all(map(_stands_for_documents, paths))
    except (OSError, ValueError):  # a name too long, no permission, a null in it
        return False


def _stands_for_documents(path: Path) -> bool:
    if path.is_dir():
        if files_below(path):
            return False
        return any(is_document(each) and format_suffix(each) is None for each in _below(path))
    if not path.is_file() or not is_document(path) or format_suffix(path) is not None:
        return False
    return _suffix(path) != ".txt" or not _is_table(path)


def _is_table(path: Path) -> bool:
    """Whether a file is rows that are only called a text: words with tags, a table.

    Sentences with a comma each look like a table too, so of such it takes several lines.
    """
    looks = way_to_name(path)
    if not looks.endswith(".csv"):
        return bool(looks)
    with reading(path), open_bytes(path) as stream:
        return sum(bool(line.strip()) for line in itertools.islice(stream, _LINES_LOOKED_AT)) >= _LINES_OF_A_TABLE


def _below(folder: Path) -> Iterator[Path]:
    """The files in a folder and in all below it, sorted; hidden ones are not looked at."""
    found: list[Path] = []
    for below, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += (Path(below) / name for name in names if not name.startswith("."))
    yield from sorted(found)


def _suffix(path: str | Path) -> str:
    path = path if isinstance(path, Path) else Path(path)
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def said_of(document: ReadDocument) -> list[str]:
    """What a person should know of a document that was read, or was not."""
    problem = document.problem
    lines = [f"not read: {document.name}: {problem.what} ({problem.fix})"] if problem is not None else []
    return [*lines, *(f"{document.name}: {note}" for note in document.notes)]


def readable_suffixes() -> list[str]:
    """The suffixes of documents."""
    return list(KIND_OF_ENDING)


async def _read_all(names: Sequence[str], encoding: str) -> list[ReadDocument]:
    at_once = asyncio.Semaphore(max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))
    done: dict[int, ReadDocument] = {}

    @asynccontextmanager
    async def turn() -> AsyncIterator[None]:
        async with at_once:
            yield

    async def read(number: int, name: str) -> None:
        try:
            found = await _text_of(name, encoding, turn)
            done[number] = ReadDocument(name, found.text, None, found.notes, found.pages)
        except DataError as error:
            done[number] = ReadDocument(name, None, error)
        tell("reading documents", "files", len(done), len(names))

    await asyncio.gather(*(read(number, name) for number, name in enumerate(names)))
    return [done[number] for number in range(len(names))]


async def _text_of(name: str, encoding: str, turn: Turn) -> FileText:
    if name == STANDARD_INPUT:
        return FileText(read_text(name, encoding))
    path = Path(name)
    if not path.exists():
        raise not_found(path)
    kind = KIND_OF_ENDING.get(_suffix(path), "text")
    if kind == "text" and _is_pdf(path):
        kind = "pdf"
    if kind == "text":  # in the encoding that was said; no other is guessed where one can be said
        return FileText(read_text(path, encoding))
    with reading(path), open_bytes(path, MAX_JSON_BYTES) as stream:
        content = stream.read()
    try:
        return await file_to_text(content, kind, turn)
    except DataError as error:
        if any(word in error.what for word in _LACKS_A_LIBRARY):
            raise DataError(
                f"Reading a file that ends in {_suffix(path)} needs a library that is not installed.",
                where=name,
                fix=f"install it: {install_extra('serve')}",
            ) from error
        raise DataError(error.what, where=name, fix=error.fix.replace("paste its text", "save it as text")) from error


def _is_pdf(path: Path) -> bool:
    """Whether a file without a suffix that tells is a PDF all the same."""
    if not path.is_file():  # of a pipe nothing can be looked at twice
        return False
    with reading(path), open_bytes(path) as stream:
        return stream.peek(5)[:5] == b"%PDF-"
