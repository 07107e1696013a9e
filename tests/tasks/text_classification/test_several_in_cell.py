"""Several labels in one cell: parted by whatever sign, in brackets, or none at all. Nothing is read wrongly unsaid."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from distiltune.errors import DataError
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.examples import TextSet
from distiltune.tasks.text_classification.label_cells import LabelSettings
from distiltune.tasks.text_classification.read import read_texts


def read(folder: Path, cells: Sequence[str], separator: str = "", column: str = "label") -> TextSet:
    path = folder / "rows.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", column), *((f"text {place}", each) for place, each in enumerate(cells))])
    return read_texts([path], "train", TextColumns(), 1.0, labels=LabelSettings(separator=separator))


def gold(found: TextSet) -> list[tuple[str, ...] | None]:
    return [example.gold for example in found.examples]


def told(found: TextSet) -> dict[str, str]:
    return {finding.kind: finding.message for finding in found.findings.items}


@pytest.mark.parametrize(
    ("between", "typed"),
    [
        *(("/", "/"), (" / ", "/"), ("\n", "\\n"), ("\r\n", "\\n"), (" + ", "+"), ("+", "+"), (" & ", "&")),
        *(
            (" ", " "),
            (", ", ","),
            (";", ";"),
            ("#", "#"),
            ("|", "|"),
            (" - ", " - "),
            ("、", "、"),
            (" and ", " and "),
        ),
        *(("\\", "\\"), (" • ", "•")),
    ],
)
@pytest.mark.parametrize("column", ["label", "labels"])
def test_whatever_parts_labels_each_of_which_stands_alone_is_refused(
    tmp_path: Path, between: str, typed: str, column: str
) -> None:
    cells = ["rude", "sad", "kind", f"rude{between}sad", "rude"]
    if (column, between) != ("labels", "|"):
        with pytest.raises(DataError, match="look like several labels in one cell") as caught:
            read(tmp_path, cells, column=column)
        assert f"--label-separator '{typed}'" in caught.value.fix
    assert gold(read(tmp_path, cells, typed, column))[3:] == [("rude", "sad"), ("rude",)]
    other = "|" if typed != "|" else ","
    assert gold(read(tmp_path, cells, other, column))[3] == (f"rude{between}sad",)


@pytest.mark.parametrize(
    "cells",
    [
        ["input/output", "input", "network"],
        ["R&D", "sales", "C++", "C"],
        ["very good", "good", "bad", "very bad"],
        ["hardware/network", "software/network", "hardware/printer", "software/printer"],
        ["data science", "data", "science", "machine learning", "deep learning"],
        ["data science", "data", "science", "machine learning"],
        ["neutral", "positive", "negative", "neutral-positive", "neutral-negative"],
        ["Service > Billing", "Service > Tech", "Sales"],
    ],
)
def test_names_with_such_signs_are_labels(tmp_path: Path, cells: list[str]) -> None:
    assert gold(read(tmp_path, cells * 2)) == [(each,) for each in cells * 2]


def test_one_of_many_such_names_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, ["in/out", "in", "out", "on/off", "yes/no", "day/night"])
    assert "'in/out'" in told(found)["label_not_parted"]
    assert "'/'" in told(found)["label_not_parted"]
    assert (
        "'data science'"
        in told(read(tmp_path, ["data science", "data", "science", "deep learning", "machine learning"]))[
            "label_not_parted"
        ]
    )


def test_signs_at_the_ends(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="parted by ','"):
        read(tmp_path, ["rude", "sad", "rude, sad,"])
    with pytest.raises(DataError, match="parted by blanks"):
        read(tmp_path, ["#rude", "#sad", "#rude #sad"])
    assert gold(read(tmp_path, ["C", "C#", "C++", "F#"])) == [("C",), ("C#",), ("C++",), ("F#",)]


def test_case_is_no_reason_to_take_labels_whole(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="parted by '/'"):
        read(tmp_path, ["rude", "sad", "Rude/Sad"])


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["[slow, rude]", "[slow]", "[]"], [("rude", "slow"), ("slow",), ()]),
        (["[slow, rude]", "kind", "[slow]"], [("rude", "slow"), ("kind",), ("slow",)]),
        (["{slow,rude}", "{slow}", "{}"], [("rude", "slow"), ("slow",), ()]),
        (["{'slow', 'rude'}", "{'slow'}", "set()"], [("rude", "slow"), ("slow",), ()]),
        (["frozenset({'slow', 'rude'})", "frozenset()", "frozenset({'slow'})"], [("rude", "slow"), (), ("slow",)]),
        (["[slow]", "[kind]", "[slow]"], [("slow",), ("kind",), ("slow",)]),
        (["[slow]", "kind", "kind"], [("[slow]",), ("kind",), ("kind",)]),
    ],
)
@pytest.mark.parametrize("separator", ["", ","])
def test_lists_without_quotation_marks_and_sets_are_lists(
    tmp_path: Path, cells: list[str], labels: list[tuple[str, ...]], separator: str
) -> None:
    found = read(tmp_path, cells, separator, "labels")
    assert gold(found) == labels
    assert "label_not_parted" not in told(found)


def test_empty_cells_of_any_number_of_labels_are_told(tmp_path: Path) -> None:
    few = read(tmp_path, ["slow|rude", "kind", "slow", "", "kind", "rude"], column="labels")
    assert gold(few)[3] == ()
    assert told(few)["without_labels"].startswith("1 of 6 texts have an empty cell")
    many = read(tmp_path, ["slow|rude", "", " "], column="labels")
    assert told(many)["many_without_labels"].startswith("2 of 3 texts have an empty cell")
    assert [finding.outcome for finding in many.findings.items if finding.kind == "many_without_labels"] == ["noted"]
    assert "without_labels" not in told(read(tmp_path, ["slow|rude", "[]", "kind"], column="labels"))


def test_null_says_that_nobody_has_labelled_a_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"text": f"text {i}", "labels": each} for i, each in enumerate((["a", "b"], ["a"], None, "", []))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_texts([path], "train", TextColumns(), 1.0)
    assert gold(found) == [("a", "b"), ("a",), (), ()]
    assert "write an empty list" in told(found)["label_missing"]
    assert told(found)["many_without_labels"].startswith("1 of 4 texts")
    path.write_text("".join(json.dumps(row | {"labels": "b" if row["labels"] else None}) + "\n" for row in rows))
    assert told(read_texts([path], "train", TextColumns(), 1.0))["label_missing"] == "There is no label."
