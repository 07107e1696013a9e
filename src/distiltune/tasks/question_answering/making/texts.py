"""Plain texts of any kind of file → passages: what questions are made from and answered in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from distiltune.data.column_names import parse_columns
from distiltune.data.example_set import ExampleSet
from distiltune.data.file_form import FileForm
from distiltune.data.files import format_suffix
from distiltune.data.held import is_held_name
from distiltune.data.passages import cut_passages
from distiltune.data.reading import Reading, ToRead, read_sources
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.data.rows import BadRow, Row
from distiltune.data.streams import read_text
from distiltune.data.values import rejected, text_problem
from distiltune.errors import DataError

TEXT_SUFFIXES: Final = (".txt", ".md", ".txt.gz", ".md.gz")
_COLUMNS: Final = ("text", "context")
_FEWEST_CHARACTERS: Final = 40


@dataclass(frozen=True, slots=True)
class PassageColumns:
    """What the column of texts is called; empty: ``text`` or ``context``."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a text that a question can be asked about, and where it stands: ``file:line`` or ``file#row``."""

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Passages:
    """Distinct passages in the order in which they were read, and what was left out."""

    passages: tuple[Passage, ...]
    findings: RowFindings

    @property
    def n_characters(self) -> int:
        """Of all passages together."""
        return sum(len(each.text) for each in self.passages)


def read_passages(
    sources: Sequence[str], columns: str, form: FileForm, max_rejected_share: float, max_passages: int = 0
) -> Passages:
    """Read the texts of these sources and cut them into passages; of equal passages the first is kept.

    Args:
        sources: text files (`TEXT_SUFFIXES`), data files of any form that training data may have, directories of
            both, names of data sets on the hub, `starter`, or rows in memory. A row's text is in its column ``text``
            or ``context``, or in the paragraphs below it, as SQuAD has them; questions and answers are not looked at.
        columns: ``text=NAME`` where the column is called otherwise, else empty.
        form: how files are read where they do not say.
        max_rejected_share: the largest share of rows, 0 to 1, that may have no text.
        max_passages: only the first so many (0: all).

    Raises:
        DataError: if a source does not exist or cannot be read, or there is no text in it.
        HubError: if a data set on the hub cannot be fetched.
        RecipeError: if ``columns`` is not understood.

    """
    wanted = parse_columns(PassageColumns, columns).text
    findings = RowFindings()
    seen: dict[str, Passage] = {}
    for found in (_read_one(source, wanted, form, max_rejected_share, findings) for source in _inside(sources)):
        for whole in found:
            for passage in _cut(whole):
                findings.count_row()
                if reason := _unfit(passage, seen):
                    kind, message = reason
                    findings.add(RowFinding("left_out", kind, passage.where, "", message))
                else:
                    seen[passage.text] = passage
    if not seen:
        raise DataError("There is no text to make questions from.", where=", ".join(sources), fix="give some prose")
    kept = tuple(seen.values())
    return Passages(kept[:max_passages] if max_passages else kept, findings)


def _unfit(passage: Passage, seen: dict[str, Passage]) -> tuple[str, str] | None:
    """Kind and reason why nothing can be made of a passage; None if something can."""
    if passage.text in seen:
        return "duplicate", "the same passage was read before"
    if len(passage.text) < _FEWEST_CHARACTERS:
        return "passage_short", f"the passage has under {_FEWEST_CHARACTERS} characters"
    return None


def _cut(whole: Passage) -> Iterator[Passage]:
    """The passages of a text; one of a file begins at a line of it."""
    file, sign, number = whole.where.rpartition(":")
    is_lines = bool(sign) and number.isdecimal()
    line, counted = int(number) if is_lines else 0, 0
    for start, end in cut_passages(whole.text):
        text = whole.text[start:end]
        begins = start + len(text) - len(text.lstrip())
        line, counted = line + whole.text.count("\n", counted, begins), begins
        yield Passage(text.strip(), f"{file}:{line}" if is_lines else whole.where)


def _inside(sources: Sequence[str]) -> Iterator[str]:
    """The sources, of a directory that holds text files each of its files."""
    for source in sources:
        path = Path(source).expanduser()
        inside = [] if is_held_name(source) or not path.is_dir() else sorted(path.iterdir())
        if any(map(_is_text, inside)):
            yield from (str(each) for each in inside if each.is_file() and (_is_text(each) or format_suffix(each)))
        else:
            yield source


def _is_text(path: Path) -> bool:
    return path.name.lower().endswith(TEXT_SUFFIXES)


def _read_one(
    source: str, column: str, form: FileForm, max_rejected_share: float, findings: RowFindings
) -> Iterator[Passage]:
    """The whole texts of a source that is no directory of text files."""
    if not is_held_name(source) and _is_text(Path(source)):
        path = Path(source).expanduser()
        if not path.is_file():
            raise DataError("The text file does not exist.", where=str(path), fix="check the path")
        yield Passage(read_text(path, form.encoding), f"{path}:1")
        return
    read = _read_rows(source, column, form, max_rejected_share)
    findings.extend(read.findings.items)
    findings.n_rows += len(read.findings.unused())
    yield from read.examples


def _read_rows(source: str, column: str, form: FileForm, max_rejected_share: float) -> ExampleSet[Passage]:
    reading: Reading[Passage] = Reading(form=form, mapped={"text": column} if column else {})
    names = (column,) if column else _COLUMNS

    def read_file(path: Path) -> None:
        for row in reading.rows(path):
            reading.findings.count_row()
            if isinstance(row, BadRow):
                reading.findings.add(rejected("row_unreadable", row.where, None, row.reason))
                continue
            reading.columns_seen = reading.columns_seen or tuple(map(str, row.value))
            texts = list(_texts_of(row, names))
            problem = next(filter(None, (text_problem(text, "text") for text in texts)), None)
            if problem is not None or not texts:
                message = problem.message if problem else f"The row has no {' or '.join(names)}."
                reading.findings.add(rejected("text_missing", row.where, None, message))
                continue
            reading.examples.extend(Passage(text, row.where) for text in texts)

    to_read = ToRead((source,), "train", "data/train.json", {"text": names[0]}, max_rejected_share)
    return read_sources(to_read, reading, read_file)


def _texts_of(row: Row, names: Sequence[str]) -> Iterator[Any]:
    """A row's text, or the contexts of the paragraphs below it."""
    value = row.value
    paragraphs = value.get("paragraphs")
    if isinstance(paragraphs, list):
        yield from (each["context"] for each in paragraphs if isinstance(each, dict) and "context" in each)
        return
    found = next((value[name] for name in names if name in value), None)
    if found is not None:
        yield found
