"""What documents are called to those who ask: by their place in the folder, never by that on the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from distiltune.tasks.question_answering.serve.folder_names import folders_of, names_in_folders


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where two folders lie: `one/docs` with a folder in it, and `two/docs`."""
    for folder in ("one/docs/letters", "two/docs"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def called(named: list[str], files: list[str]) -> list[str]:
    return list(names_in_folders(folders_of(named), files).values())


@pytest.mark.parametrize(
    ("named", "files", "names"),
    [
        (["one/docs"], ["one/docs/a.txt", "one/docs/letters/may.md"], ["a.txt", "letters/may.md"]),
        (["."], ["one/docs/a.txt"], ["one/docs/a.txt"]),
        (["one/docs/letters/may.md"], ["one/docs/letters/may.md"], ["may.md"]),
        (["one/docs/*.txt"], ["one/docs/a.txt"], ["a.txt"]),
        (["one/**/*.md"], ["one/docs/letters/may.md", "one/docs/b.md"], ["docs/letters/may.md", "docs/b.md"]),
        (
            ["one/docs", "two/docs"],
            ["one/docs/a.txt", "two/docs/a.txt", "two/docs/b.txt"],
            ["docs/a.txt", "docs/a.txt (2)", "docs/b.txt"],
        ),
        (["one/docs", "two/docs/b.txt"], ["one/docs/a.txt", "two/docs/b.txt"], ["docs/a.txt", "docs/b.txt"]),
    ],
    ids=["a folder", "where one is", "a file", "a pattern", "a deep pattern", "two of one name", "a folder and a file"],
)
def test_names_are_places_in_the_folder(here: Path, named: list[str], files: list[str], names: list[str]) -> None:
    assert called(named, files) == names
    absolute = [str(here / each) for each in named], [str(here / each) for each in files]
    assert called(*absolute) == names


def test_what_is_no_utf8_can_be_sent_all_the_same(here: Path) -> None:
    files = [f"one/docs/{os.fsdecode(name)}.txt" for name in (b"\xff", b"\xfe")]
    assert called(["one/docs"], files) == ["?.txt", "?.txt (2)"]


def test_a_file_of_another_folder_is_told_by_its_own_name(here: Path) -> None:
    assert called(["one/docs"], ["/somewhere/else/c.txt"]) == ["c.txt"]
