"""Texts of any kind of file → passages, each with its place; nothing is left out silently."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from distiltune.data.file_form import AS_USUAL
from distiltune.errors import DataError, RecipeError
from distiltune.tasks.question_answering.making.texts import Passages, read_passages

ONE = "The first passage tells of a harbour town that has a long pier of stone."
TWO = "The second passage tells of a river, and of the people who live beside it."


def read(*sources: Path, columns: str = "", n: int = 0) -> Passages:
    return read_passages([str(each) for each in sources], columns, AS_USUAL, 0.05, n)


def test_all_forms_give_the_same_passages(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(ONE, encoding="utf-8")
    (tmp_path / "a.md.gz").write_bytes(gzip.compress(ONE.encode()))
    (tmp_path / "a.csv").write_text(f'id,text\n1,"{ONE}"\n', encoding="utf-8")
    (tmp_path / "a.jsonl").write_text(json.dumps({"context": ONE, "question": "?"}) + "\n", encoding="utf-8")
    squad = {"data": [{"title": "t", "paragraphs": [{"context": ONE, "qas": []}]}]}
    (tmp_path / "a.json").write_text(json.dumps(squad), encoding="utf-8")
    for path in sorted(tmp_path.iterdir()):
        assert [each.text for each in read(path).passages] == [ONE], path
    whole = read(tmp_path)
    assert [each.text for each in whole.passages] == [ONE]
    assert whole.findings.counts() == {"left_out/duplicate": 4}


def test_a_long_text_is_cut_and_each_passage_knows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n\n".join([ONE * 8, TWO * 8, "short"]), encoding="utf-8")
    found = read(path)
    assert [each.where.rpartition(":")[2] for each in found.passages] == ["1", "3"]
    assert all(each.text == each.text.strip() and len(each.text) <= 1_000 for each in found.passages)
    assert read(path, n=1).passages == found.passages[:1]


def test_a_column_of_another_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'id,body\n1,"{ONE}"\n2,"{TWO}"\n', encoding="utf-8")
    assert len(read(path, columns="text=body").passages) == 2
    with pytest.raises(DataError, match="None of the 2 rows"):
        read(path)
    with pytest.raises(RecipeError, match="question"):
        read(path, columns="question=body")


def test_rows_without_a_text_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"text": f"{ONE} {i}"} for i in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": None}, {"other": 1}]))
    found = read_passages([str(path)], "", AS_USUAL, 0.2)
    assert [(each.kind, each.where) for each in found.findings.unused()] == [
        ("text_missing", f"{path}:41"),
        ("text_missing", f"{path}:42"),
    ]


def test_what_is_not_there_or_holds_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "none.txt")
    (tmp_path / "a.txt").write_text("too short", encoding="utf-8")
    with pytest.raises(DataError, match="no text to make questions from"):
        read(tmp_path / "a.txt")
