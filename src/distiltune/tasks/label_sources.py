"""What is to be labelled, from where: documents, cut into passages or whole, or rows as a task's reader has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from distiltune.data.passages import cut_passages
from distiltune.data.row_findings import RowFindings
from distiltune.data.values import text_problem
from distiltune.errors import DataError
from distiltune.labelling.offered import ReadText, ReadTexts
from distiltune.tasks.document_files import document_sources, find_documents, read_documents, said_of

_WITHOUT_LABELS: Final = frozenset({"nothing_marked", "no_label_column", "no_answer_column"})

_N_SHOWN: Final = 3

ReadRows = Callable[[Sequence[str]], ReadTexts]


def read_to_label(sources: Sequence[str], encoding: str, read_rows: ReadRows, *, in_passages: bool) -> ReadTexts:
    """The texts of these sources in reading order.

    Args:
        sources: files and folders of documents, or data as the task reads them.
        encoding: of plain text that is not UTF-8.
        read_rows: reads data.
        in_passages: documents are cut into passages; else each is one text.

    Raises:
        DataError: if a source cannot be found or read, or there is no text in it.

    """
    named = document_sources(sources)
    if named is None:
        return read_rows(sources)
    found = find_documents(named)
    read = read_documents(found.files, encoding)
    texts: list[ReadText] = []
    left_out: list[str] = []
    notes = [*found.notes, *(note for each in read for note in said_of(each))]
    for each in read:
        name, text = Path(each.name).name, each.text or ""
        spans = cut_passages(text) if in_passages else [(0, len(text))]
        parts = [part for start, end in spans if (part := text[start:end].strip())]
        for part in parts:
            if problem := text_problem(part, "text"):
                left_out.append(f"{name}: {problem.message}")
            else:
                texts.append(ReadText(part, document=name))
        if not parts and each.problem is None:
            notes.append(f"{name}: it holds no text")
    if not texts:
        first = next((each.problem for each in read if each.problem is not None), None)
        raise first or DataError(
            " ".join(("There is no text to label.", *left_out[:_N_SHOWN])),
            where=", ".join(sources),
            fix="give texts that can be used" if left_out else "give files with text",
        )
    return ReadTexts(tuple(texts), (*notes, *(f"left out: {each}" for each in left_out)))


def notes_of(findings: RowFindings) -> tuple[str, ...]:
    """What a person should know of rows that were read; that they have no labels yet is none of it."""
    items = [each for each in findings.items if each.kind not in _WITHOUT_LABELS]
    return tuple(RowFindings(findings.n_rows, items).told())


def source_name(where: str) -> str:
    """The file's name of a row's place, such as ``folder/file.csv:12``."""
    return Path(where.rpartition(":")[0] or where).name


def checked_place(text: str, start: int, end: int, where: str) -> None:
    """Check that a mark lies in its text.

    Raises:
        DataError: if there is nothing to read there.

    """
    if not start < end <= len(text) or not text[start:end].strip():
        raise DataError(
            f"Nothing can be read from code point {start} to {end} of the text.",
            where=where,
            fix=f"give places from 0 to {len(text)} with something between them",
        )


def text_in(row: Mapping[str, Any], name: str) -> str | None:
    """A column of a row that is to be a text."""
    value = row.get(name)
    return value if isinstance(value, str) and value else None
