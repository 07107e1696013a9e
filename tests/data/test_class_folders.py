"""A folder for each class: told as such where rows are wanted, with a line that makes a table of it."""

from __future__ import annotations

import csv
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from distiltune.data.class_folders import classes_in, way_to_table
from distiltune.data.files import data_files
from distiltune.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "mood's"
    for name, texts in {"glad": ("What a day,\nall of it", "Ünder"), "sad": ('She said "no"',)}.items():
        (top / name).mkdir(parents=True)
        for place, text in enumerate(texts):
            (top / name / f"{place}.txt").write_text(text, encoding="utf-8")
    return top


def test_the_line_makes_the_table(folder: Path) -> None:
    with pytest.raises(DataError, match=r"2 folders with texts \(glad, sad\)") as caught:
        data_files(folder)
    python, *arguments = shlex.split(caught.value.fix.partition("of it: ")[2])
    assert python == "python"
    subprocess.run([sys.executable, *arguments], cwd=folder.parent, check=True)
    with (folder.parent / "mood's.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["text", "label"],
        ["What a day,\nall of it", "glad"],
        ["Ünder", "glad"],
        ['She said "no"', "sad"],
    ]


def test_other_folders_are_none(folder: Path) -> None:
    assert classes_in(folder) == ["glad", "sad"]
    (folder / "read.txt").write_text("more")
    assert classes_in(folder) == []
    assert not way_to_table(folder / "glad")
    assert not way_to_table(folder / "absent")


def test_folders_with_data_are_no_classes(folder: Path) -> None:
    (folder / "sad" / "0.ann").write_text("T1\tNAME 0 3\tShe\n")
    with pytest.raises(DataError, match="holds no data file\\.") as caught:
        data_files(folder)
    assert "folders in it are not entered" in caught.value.fix
