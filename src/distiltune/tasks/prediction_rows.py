"""The lines of `predictions.jsonl`: one for every row of the input, in its order, so that the two can be joined."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from distiltune.data.row_findings import RowFindings

Line = dict[str, Any]


def every_row(
    predicted: Iterable[tuple[str, Line]], findings: RowFindings, nothing: Mapping[str, None]
) -> Iterator[Line]:
    """One object a row, in the order of the files.

    Of a text its id, its file and line, and what was predicted; of a row that was left out its place, and why.

    Args:
        predicted: the place of each example, ``file:line`` or ``file#number``, and its line, which begins with the id.
        findings: what was noticed when the rows were read.
        nothing: what stands for the prediction where a row was left out.

    """
    lines = [(where, {"id": line["id"], **_place(where), **line}) for where, line in predicted]
    for finding in findings.unused():
        said = {"rejected": finding.message, "kind": finding.kind}
        lines.append((finding.where, {"id": finding.row_id or None, **_place(finding.where), **nothing, **said}))
    files = {file: number for number, file in enumerate(dict.fromkeys(place_of(where)[0] for where, _ in lines))}

    def order(entry: tuple[str, Line]) -> tuple[int, int]:
        file, number = place_of(entry[0])
        return files[file], number or 0

    yield from (line for _, line in sorted(lines, key=order))


def place_of(where: str) -> tuple[str, int | None]:
    """The file and the line of ``file:line``, or the file and the number from 0 of ``file#number``; None: neither."""
    found = re.fullmatch(r"(.*)[:#](\d+)", where, re.DOTALL)
    return (found[1], int(found[2])) if found else (where, None)


def _place(where: str) -> dict[str, str | int]:
    """The file, and the line or the row's number from 0, as far as they are known."""
    file, number = place_of(where)
    if not file or number is None:
        return {"file": file} if file else {}
    return {"file": file, "line" if where[len(file)] == ":" else "row": number}
