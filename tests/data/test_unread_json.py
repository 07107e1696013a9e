"""JSON objects that hold no rows: what each is said to be, and that the line to paste makes rows of it."""

from __future__ import annotations

import gzip
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from distiltune.data.files import iter_rows
from distiltune.data.rows import Row
from distiltune.data.unread_json import are_numbered_columns, way_to_rows
from distiltune.errors import DataError

CLASSES = {"glad": ["a fine day", "so good"], "sad": ["it rains"]}
PASSAGE = {
    "passage": "Ada sang.",
    "qa_pairs": [
        {"question": "Who sang?", "answer": {"number": "", "spans": ["Ada"]}},
        {"question": "How many?", "answer": {"number": "1", "spans": []}},
    ],
}
SQUAD = {"title": "T", "paragraphs": [{"context": "Ada sang.", "qas": []}]}
VIEWED = {
    "features": [{"name": "text"}, {"name": "label"}],
    "rows": [{"row_idx": 0, "row": {"text": "a", "label": "x"}, "truncated_cells": []}],
}

CASES = {
    "texts by class": (
        CLASSES,
        "if glad, sad are labels with a list of texts each",
        [{"text": t, "label": k} for k, ts in CLASSES.items() for t in ts],
    ),
    "DROP": (
        {"p1": PASSAGE},
        "it looks like DROP",
        [{"question": "Who sang?", "context": "Ada sang.", "answer_text": ["Ada"]}],
    ),
    "SQuAD inside": ({"dataset": {"version": "2", "data": [SQUAD]}}, "stands under 'dataset'", [SQUAD]),
    "the viewer's": (VIEWED, "name the data set itself", [{"text": "a", "label": "x"}]),
    "one list": ({"it's": [{"text": "a"}]}, "its list of rows stands under", [{"text": "a"}]),
    "rows by name": (
        {"x": {"text": "a"}, "y": {"text": "b"}},
        "a row for each of x, y",
        [{"id": "x", "text": "a"}, {"id": "y", "text": "b"}],
    ),
}


@pytest.mark.parametrize(
    ("case", "packed"), [*((case, False) for case in CASES), ("texts by class", True)], ids=[*CASES, "packed"]
)
def test_the_line_to_paste_makes_rows(tmp_path: Path, case: str, packed: bool) -> None:
    document, said, expected = CASES[case]
    path = tmp_path / ("a b.json.gz" if packed else "a b.json")
    content = json.dumps(document).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match="neither a list of rows") as caught:
        list(iter_rows(path))
    assert said in caught.value.fix
    line = caught.value.fix[caught.value.fix.index("python -c ") :].partition("; otherwise")[0]
    code, *files = shlex.split(line)[2:]
    subprocess.run([sys.executable, "-c", code, *files], cwd=tmp_path, check=True)
    rows = list(iter_rows(tmp_path / "a b-rows.json"))
    assert [row.value for row in rows if isinstance(row, Row)] == expected


def test_texts_of_two_classes_of_one_size_may_be_columns() -> None:
    even = way_to_rows({"good": ["a", "b"], "bad": ["c", "d"]}, Path("a.json"))
    assert "if good, bad are labels" in even
    assert "otherwise its rows stand in columns" in even
    assert way_to_rows({"Text": ["a", "b"], "mood": ["c", "d"]}, Path("a.json")).startswith("its rows stand in columns")
    assert way_to_rows({"review": ["a", "b"], "stars": [1, 2]}, Path("a.json")).startswith("its rows stand in columns")


def test_columns_in_a_line_are_no_row(tmp_path: Path) -> None:
    columns = {"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}}
    assert are_numbered_columns(columns)
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(columns), encoding="utf-8")
    with pytest.raises(DataError, match="columns and no row") as caught:
        list(iter_rows(path))
    assert "lines=True" in caught.value.fix
    path.write_text('{"text": "a", "cats": {"0": 1, "1": 0}}\n', encoding="utf-8")
    assert len(list(iter_rows(path))) == 1
