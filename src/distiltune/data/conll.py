"""CoNLL columns: a word a line with its tag in the last column, an empty line after each sentence; both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from distiltune.data.rows import BadRow, Row
from distiltune.data.streams import bounded_lines, open_text

_TAG = re.compile(r"O|[BIESLUbieslu]-\S+")
_DOCUMENT_START = "-DOCSTART-"


def read_conll(path: Path) -> Iterator[Row | BadRow]:
    """Each sentence as a row with ``tokens`` and, if there is a second column, ``tags``.

    Columns are parted by tabs, or by blanks in a line without a tab. Lines that begin with ``# `` and do not end in a
    tag are remarks. A sentence with a line that has no tag, while others have, is a `BadRow`.
    """
    with open_text(path, newline="") as stream:
        lines: list[list[str]] = []
        first = 1
        for number, line in enumerate(bounded_lines(stream, path), start=1):
            fields = [] if not line.strip() else line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
            if fields and not (fields[0].startswith(_DOCUMENT_START) or _is_remark(line, fields)):
                first = first if lines else number
                lines.append(fields)
            elif lines and not fields:
                yield _row(lines, f"{path}:{first}")
                lines = []
        if lines:
            yield _row(lines, f"{path}:{first}")


def write_conll(sentences: Iterator[tuple[Sequence[str], Sequence[Sequence[str]]]]) -> Iterator[str]:
    """Lines of words, each with its tags in columns, and an empty line after each sentence."""
    for words, columns in sentences:
        for word, *tags in zip(words, *columns, strict=True):
            yield "\t".join((re.sub(r"\s", "_", word), *tags))
        yield ""


def _is_remark(line: str, fields: Sequence[str]) -> bool:
    return line.startswith("# ") and not _TAG.fullmatch(fields[-1])


def _row(lines: Sequence[Sequence[str]], where: str) -> Row | BadRow:
    tokens = [fields[0].strip() for fields in lines]
    if not all(tokens):
        return BadRow(where, "has a line without a word.")
    if all(len(fields) == 1 for fields in lines):
        return Row({"tokens": tokens}, where)
    without = next((fields for fields in lines if len(fields) == 1 or not fields[-1].strip()), None)
    if without is not None:
        return BadRow(where, f"has a line without a tag, {without[0]!r}.")
    return Row({"tokens": tokens, "tags": [fields[-1].strip() for fields in lines]}, where)
