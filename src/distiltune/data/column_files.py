"""Files of words in columns: CoNLL and its kin. A word a line with its tags, an empty line after each sentence; or a
sentence a line, its words joined to their tags (``Ada|NNP|B-PER``)."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from distiltune.data.column_layout import Layout, facts_of, lay_out, lay_out_2012
from distiltune.data.file_form import AS_USUAL, FileForm
from distiltune.data.rows import BadRow, Row
from distiltune.data.streams import bounded_lines, open_text
from distiltune.data.tag_schemes import looks_like_tags

SUFFIXES = (".conll", ".bio", ".iob", ".iob2", ".conllu", ".v4_gold_conll", ".v4_auto_conll")

_DOCUMENT_START = "-DOCSTART-"
_BEGIN_2012 = "#begin document"
_BLANKS = re.compile(r"[ \t]+")
_BRACKET = re.compile(r"(\(([^()*]+))?\*?(\))?")


class Line(NamedTuple):
    """A line of a file: its number, what stands in its columns, and whether it begins with ``#``."""

    number: int
    fields: Sequence[str]
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """How words are joined to their tags, where they are: the sign, how many parts, whether a line is a sentence."""

    sign: str
    n_parts: int
    line_is_sentence: bool


@dataclass(frozen=True, slots=True)
class ColumnFile:
    """How a file is read: as columns, or as joined words if ``joined`` says so."""

    layout: Layout
    joined: Joined | None = None


def read_columns(path: Path, form: FileForm = AS_USUAL) -> Iterator[Row | BadRow]:
    """Each sentence as a row with ``tokens``, ``tags`` if there are some, and every column by its number from 1.

    ``tokens`` and ``tags`` are None where `column_file` says that two columns fit. Columns are parted by tabs, or by
    blanks in a line without a tab; other white space, such as a no-break space, is part of a word. Lines that begin
    with ``#`` and are no word's are remarks. A sentence with a line that cannot be read is a `BadRow` at that line.
    """
    found = column_file(path, form.encoding)
    for sentence in _sentences(path, found.joined, form.encoding):
        lines = [line for line in sentence if _is_word(line, found.layout)]
        if lines:
            yield _row(lines, found.layout, path)


def column_file(path: Path, encoding: str = "") -> ColumnFile:
    """How the file is read, decided from all of it. Raises what opening and decoding it does."""
    stat = path.stat()
    return _column_file(path, encoding, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=16)
def _column_file(path: Path, encoding: str, changed: int, size: int) -> ColumnFile:
    """The same, remembered: a file is looked at when its task is settled, when it is checked, and when it is read."""

    def lines(joined: Joined | None) -> Iterator[list[Sequence[str]]]:
        for sentence in _sentences(path, joined, encoding):
            if fields := [line.fields for line in sentence if not line.is_marked]:
                yield fields

    joined = _joined(lines(None))
    facts = facts_of(lines(joined))
    layout = lay_out_2012(facts) if _is_2012(path, encoding) else None
    layout = layout or lay_out(facts, lines(joined))
    if joined is None:
        return ColumnFile(layout)
    return ColumnFile(_said_of(layout, joined), joined)


def _is_2012(path: Path, encoding: str) -> bool:
    with open_text(path, newline="", encoding=encoding) as stream:
        return any(line.startswith(_BEGIN_2012) for line in itertools.islice(bounded_lines(stream, path), 100))


def _said_of(layout: Layout, joined: Joined) -> Layout:
    unit = "sentence" if joined.line_is_sentence else "word"
    told = f"Each line is taken for a {unit}, its words joined to their tags by {joined.sign!r}. {layout.told}".strip()
    return replace(layout, told=told)


def _joined(sentences: Iterator[list[Sequence[str]]]) -> Joined | None:
    """How words and tags are joined, if every field of the file is so and one of its parts holds tags."""
    least: dict[str, int] = {}
    n_fields, has_long_line = 0, False
    kept: list[str] = []
    for fields in itertools.chain.from_iterable(sentences):
        has_long_line = has_long_line or len(fields) > 1
        for value in fields:
            n_fields += 1
            for sign in "|/":
                least[sign] = min(least.get(sign, 9), value.count(sign))
        if n_fields < 10_000:
            kept += fields
        if n_fields and not any(least.values()):
            return None
    for sign, n in least.items():
        if n:
            parts = facts_of([[value.rsplit(sign, n) for value in kept]])[n + 1]
            if any(looks_like_tags(part.values) for part in parts):
                return Joined(sign, n + 1, has_long_line)
    return None


def _sentences(path: Path, joined: Joined | None, encoding: str) -> Iterator[list[Line]]:
    """The lines between empty ones; of joined words, those of each line where a line is a sentence."""
    with open_text(path, newline="", encoding=encoding) as stream:
        lines: list[Line] = []
        for number, text in enumerate(bounded_lines(stream, path), start=1):
            text = text.rstrip("\r\n")
            stripped = text.strip(" \t")
            if not stripped:
                if lines:
                    yield lines
                lines = []
            elif not stripped.startswith(_DOCUMENT_START):
                lines += _lines(text, stripped, number, joined)
                if joined and joined.line_is_sentence and lines:
                    yield lines
                    lines = []
        if lines:
            yield lines


def _lines(text: str, stripped: str, number: int, joined: Joined | None) -> list[Line]:
    is_marked = text.startswith("#")
    if joined is None:
        if "\t" in text:
            return [Line(number, [each.strip(" ") for each in text.split("\t")], is_marked)]
        return [Line(number, [each for each in stripped.split(" ") if each], is_marked)]
    values = _BLANKS.split(stripped)
    if is_marked and any(joined.sign not in value for value in values):
        return []  # a remark
    return [Line(number, value.rsplit(joined.sign, joined.n_parts - 1)) for value in values]


def _is_word(line: Line, layout: Layout) -> bool:
    """Whether a line is a word's: neither a remark nor a part of one that CoNLL-U counts apart."""
    if layout.fits(line.fields) and layout.is_part_of_word(line.fields):
        return False
    if not line.is_marked:
        return True
    if not layout.fits(line.fields) or (layout.counter and not line.fields[layout.counter - 1].isdecimal()):
        return False
    return line.fields[layout.tags - 1] in layout.tag_values if layout.tags else layout.width == 1


def _row(lines: Sequence[Line], layout: Layout, path: Path) -> Row | BadRow:
    for line in lines:
        if reason := _problem(line, layout):
            return BadRow(f"{path}:{line.number}", reason)
    columns: Mapping[str, list[str]] = {
        str(i): [line.fields[i - 1] for line in lines] for i in range(1, layout.width + 1)
    }
    if layout.brackets:
        tags = _of_brackets(columns[str(layout.tags)])
        if tags is None:
            return BadRow(f"{path}:{lines[0].number}", "has brackets in its tags that do not match.")
        columns = {**columns, str(layout.tags): tags}
    value: dict[str, object] = {"tokens": columns.get(str(layout.tokens))}
    if layout.tags or layout.problem:
        value["tags"] = columns.get(str(layout.tags))
    return Row({**value, **columns}, f"{path}:{lines[0].number}")


def _problem(line: Line, layout: Layout) -> str:
    """What is wrong with a word's line; empty if nothing is."""
    if not layout.fits(line.fields):
        shown = " ".join(line.fields)[:40]
        if len(line.fields) == 1:
            return f"has a line without a tag, {shown!r}."
        return f"has a line of {len(line.fields)} columns where others have {layout.width}: {shown!r}."
    word = line.fields[layout.tokens - 1] if layout.tokens else "?"
    if not word or word.isspace():
        return "has a line without a word."
    if layout.tags and not line.fields[layout.tags - 1]:
        return f"has a line without a tag, {word!r}."
    return ""


def _of_brackets(values: Sequence[str]) -> list[str] | None:
    """CoNLL-2012's ``(PERSON*``, ``*``, ``*)`` and ``(ORG)`` as B- and I-; None if they do not match."""
    tags, label, is_first = [], "", False
    for value in values:
        match = _BRACKET.fullmatch(value)
        if match is None or (match[2] and label) or (match[3] and not label and not match[2]):
            return None
        if match[2]:
            label, is_first = match[2], True
        tags.append(f"{'B' if is_first else 'I'}-{label}" if label else "O")
        is_first = False
        if match[3]:
            label = ""
    return None if label else tags
