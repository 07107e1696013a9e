"""Files of words in columns: CoNLL and its kin. A word a line with its tags, an empty line after each sentence; or a
sentence a line, its words joined to their tags (``Ada|NNP|B-PER``)."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from distiltune.data.column_layout import ColumnFacts, Layout, facts_of, lay_out, lay_out_2012
from distiltune.data.file_form import AS_USUAL, FileForm
from distiltune.data.rows import BadRow, Row
from distiltune.data.streams import lines_without_ends, open_text
from distiltune.data.tag_schemes import looks_like_tags

SUFFIXES = (".conll", ".bio", ".iob", ".iob2", ".conllu", ".v4_gold_conll", ".v4_auto_conll")

_DOCUMENT_START = "-DOCSTART-"
_BEGIN_2012 = "#begin document"
_BLANKS = re.compile(r"[ \t]+")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]+)*:(?=.)|", re.DOTALL)
_SPACE = re.compile(r"\s")
_MARKED_LOOKED_AT = 1_000
_SHOWN_CHARACTERS = 40
_BRACKET = re.compile(r"(\(([^()*]+))?\*?(\))?")


class Sentence(NamedTuple):
    """The lines between two empty ones: their numbers in the file, what stands in the columns of each, and whether one
    begins with ``#``."""

    numbers: list[int]
    lines: list[Sequence[str]]
    has_marked: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """How words are joined to their tags, where they are: the sign, how many parts, whether a line is a sentence."""

    sign: str
    n_parts: int
    line_is_sentence: bool


@dataclass(frozen=True, slots=True)
class ColumnFile:
    """How a file is read: as columns, or as joined words if ``joined`` says so.

    ``language`` stands before every word, as WikiANN has it (``en:``). ``notes`` are what was decided beside that,
    each a kind and a sentence.
    """

    layout: Layout
    joined: Joined | None = None
    language: str = ""
    notes: tuple[tuple[str, str], ...] = ()


def read_columns(path: Path, form: FileForm = AS_USUAL) -> Iterator[Row | BadRow]:
    """Each sentence as a row with ``tokens``, ``tags`` if there are some, and every column by its number from 1.

    ``tokens`` and ``tags`` are None where `column_file` says that two columns fit. Columns are parted by tabs, or by
    blanks in a line without a tab; other white space, such as a no-break space, is part of a word. Lines that begin
    with ``#`` and are no word's are remarks. A sentence with a line that cannot be read is a `BadRow` at that line.
    """
    found = column_file(path, form.encoding)
    for sentence in _sentences(path, found.joined, form.encoding):
        words = _words(sentence, found.layout)
        if words.lines:
            yield _row(words, found.layout, path, len(found.language))


def column_file(path: Path, encoding: str = "") -> ColumnFile:
    """How the file is read, decided from all of it. Raises what opening and decoding it does."""
    stat = path.stat()
    return _column_file(path, encoding, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=16)
def _column_file(path: Path, encoding: str, changed: int, size: int) -> ColumnFile:
    """The same, remembered: a file is looked at when its task is settled, when it is checked, and when it is read."""
    marked: list[Sequence[str]] = []

    def lines(joined: Joined | None) -> Iterator[Sequence[Sequence[str]]]:
        for _, fields, has_marked in _sentences(path, joined, encoding):
            if not has_marked:
                yield fields
                continue
            if len(marked) < _MARKED_LOOKED_AT:
                marked.extend(filter(_is_marked, fields))
            if unmarked := [each for each in fields if not _is_marked(each)]:
                yield unmarked

    joined = _joined(lines(None))
    facts = facts_of(lines(joined))
    layout = lay_out_2012(facts) if _is_2012(path, encoding) else None
    layout = layout or lay_out(facts, lines(joined))
    language = _language(facts.get(layout.width, ()), layout)
    notes = [*_remarks(marked, layout), *_spaces(facts.get(layout.width, ()))]
    if language:
        notes.append(("language_before_words", f"Before every word stands {language!r}, which is left out."))
    return ColumnFile(layout if joined is None else _said_of(layout, joined), joined, language, tuple(notes))


def _language(columns: Sequence[ColumnFacts], layout: Layout) -> str:
    """The language that stands before every word; empty if none does, or if the file is of a few words."""
    words = columns[layout.tokens - 1].values if columns and layout.tokens else {}
    found = {match[0] if (match := _LANGUAGE.match(word)) else "" for word in words}
    return found.pop() if len(found) == 1 and len(words) > 1 else ""


def _remarks(marked: Iterable[Sequence[str]], layout: Layout) -> Iterator[tuple[str, str]]:
    """That there are remarks, with the first of these lines that is one."""
    remark = next((fields for fields in marked if not _is_marked_word(fields, layout)), None)
    if remark is not None:
        shown = " ".join(remark)[:_SHOWN_CHARACTERS]
        yield "remarks_passed_over", f"Lines that begin with # and hold no word are remarks, as {shown!r}."


def _spaces(columns: Iterable[ColumnFacts]) -> Iterator[tuple[str, str]]:
    """That white space stands inside of columns, where it is a part of what they hold."""
    spaced = {value: n for column in columns for value, n in column.values.items() if _SPACE.search(value)}
    if spaced:
        n = sum(spaced.values())
        held = f"{n:,} line{' holds' if n == 1 else 's hold'} white space inside a column, as {next(iter(spaced))!r}"
        yield "space_in_word", f"{held}: columns are parted at tabs and plain blanks only, so it is part of the word."


def _is_2012(path: Path, encoding: str) -> bool:
    with open_text(path, newline=None, encoding=encoding) as stream:
        return any(line.startswith(_BEGIN_2012) for line in itertools.islice(lines_without_ends(stream, path), 100))


def _said_of(layout: Layout, joined: Joined) -> Layout:
    unit = "sentence" if joined.line_is_sentence else "word"
    told = f"Each line is taken for a {unit}, its words joined to their tags by {joined.sign!r}. {layout.told}".strip()
    return replace(layout, told=told)


def _joined(sentences: Iterator[Sequence[Sequence[str]]]) -> Joined | None:
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


def _sentences(path: Path, joined: Joined | None, encoding: str) -> Iterator[Sentence]:
    """The lines between empty ones; of joined words, those of each line where a line is a sentence."""
    with open_text(path, newline=None, encoding=encoding) as stream:
        numbers: list[int] = []
        lines: list[Sequence[str]] = []
        has_marked = False
        for number, text in enumerate(lines_without_ends(stream, path), start=1):
            stripped = text.strip(" \t")
            if not stripped or (lines and joined is not None and joined.line_is_sentence):
                if lines:
                    yield Sentence(numbers, lines, has_marked)
                    numbers, lines, has_marked = [], [], False
                if not stripped:
                    continue
            if stripped[0] in "#-":
                if stripped.startswith(_DOCUMENT_START):
                    continue
                has_marked = has_marked or stripped[0] == "#"
            if joined is None:
                numbers.append(number)
                lines.append(_fields(text, stripped))
            else:
                parts = _parts(stripped, joined)
                numbers += [number] * len(parts)
                lines += parts
        if lines:
            yield Sentence(numbers, lines, has_marked)


def _fields(text: str, stripped: str) -> Sequence[str]:
    """What a line has between tabs, of which one at its end parts an empty field; or between blanks without any."""
    if "\t" in text:
        return [each.strip(" ") for each in text.split("\t")]
    fields = stripped.split(" ")
    return [each for each in fields if each] if "" in fields else fields


def _parts(stripped: str, joined: Joined) -> list[Sequence[str]]:
    """The words of a line, each with its tags; none of a remark."""
    values = _BLANKS.split(stripped)
    if stripped.startswith("#") and any(joined.sign not in value for value in values):
        return []
    return [value.rsplit(joined.sign, joined.n_parts - 1) for value in values]


def _is_marked(fields: Sequence[str]) -> bool:
    return fields[0][:1] == "#"


def _words(sentence: Sentence, layout: Layout) -> Sentence:
    """The lines that are words': neither remarks nor parts of one that CoNLL-U counts apart."""
    lines = sentence.lines
    if not layout.counter and not sentence.has_marked:
        return sentence
    kept = [place for place, fields in enumerate(lines) if _is_word(fields, layout)]
    return Sentence([sentence.numbers[place] for place in kept], [lines[place] for place in kept])


def _is_word(fields: Sequence[str], layout: Layout) -> bool:
    if layout.fits(fields) and layout.is_part_of_word(fields):
        return False
    return not _is_marked(fields) or _is_marked_word(fields, layout)


def _is_marked_word(fields: Sequence[str], layout: Layout) -> bool:
    """Whether a line that begins with ``#`` is a word's: it has the columns of one."""
    if not layout.fits(fields) or (layout.counter and not fields[layout.counter - 1].isdecimal()):
        return False
    return fields[layout.tags - 1] in layout.tag_values if layout.tags else layout.width == 1


def _row(sentence: Sentence, layout: Layout, path: Path, n_before: int) -> Row | BadRow:
    """The row of a sentence; ``n_before`` characters stand before each word."""
    numbers, lines, _ = sentence
    if set(map(len, lines)) == {layout.width} or all(map(layout.fits, lines)):
        columns = [list(column) for column in itertools.islice(zip(*lines, strict=False), layout.width)]
        if n_before:
            columns[layout.tokens - 1] = [word[n_before:] for word in columns[layout.tokens - 1]]
        words = columns[layout.tokens - 1] if layout.tokens else ["?"]
        tags = columns[layout.tags - 1] if layout.tags else ["?"]
        is_whole = "" not in words and "" not in tags and not any(map(str.isspace, words))
    else:
        is_whole = False
    if not is_whole:
        problems = ((number, _problem(fields, layout)) for number, fields in zip(numbers, lines, strict=True))
        return next(BadRow(f"{path}:{number}", reason) for number, reason in problems if reason)
    if layout.brackets:
        read = _of_brackets(tags)
        if read is None:
            return BadRow(f"{path}:{numbers[0]}", "has brackets in its tags that do not match.")
        columns[layout.tags - 1] = read
    value: dict[str, object] = {"tokens": columns[layout.tokens - 1] if layout.tokens else None}
    if layout.tags or layout.problem:
        value["tags"] = columns[layout.tags - 1] if layout.tags else None
    return Row({**value, **{str(i): column for i, column in enumerate(columns, 1)}}, f"{path}:{numbers[0]}")


def _problem(fields: Sequence[str], layout: Layout) -> str:
    """What is wrong with a word's line; empty if nothing is."""
    if not layout.fits(fields):
        shown = " ".join(fields)[:_SHOWN_CHARACTERS]
        if len(fields) == 1:
            return f"has a line without a tag, {shown!r}."
        return f"has a line of {len(fields)} columns where others have {layout.width}: {shown!r}."
    word = fields[layout.tokens - 1] if layout.tokens else "?"
    if not word or word.isspace():
        return "has a line without a word."
    if layout.tags and not fields[layout.tags - 1]:
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
