"""Names of columns below a title: found near the start of a table, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from distiltune.data.lines_below import lines_below


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.csv", "Requests 2024;;\nAs of July;;\n;;\nNo.; Area ;Text\n1;Bill;Twice\n", [(4, "No."), (5, "1")]),
        ("a.csv", "Requests\nNo.,Area\n1,Bill\n", [(2, "No."), (3, "1")]),
        ("a.tsv", "Requests\nNo.\tArea\n", [(2, "No.")]),
        ("a.csv", "text,label\n", []),
        ("a.csv", "title\nx,x\nx,\n", []),
        ("a.txt", "title\nNo.,Area\n", []),
        ("a.csv", "t\n" * 30 + "No.,Area\n", []),
    ],
)
def test_what_is_found(tmp_path: Path, name: str, content: str, found: list[tuple[int, str]]) -> None:
    (tmp_path / name).write_text(content)
    assert [(line.number, line.fields[0]) for line in lines_below(tmp_path / name)] == found


def test_what_cannot_be_read_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"title\nNo.,Stra\xdfe\n")
    assert list(lines_below(tmp_path / "a.csv")) == []
    assert list(lines_below(tmp_path / "absent.csv")) == []
