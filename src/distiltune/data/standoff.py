"""Marks apart from their text: brat's ``.ann`` beside a ``.txt``, PubTator's lines after a title and an abstract."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from distiltune.data.file_form import AS_USUAL, FileForm
from distiltune.data.rows import BadRow, Row
from distiltune.data.streams import bounded_lines, open_text, read_text
from distiltune.errors import DataError

BRAT = ".ann"
PUBTATOR = ".pubtator"

_MARK = re.compile(r"T[^\t]*\t(?P<label>\S+) (?P<places>\d+ \d+(?:;\d+ \d+)*)(?:\t(?P<text>.*))?", re.DOTALL)
_HEAD = re.compile(r"(?P<id>[^|\t]+)\|(?P<part>[ta])\|(?P<text>.*)", re.DOTALL)


def text_beside(path: Path) -> Path:
    """The text that a brat file of marks is about."""
    return path.with_suffix(".txt")


def read_brat(path: Path, form: FileForm = AS_USUAL) -> Iterator[Row | BadRow]:
    """The whole text as one row with ``spans``; relations, events, attributes and notes are passed over.

    A mark of several parts runs over what stands between them; it has all the places, so that this can be told. A line
    that cannot be read makes the text a `BadRow` at that line.
    """
    beside = text_beside(path)
    if not beside.is_file():
        yield BadRow(str(path), f"has no text: there is no {beside.name} beside it.")
        return
    try:
        text = read_text(beside, form.encoding)
    except DataError as error:  # of many texts one
        yield BadRow(error.where, f"has a text that cannot be read: {error.what}")
        return
    spans: list[dict[str, object]] = []
    n_other = 0
    with open_text(path, newline="", encoding=form.encoding) as stream:
        for number, line in enumerate(bounded_lines(stream, path), start=1):
            line = line.rstrip("\r\n")
            if not line.startswith("T"):
                n_other += bool(line.strip())
                continue
            match = _MARK.fullmatch(line)
            if match is None:
                yield BadRow(f"{path}:{number}", f"has a line that is no mark: {line[:40]!r}.")
                return
            spans.append(_span(match))
    told = "brat: the text beside the marks is one row"
    told += "; relations, events, attributes and notes are passed over" if n_other else ""
    yield Row({"id": path.stem, "text": text, "spans": spans}, str(path), told)


def _span(match: re.Match[str]) -> dict[str, object]:
    numbers = [int(number) for number in re.split("[ ;]", match["places"])]
    span: dict[str, object] = {"start": numbers[0], "end": numbers[-1], "label": match["label"]}
    if len(numbers) > 2:
        return {**span, "n_parts": len(numbers) // 2}
    return {**span, "text": match["text"]} if match["text"] else span


def read_pubtator(path: Path, form: FileForm = AS_USUAL) -> Iterator[Row | BadRow]:
    """Each article as a row: title and abstract as one text, and ``spans``; relations are passed over."""
    with open_text(path, newline="", encoding=form.encoding) as stream:
        block: list[tuple[int, str]] = []
        for number, line in enumerate(bounded_lines(stream, path), start=1):
            if line.strip():
                block.append((number, line.rstrip("\r\n")))
            elif block:
                yield _article(block, path)
                block = []
        if block:
            yield _article(block, path)


def _article(block: list[tuple[int, str]], path: Path) -> Row | BadRow:
    where = f"{path}:{block[0][0]}"
    parts: dict[str, str] = {}
    spans: list[dict[str, object]] = []
    article = ""
    for number, line in block:
        head = _HEAD.fullmatch(line)
        fields = line.split("\t")
        if head is not None:
            article = article or head["id"]
            parts[head["part"]] = head["text"]
        elif len(fields) >= 5 and fields[1].isdecimal() and fields[2].isdecimal():
            start, end = int(fields[1]), int(fields[2])
            spans.append({"start": start, "end": end, "label": fields[4], "text": fields[3]})
        elif len(fields) != 4:  # a relation has four
            return BadRow(f"{path}:{number}", f"has a line that is neither text nor a mark: {line[:40]!r}.")
    text = "\n".join(parts[name] for name in "ta" if name in parts)
    told = "PubTator: title and abstract are one text, a line end between them"
    return Row({"id": article, "text": text, "spans": spans}, where, told)
