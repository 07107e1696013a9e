"""What quotation marks are in a table: marks round a field, or characters of its text like any other.

A text that begins with a quotation mark and has none at its end makes a reader that takes it for a mark swallow all
lines up to the next one, without a word: 10 to 12 % of some published sets. Which of the two it is, only the whole
file shows: swallowed lines have a table's number of fields each, lines of one text rarely do.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from distiltune.data.file_form import FileDecision, Quoting
from distiltune.errors import DataError

MOST_FIT: Final = 2 / 3
"""Of the lines inside quotation marks, a share of rows of the right width above which they are no lines of a text."""

_FEW_LINES: Final = 6
"""So few lines inside quotation marks can all have a row's width by chance, where commas part fields."""

Reading = Literal["csv", "none"]
"""As `Quoting`, once it is decided."""


@dataclass(frozen=True, slots=True)
class QuoteEvidence:
    """What both readings of a table make of it; the header counts, lines without any field do not.

    Attributes:
        width: fields of the header, which every row should have.
        n_lines: rows where quotation marks are characters.
        n_wrong_lines: of those, rows of another width.
        n_rows: rows where they are marks; a row that is not well-formed counts once.
        n_wrong_rows: of those, rows of another width, or not well-formed.
        n_malformed: rows that are not well-formed.
        n_covered: lines of the rows that go over several lines.
        n_covered_fit: of those, lines that have a row's width by themselves.
        first_covered: the number of the first such line, from 1; 0 if there is none.
        n_inside: rows on one line in which quotation marks hold what parts fields.
        is_unclosed: whether the last quotation mark is never closed.
        n_after_blanks: rows with a field that begins with blanks and a quotation mark; the first is at line
            ``first_after_blanks``.

    """

    width: int = 0
    n_lines: int = 0
    n_wrong_lines: int = 0
    n_rows: int = 0
    n_wrong_rows: int = 0
    n_malformed: int = 0
    n_covered: int = 0
    n_covered_fit: int = 0
    first_covered: int = 0
    n_inside: int = 0
    is_unclosed: bool = False
    n_after_blanks: int = 0
    first_after_blanks: int = 0

    @property
    def is_broken(self) -> bool:
        """Whether quotation marks as marks leave something that cannot be read."""
        return self.is_unclosed or self.n_malformed > 0

    @property
    def share_fit(self) -> float:
        """How many of the lines inside quotation marks are rows by their width, 0 to 1."""
        return self.n_covered_fit / self.n_covered if self.n_covered else 0.0


def look_at_quotes(lines: Iterable[str], delimiter: str, *, skips_blanks: bool = False) -> QuoteEvidence:
    """Read a table both ways.

    Args:
        lines: with their ends.
        delimiter: what parts fields.
        skips_blanks: whether blanks after what parts fields are no part of a field, so that marks may follow them.

    """
    taken: list[str] = []
    reader = csv.reader(_recorded(lines, taken), delimiter=delimiter, strict=True, skipinitialspace=skips_blanks)
    width = n_lines = n_wrong_lines = n_rows = n_wrong_rows = n_malformed = 0
    n_covered = n_covered_fit = first_covered = n_inside = n_after_blanks = first_after_blanks = 0
    is_unclosed = False
    while True:
        taken.clear()
        first = reader.line_num + 1
        fields: list[str] | None = None
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            is_unclosed = "unexpected end" in str(error)
            n_malformed += not is_unclosed
        if fields == []:
            continue
        widths = [line.count(delimiter) + 1 for line in taken if line.strip("\r\n")]
        width = width or (len(fields) if fields is not None else widths[0])
        n_fit = widths.count(width)
        n_lines, n_wrong_lines = n_lines + len(widths), n_wrong_lines + len(widths) - n_fit
        if any(each[:1] == " " and each.lstrip(" ")[:1] == '"' for each in fields or ()):
            n_after_blanks, first_after_blanks = n_after_blanks + 1, first_after_blanks or first
        n_rows, n_wrong_rows = n_rows + 1, n_wrong_rows + (fields is None or len(fields) != width)
        if len(taken) > 1:
            n_covered, n_covered_fit = n_covered + len(taken), n_covered_fit + n_fit
            first_covered = first_covered or first
        elif fields is not None:
            n_inside += len(fields) != widths[0]
        if is_unclosed:
            break
    return QuoteEvidence(
        *(width, n_lines, n_wrong_lines, n_rows, n_wrong_rows, n_malformed),
        *(n_covered, n_covered_fit, first_covered, n_inside),
        is_unclosed,
        n_after_blanks,
        first_after_blanks,
    )


def _recorded(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    """The lines, each also noted in ``taken``."""
    for line in lines:
        taken.append(line)
        yield line


def decide_quotes(evidence: QuoteEvidence, delimiter: str, path: Path) -> tuple[Reading, FileDecision | None]:
    """How to take the quotation marks of a table, and the sentence that says so; None where both ways are one.

    Raises:
        DataError: if two readings fit, naming both ways to say which it is.

    """
    is_tab = delimiter == "\t"
    if not (evidence.is_broken or evidence.n_covered or evidence.n_inside):
        return "csv", None
    literal_fits = evidence.n_wrong_lines == 0 and (evidence.width > 1 or is_tab)
    if evidence.is_broken:
        # Where commas part fields, a mark that is never closed may also be where a file was cut off.
        is_text = is_tab or (literal_fits and not evidence.is_unclosed)
        return ("none", _literal(evidence, path)) if is_text else ("csv", None)
    if evidence.n_covered == 0:  # tabs or commas in fields on one line
        if not is_tab:
            return "csv", None
        is_right = evidence.n_wrong_rows < evidence.n_wrong_lines
        return ("csv", _around(evidence, path)) if is_right else ("none", _literal(evidence, path))
    if is_tab and (evidence.width == 1 or evidence.share_fit > MOST_FIT or evidence.n_wrong_rows):
        return "none", _literal(evidence, path)
    is_doubtful = evidence.width > 1 and evidence.share_fit > MOST_FIT
    if not is_tab and is_doubtful and (literal_fits or evidence.n_covered > _FEW_LINES):
        raise _two_fit(evidence, path)
    return "csv", _around(evidence, path)


def are_marks_after_blanks(plain: QuoteEvidence, skipping: QuoteEvidence) -> bool:
    """Whether marks after blanks stand round fields, as people write who put a blank after each comma.

    They do where every one of them is closed just before the next field, and no row gets another width than the header
    that had it with the blanks as part of the field (``plain``).
    """
    if skipping.is_unclosed or skipping.n_malformed > plain.n_malformed:
        return False
    fits_better = skipping.n_wrong_rows < plain.n_wrong_rows
    return fits_better or (skipping.n_wrong_rows == plain.n_wrong_rows and skipping.n_covered <= plain.n_covered)


def said_of_blanks(plain: QuoteEvidence, path: Path) -> FileDecision:
    """The sentence that says that such marks are taken so."""
    rows = "1 row has" if plain.n_after_blanks == 1 else f"{plain.n_after_blanks:,} rows have"
    message = (
        f"{rows} blanks before a quotation mark round a field, the first at line {plain.first_after_blanks}: blanks "
        "after what parts fields are left out. If they and the marks are text: --quoting none."
    )
    return FileDecision(str(path), "blanks_before_quotes", message)


def other_reading(quoting: Quoting) -> str:
    """The flag for the other way to take quotation marks."""
    return "--quoting csv" if quoting == "none" else "--quoting none"


def _literal(evidence: QuoteEvidence, path: Path) -> FileDecision:
    otherwise = ""
    if evidence.is_unclosed:
        otherwise = "; as marks round fields one would never be closed"
    elif evidence.n_covered:
        otherwise = (
            f"; as marks round fields they would make {evidence.n_rows:,} rows of {evidence.n_lines:,} lines, "
            f"the first of several lines at line {evidence.first_covered}"
        )
    message = (
        f"Quotation marks are taken as characters of the text: each of {evidence.n_lines:,} lines, that with the names "
        f"included, is a row{otherwise}. If they are marks round fields: --quoting csv."
    )
    return FileDecision(str(path), "quotes_in_text", message)


def _around(evidence: QuoteEvidence, path: Path) -> FileDecision:
    what = (
        f"{evidence.n_lines:,} lines are {evidence.n_rows:,} rows, the line with the names included"
        if evidence.n_covered
        else f"in {evidence.n_inside:,} rows they hold tabs"
    )
    message = f"Quotation marks are taken as marks round fields: {what}. If they are text: --quoting none."
    return FileDecision(str(path), "quotes_round_fields", message)


def _two_fit(evidence: QuoteEvidence, path: Path) -> DataError:
    return DataError(
        f"What the quotation marks mean cannot be told: as marks round fields they make one row of several lines, "
        f"and {evidence.n_covered_fit:,} of these {evidence.n_covered:,} lines are rows by themselves.",
        where=f"{path}:{evidence.first_covered}",
        fix="look at that line, and say --quoting none if each line is a row, or --quoting csv if a text goes over "
        "several lines.",
    )
