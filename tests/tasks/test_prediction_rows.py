"""A line for every row of the input, in its order."""

from __future__ import annotations

from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.tasks.prediction_rows import every_row, place_of


def test_rows_that_were_left_out_stand_where_they_were() -> None:
    findings = RowFindings(
        5,
        [
            RowFinding("rejected", "bad", "b.csv:3", "", "It is bad."),
            RowFinding("noted", "odd", "b.csv:2", "x", "It is odd."),
            RowFinding("left_out", "answer_reject", "a.json#0", "y", "It was rejected."),
        ],
    )
    predicted = [("a.json#1", {"id": "1", "label": "p"}), ("b.csv:10", {"id": "2", "label": "q"})]
    assert list(every_row(predicted, findings, {"label": None})) == [
        {"id": "y", "file": "a.json", "row": 0, "label": None, "rejected": "It was rejected.", "kind": "answer_reject"},
        {"id": "1", "file": "a.json", "row": 1, "label": "p"},
        {"id": None, "file": "b.csv", "line": 3, "label": None, "rejected": "It is bad.", "kind": "bad"},
        {"id": "2", "file": "b.csv", "line": 10, "label": "q"},
    ]


def test_places() -> None:
    assert place_of("a:b.csv:7") == ("a:b.csv", 7)
    assert place_of("x#3") == ("x", 3)
    assert place_of("a.ann") == ("a.ann", None)
