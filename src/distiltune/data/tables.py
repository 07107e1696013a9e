"""CSV and TSV → rows: which line names the columns, what parts fields, what quotation marks are."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from distiltune.data.file_form import FileDecision, FileForm
from distiltune.data.quotes import (
    QuoteEvidence,
    Reading,
    are_marks_after_blanks,
    decide_quotes,
    look_at_quotes,
    other_reading,
    said_of_blanks,
)
from distiltune.data.rows import BadRow, Row
from distiltune.data.streams import bounded_lines, open_text
from distiltune.data.table_start import (
    LINES_LOOKED_AT,
    MOST_HEADERS,
    NULL,
    FirstLines,
    delimiters_of,
    first_lines,
    instead_of_tab,
    more_headers,
    rows_have_names,
    says_delimiter,
    signs_seen,
    unescaped,
)
from distiltune.errors import DataError

_ROWS_LOOKED_AT: Final = 20
_LONG_NAME: Final = 60
_SHOWN_NAMES: Final = 5
_BACKSLASHES: Final = (
    ' A quotation mark inside of it is written \\", as Spark does it, and not twice as tables have it: write the file '
    """with .option("escape", '"'), or as JSON lines or Parquet."""
)


def read_csv(path: Path, form: FileForm) -> Iterator[Row | BadRow | FileDecision]:
    """The rows of a table whose first lines tell what parts fields: a comma, semicolon, tab or bar."""
    first = first_lines(path, form)
    likeliest, delimiter = delimiters_of(first.lines)
    if not first.said and delimiter != likeliest:
        message = (
            f"{delimiter!r} is taken to part the fields: the line with the names has more of {likeliest!r}, and the "
            "rows have not."
        )
        yield FileDecision(str(path), "delimiter_of_rows", message)
    yield from _read(path, first, first.said or delimiter, form)


def read_tsv(path: Path, form: FileForm) -> Iterator[Row | BadRow | FileDecision]:
    """The rows of a table in which tabs part fields; or what does in all of its first lines, where none has a tab."""
    first = first_lines(path, form)
    instead = "" if first.said else instead_of_tab(first.lines)
    if instead:
        message = f"No line has a tab; {instead!r} parts the fields of each, so it is read as a .csv is."
        yield FileDecision(str(path), "no_tabs", message)
    yield from _read(path, first, first.said or instead or "\t", form)


@dataclass(frozen=True, slots=True)
class _Opening:
    """How the lines of a table begin and what parts their fields.

    Attributes:
        delimiter: what parts fields.
        said: what the first line says of that, as Excel has it, ``sep=;``.
        has_row_names: whether rows begin with a name of their own, of which the line with the names has none.

    """

    delimiter: str
    said: str = ""
    has_row_names: bool = False


@dataclass(frozen=True, slots=True)
class _Signs:
    """What signs mean in a table.

    Attributes:
        quotes: what quotation marks are.
        skips_blanks: whether blanks stand between what parts fields and quotation marks round them.
        has_escapes: whether a backslash and a letter stand for another sign, as ``\\n`` does for a line break.

    """

    quotes: Reading = "csv"
    skips_blanks: bool = False
    has_escapes: bool = False


def _read(path: Path, first_seen: FirstLines, delimiter: str, form: FileForm) -> Iterator[Row | BadRow | FileDecision]:
    """The rows of a table. A row of other width than the header is a `BadRow`, as is each line of a malformed one.

    Columns without a name are left out, and how often they hold something is told after the rows.
    """
    has_row_names = form.has_header and rows_have_names(first_seen.lines, delimiter)
    opening = _Opening(delimiter, first_seen.said, has_row_names)
    if opening.said:
        message = f"The first line says that {opening.said!r} parts the fields, as Excel writes it; it is no row."
        yield FileDecision(str(path), "delimiter_said", message)
    signs, decisions = _signs(path, opening, form)
    yield from decisions
    with open_text(path, newline="", encoding=form.encoding) as stream:
        records = _records(_lines(stream, path, opening), opening.delimiter, signs, path)
        first = next(records, None)
        if first is None:
            raise DataError("The file is empty.", where=str(path), fix="write a header and at least one row.")
        assert isinstance(first, _Record)  # _records has no bad row before the first good one
        as_written = first.fields
        if form.has_header and signs.quotes == "none":
            first = replace(first, fields=_unquoted(first.fields, opening.delimiter))
        table = _table(first, path, form)
        table.first_as_written, table.has_row_names = as_written, has_row_names
        table.has_escapes = signs.has_escapes
        for record in _below_header(records, table) if form.has_header else itertools.chain([first], records):
            if not isinstance(record, _Record):
                yield record
            elif not (form.has_header and table.repeats_names(record)):
                yield table.row(record)
    yield from table.decisions(form)


def _below_header(records: Iterator[_Record | BadRow], table: _Table) -> Iterator[_Record | BadRow]:
    """The rows but for those at the beginning that say more of the columns, and are no examples."""
    early = list(itertools.islice(records, MOST_HEADERS))
    whole = [each for each in early if isinstance(each, _Record)]
    n_headers = more_headers([each.fields for each in whole]) if len(whole) == len(early) else 0
    table.more_headers = [each.line for each in whole[:n_headers]]
    return itertools.chain(early[n_headers:], records)


def _lines(stream: io.TextIOWrapper, path: Path, opening: _Opening) -> Iterator[str]:
    """The lines with their ends; in place of one that says what parts fields an empty one, so that numbers stay.

    Where rows have names, the line with the names of the columns begins with an empty one for theirs.
    """
    is_to_come, is_header_to_come = bool(opening.said), opening.has_row_names
    for line in bounded_lines(stream, path):
        if is_to_come and says_delimiter(line):
            is_to_come = False
            line = "\n"
        if is_header_to_come and line.strip("\r\n"):
            is_header_to_come = False
            line = f"{opening.delimiter}{line}"
        yield line


def _signs(path: Path, opening: _Opening, form: FileForm) -> tuple[_Signs, list[FileDecision]]:
    """How to take quotation marks and backslashes: as was said, or as the whole file shows; and what to say of it."""
    most = LINES_LOOKED_AT if form.is_for_names else None

    def evidence(*, skips_blanks: bool) -> QuoteEvidence:
        with open_text(path, newline="", encoding=form.encoding) as stream:
            lines = itertools.islice(_lines(stream, path, opening), most)
            return look_at_quotes(lines, opening.delimiter, skips_blanks=skips_blanks)

    with open_text(path, newline="", encoding=form.encoding) as stream:
        seen = signs_seen(itertools.islice(_lines(stream, path, opening), most), opening.delimiter)
    if form.quoting == "none" or not seen.has_quotes:
        return _Signs("none" if form.quoting == "none" else "csv", has_escapes=seen.has_escapes), []
    plain = evidence(skips_blanks=False)
    # between tabs marks are text unless all shows that they are not
    has_blanks = plain.n_after_blanks > 0 and opening.delimiter != "\t"
    skipping = evidence(skips_blanks=True) if has_blanks else plain
    skips_blanks = has_blanks and are_marks_after_blanks(plain, skipping)
    told = [said_of_blanks(plain, path)] if skips_blanks else []
    reading, decision = (
        decide_quotes(skipping if skips_blanks else plain, opening.delimiter, path)
        if form.quoting == "auto"
        else (form.quoting, None)
    )
    return _Signs(reading, skips_blanks, seen.has_escapes), told + ([decision] if decision is not None else [])


@dataclass(frozen=True, slots=True)
class _Record:
    """The fields of a row, and the number of its first line, from 1."""

    line: int
    fields: list[str]


def _noted(lines: Iterator[str], last: list[str]) -> Iterator[str]:
    """The lines, of which the newest is also what ``last`` holds."""
    for line in lines:
        last[0] = line
        yield line


def _records(lines: Iterator[str], delimiter: str, signs: _Signs, path: Path) -> Iterator[_Record | BadRow]:
    """The rows as lists of fields, those without any left out; of one that is not well-formed each line is a `BadRow`.

    Raises `DataError` where the fields cannot be told apart from some line on, or not even those of the header.
    """
    # strict, because otherwise a quote never closed takes in the rest of the file without a word
    last = [""]
    lines = _noted(lines, last)
    if signs.quotes == "none":
        reader = csv.reader(lines, delimiter=delimiter, strict=True, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=signs.skips_blanks)
    has_begun = False
    while True:
        first = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if not has_begun or "unexpected end" in str(error) or "field limit" in str(error):
                raise _broken_quote(f"{path}:{first}", error, signs.quotes) from error
            way = _BACKSLASHES if '\\"' in last[0] else ""
            yield BadRow(f"{path}:{first}", f"is not well-formed: {error}.{way}")
            for number in range(first + 1, reader.line_num + 1):
                yield BadRow(f"{path}:{number}", f"is in a field in quotation marks that begins at line {first}.")
            continue
        if fields:
            has_begun = True
            yield _Record(first, fields)


def _broken_quote(where: str, error: csv.Error, reading: Reading) -> DataError:
    return DataError(
        f"From here on the fields cannot be told apart: {error}.",
        where=where,
        fix='look for a quotation mark that is never closed; inside a field it is written twice (""). '
        f"If quotation marks are text like any other: {other_reading(reading)}.",
    )


@dataclass(slots=True)
class _Table:
    """The columns of a table, empty for those without a name, and what its rows have shown of them so far.

    Attributes:
        first: the first line, which has the names or is a row.
        first_as_written: its fields before quotation marks round names were taken off.
        early: the first rows, to compare the first line with.
        names_again: lines that are the first once more, as where files were put together; they are no rows.
        n_beyond: rows with empty fields beyond the names, which are left out; the first is at line ``first_beyond``.
        n_single: rows whose every field stands in single quotation marks, which are no marks round a field here.
        n_rows: rows of the right width.
        n_unnamed: rows that hold something in a column without a name; the first is at line ``first_unnamed``.
        has_row_names: whether the first column has names of rows, and so none itself.
        more_headers: lines below the first that say more of the columns; they are no rows.
        has_escapes: whether a backslash and a letter stand for another sign.
        n_null: rows in which some field is null, as databases write it; the first is at line ``first_null``.

    """

    path: Path
    names: tuple[str, ...]
    first: _Record
    first_as_written: list[str] = field(default_factory=list)
    early: list[list[str]] = field(default_factory=list)
    names_again: list[int] = field(default_factory=list)
    n_beyond: int = 0
    first_beyond: int = 0
    n_single: int = 0
    n_rows: int = 0
    n_unnamed: int = 0
    first_unnamed: int = 0
    unnamed: tuple[int, ...] = ()
    n_needed: int = 0
    has_row_names: bool = False
    more_headers: list[int] = field(default_factory=list)
    has_escapes: bool = False
    n_null: int = 0
    first_null: int = 0

    def __post_init__(self) -> None:
        self.unnamed = tuple(i for i, name in enumerate(self.names) if not name)
        self.n_needed = max((i + 1 for i, name in enumerate(self.names) if name), default=0)

    def repeats_names(self, record: _Record) -> bool:
        """Whether a line is the one with the names again, which a row of two columns or more can hardly be."""
        is_again = len(self.first_as_written) > 1 and record.fields == self.first_as_written
        if is_again:
            self.names_again.append(record.line)
        return is_again

    def row(self, record: _Record) -> Row | BadRow:
        """The row of a record; columns without a name at its end may be missing, empty fields beyond them be there."""
        where = f"{self.path}:{record.line}"
        fields = record.fields
        if len(fields) > len(self.names) and not any(map(str.strip, fields[len(self.names) :])):
            fields = fields[: len(self.names)]
            self.n_beyond += 1
            self.first_beyond = self.first_beyond or record.line
        if not self.n_needed <= len(fields) <= len(self.names):
            message = f"has {len(fields)} fields where the header has {len(self.names)}."
            return BadRow(where, message, is_of_other_width=True)
        self.n_rows += 1
        self.n_single += all(len(each) > 1 and each[0] == each[-1] == "'" for each in fields)
        if len(self.early) < _ROWS_LOOKED_AT:
            self.early.append(fields)
        values = self._values(fields, record.line) if NULL in fields or self.has_escapes else fields
        if not self.unnamed:
            return Row(dict(zip(self.names, values, strict=True)), where)
        if any(fields[i].strip() for i in self.unnamed if i < len(fields)):
            self.n_unnamed += 1
            self.first_unnamed = self.first_unnamed or record.line
        return Row({name: each for name, each in zip(self.names, values, strict=False) if name}, where)

    def _values(self, fields: Sequence[str], line: int) -> list[str | None]:
        """The fields with nulls as None, and without escapes where the table has some."""
        if NULL in fields:
            self.n_null += 1
            self.first_null = self.first_null or line
        escaped = (None if each == NULL else each for each in fields)
        return [unescaped(each) if each is not None and self.has_escapes else each for each in escaped]

    def decisions(self, form: FileForm) -> Iterator[FileDecision]:
        """What was decided about the first line and about columns without a name."""
        shown = ", ".join(repr(_short(name)) for name in self.first.fields[:_SHOWN_NAMES])
        more = ", ..." if len(self.first.fields) > _SHOWN_NAMES else ""
        line = f"Line {self.first.line} ({shown}{more})"
        if form.has_header and _looks_like_a_row(self.names, self.early):
            message = f"{line} was taken for the names of the columns. If it is a row: {NO_HEADER}."
            yield FileDecision(str(self.path), "first_line_names", message)
        if not form.has_header and not _looks_like_a_row(self.first.fields, self.early[1:]):
            message = f"{line} is read as a row, as --no-header says. If it names the columns, leave that out."
            yield FileDecision(str(self.path), "first_line_a_row", message)
        if self.names_again:
            lines = ", ".join(map(str, self.names_again[:_SHOWN_NAMES])) + ", ..." * (
                len(self.names_again) > _SHOWN_NAMES
            )
            message = f"The names of the columns stand again at line {lines}; that is no row."
            yield FileDecision(str(self.path), "names_again", message)
        if self.more_headers:
            lines = ", ".join(map(str, self.more_headers))
            message = f"Line {lines} says more of the columns (kinds of values, ids of questions), and is no row."
            yield FileDecision(str(self.path), "more_headers", message)
        if self.n_null:
            rows = "1 row has" if self.n_null == 1 else f"{self.n_null:,} rows have"
            also = r", and \n, \t and \\ as a line break, a tab and a backslash" if self.has_escapes else ""
            message = (
                rf"{rows} \N in some field, the first at line {self.first_null}: it is read as nothing{also}, as "
                "databases write them."
            )
            yield FileDecision(str(self.path), "nulls", message)
        if self.n_beyond:
            message = (
                f"{self.n_beyond:,} rows have empty fields beyond the {len(self.names)} that have names, the first at "
                f"line {self.first_beyond}; these are left out."
            )
            yield FileDecision(str(self.path), "fields_beyond", message)
        if self.n_single > self.n_rows / 2:
            message = (
                f"In {self.n_single:,} of {self.n_rows:,} rows each field stands in single quotation marks, which are "
                "read as characters of it; if they are marks, write double ones."
            )
            yield FileDecision(str(self.path), "single_quotes", message)
        if self.has_row_names:
            message = (
                f"The line with the names has one fewer than the rows have fields ({len(self.names)}), whose first is "
                "a number of the row, as R writes it: it is left out."
            )
            yield FileDecision(str(self.path), "row_names", message)
        elif self.unnamed:
            numbers = ", ".join(str(i + 1) for i in self.unnamed)
            message = f"Columns without a name are ignored: {numbers} of {len(self.names)}."
            if self.n_unnamed:
                rows = "row holds" if self.n_unnamed == 1 else "rows hold"
                message += (
                    f" {self.n_unnamed:,} {rows} something there, the first at line {self.first_unnamed}; "
                    "if a text goes on there, mend the file."
                )
            yield FileDecision(str(self.path), "columns_unnamed", message)


NO_HEADER: Final = "--no-header, and columns by number, as in --columns FIELD=1"
"""The way to say that a table's first line is a row."""


def _table(first: _Record, path: Path, form: FileForm) -> _Table:
    """The table that begins with this line. Raises `DataError` if it names no columns, or two alike."""
    if not form.has_header:
        return _Table(path, tuple(str(number + 1) for number in range(len(first.fields))), first)
    names = [name.strip() for name in first.fields]
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated or not any(names):
        raise DataError(
            f"The header has {repeated[0]!r} more than once." if repeated else "The header names no column.",
            where=f"{path}:{first.line}",
            fix=f"give each column its own name; if this line is a row: {NO_HEADER}.",
        )
    return _Table(path, tuple(names), first)


def _unquoted(fields: list[str], delimiter: str) -> list[str]:
    """Names without the quotation marks round them, which are no part of a name even where they are text in rows."""
    try:
        (unquoted,) = csv.reader([delimiter.join(fields)], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError):
        return fields
    # a name may have a comma, but hardly a tab
    return unquoted if len(unquoted) == len(fields) or delimiter != "\t" else fields


def _looks_like_a_row(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a first line has what names rarely have: numbers, long texts, or what its column has again."""
    columns = [{row[i] for row in rows if i < len(row)} for i in range(len(names))]
    return any(
        name and (_is_number(name) or len(name) > _LONG_NAME or name in column)
        for name, column in zip(names, columns, strict=True)
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _short(text: str) -> str:
    return text if len(text) <= _LONG_NAME else f"{text[: _LONG_NAME - 3]}..."
