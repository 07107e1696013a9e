"""The matrix's two files: a line of JSON a training, and beside it, a line each, what its coach went by."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks.coach_matrix.cell import Cell, Line, judge
from benchmarks.coach_matrix.rows import HALVES
from distiltune.coach.evidence import Evidence


def cell_of(line: Line) -> Cell:
    """The training that a line is of."""
    return Cell(line["task"], line["kind"], line["half"], line["seed"])


def read(output: Path) -> list[Line]:
    """The file's trainings; a new file is begun with which half is for what. A last line that was cut is left out."""
    if not output.is_file():
        output.write_text(json.dumps({"halves": HALVES, "parted by": "CRC-32 of the text, modulo 2"}) + "\n", "utf-8")
    return [line for line in _whole_lines(output) if "halves" not in line]


def _whole_lines(path: Path) -> Iterator[Line]:
    """Each line that was written to its end; what is behind the last line's end goes, so that it can be appended to."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        path.write_bytes(whole)
    yield from map(json.loads, whole.decode().splitlines())


def append(output: Path, line: Line, evidence: Evidence | None) -> None:
    """A training that has ended, what its coach went by first."""
    if evidence is not None:
        packed = base64.b64encode(zlib.compress(pickle.dumps(evidence), 9)).decode()
        with _beside(output).open("a", encoding="utf-8") as file:
            file.write(json.dumps({**cell_of(line).as_json(), "evidence": packed}) + "\n")
    with output.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _beside(output: Path) -> Path:
    return output.with_suffix(".evidence.jsonl")


def judged_again(lines: list[Line], output: Path) -> list[Line]:
    """Trainings judged by today's rules, from what was recorded of them; as they were where nothing was.

    Only for files of one's own: what was recorded are Python objects, and loading these runs what they say.
    """
    kept = (
        {cell_of(each): each["evidence"] for each in _whole_lines(_beside(output))} if _beside(output).is_file() else {}
    )
    found = []
    for line in lines:
        packed = kept.get(cell_of(line))
        if packed is None:
            found.append(line)
            continue
        evidence = pickle.loads(zlib.decompress(base64.b64decode(packed)))
        found.append({**line, **judge(cell_of(line).how, evidence)})
    return found
