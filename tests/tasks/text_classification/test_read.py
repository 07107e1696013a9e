from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distiltune.errors import DataError, RecipeError
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.examples import TextExample, TextSet
from distiltune.tasks.text_classification.label_cells import LabelSettings
from distiltune.tasks.text_classification.read import read_texts
from distiltune.tasks.text_classification.spellings import one_spelling
from distiltune.tasks.text_classification.targets import (
    Targets,
    class_weights,
    find_targets,
    forget_unknown,
    keep_known,
    targets_of,
)


def read_rows(tmp_path: Path, *rows: dict[str, Any], columns: str = "") -> TextSet:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_texts([str(path)], "train", TextColumns.parse(columns), 1.0)


def gold(read: TextSet) -> list[tuple[str, ...] | None]:
    return [example.gold for example in read.examples]


def test_labels_of_every_form(tmp_path: Path) -> None:
    read = read_rows(
        tmp_path,
        {"text": "a", "label": "joy"},
        {"text": "b", "label": 3},
        {"text": "c", "label": True},
        {"text": "d", "label": 2.5},
        {"text": "e", "label": ["x", "y"]},
        {"text": "f", "labels": "y | x"},
        {"text": "g", "labels": []},
    )
    assert gold(read) == [("joy",), ("3",), ("true",), ("2.5",), ("x", "y"), ("x", "y"), ()]


def test_rows_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    read = read_rows(
        tmp_path,
        {"text": "a", "label": "joy"},
        {"text": "", "label": "joy"},
        {"label": "joy"},
        {"text": "b"},
        {"text": "c", "label": {"a": 1}},
        {"text": "d", "label": "joy", "id": "1"},
        {"text": "e", "label": "joy", "id": "1"},
    )
    assert {finding.kind for finding in read.findings.of("rejected")} == {
        *("text_empty", "text_missing", "label_missing", "label_not_text")
    }
    assert [example.id for example in read.examples][1:] == ["1", "1-2"]


def test_data_without_any_label_is_for_predicting(tmp_path: Path) -> None:
    read = read_rows(tmp_path, {"text": "a"}, {"text": "b"})
    assert gold(read) == [None, None]
    with pytest.raises(DataError, match="no labels"):
        find_targets(read.examples, "auto", {})


def test_columns_can_be_named(tmp_path: Path) -> None:
    row = {"tweet": "a", "mood": "joy", "reply": "b"}
    read = read_rows(tmp_path, row, columns="text=tweet,label=mood,pair=reply")
    assert (read.examples[0].text, read.examples[0].pair, read.examples[0].gold) == ("a", "b", ("joy",))


def test_names_of_classes_are_taken_from_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    features = {"label": {"names": ["sad", "glad"], "_type": "ClassLabel"}}
    table = pa.table({"text": ["a", "b"], "label": [1, 0]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "a.parquet")
    read = read_texts([tmp_path / "a.parquet"], "train", TextColumns(), 0.0)
    assert gold(read) == [("glad",), ("sad",)]


def examples_of(*labels: tuple[str, ...], places: tuple[str, ...] = ()) -> list[TextExample]:
    return [TextExample(str(i), "a", None, each, places) for i, each in enumerate(labels)]


def test_what_is_to_be_predicted_is_plain_from_the_labels() -> None:
    assert find_targets(examples_of(("b",), ("a",)), "auto", {}) == Targets("single-label", ("a", "b"))
    assert find_targets(examples_of(("10",), ("9",)), "auto", {}).labels == ("9", "10")
    assert find_targets(examples_of(("1.5",), ("2",)), "auto", {}).problem == "regression"
    assert find_targets(examples_of(("1",), ("2",)), "regression", {}).problem == "regression"
    assert find_targets(examples_of(("a",), ("b",), places=("a", "b")), "auto", {}).problem == "multi-label"
    with pytest.raises(DataError, match="no numbers"):
        find_targets(examples_of(("a",), ("b",)), "regression", {})
    with pytest.raises(DataError, match="several labels"):
        find_targets(examples_of(("a", "b"), ("b",)), "single-label", {})
    with pytest.raises(DataError, match="same label"):
        find_targets(examples_of(("a",), ("a",)), "auto", {})


def test_a_models_labels_stay_where_they_hold_all_that_are_found() -> None:
    model = {"id2label": {"0": "c", "1": "a", "2": "b"}, "problem_type": "single_label_classification"}
    assert find_targets(examples_of(("b",), ("a",)), "auto", model).labels == ("c", "a", "b")
    assert find_targets(examples_of(("b",), ("x",)), "auto", model).labels == ("b", "x")
    assert targets_of(model) == Targets("single-label", ("c", "a", "b"))
    assert targets_of({}) is None


def test_labels_that_the_model_does_not_have(tmp_path: Path) -> None:
    read = read_rows(tmp_path, {"text": "a", "label": "x"}, {"text": "b", "label": "new"})
    targets = Targets("single-label", ("x", "y"))
    kept = keep_known(read, targets, 0.5)
    assert [example.text for example in kept.examples] == ["a"]
    assert [finding.kind for finding in kept.findings.of("rejected")] == ["label_unknown"]
    with pytest.raises(DataError, match="'new' is not one"):
        keep_known(read, targets, 0.1)


def test_to_predict_no_row_needs_a_label_that_can_be_used(tmp_path: Path) -> None:
    read_rows(
        tmp_path,
        {"id": "0", "text": "a", "label": "x"},
        {"id": "1", "text": "b"},
        {"id": "2", "text": "c", "label": {"a": 1}},
        {"id": "3", "text": "d", "label": "new"},
        {"id": "4", "text": " ", "label": "x"},
    )
    path = str(tmp_path / "rows.jsonl")
    read = read_texts([path], "validation", TextColumns(), 0.2, "prediction")
    read = forget_unknown(read, Targets("single-label", ("x", "y")))
    assert [(each.id, each.gold) for each in read.examples] == [("0", ("x",)), ("1", None), ("2", None), ("3", None)]
    assert [(each.kind, each.row_id) for each in read.findings.of("noted")] == [
        ("label_not_text", "2"),
        ("label_unknown", "3"),
    ]
    with pytest.raises(DataError, match="3 of 5 rows"):
        read_texts([path], "validation", TextColumns(), 0.2, "evaluation")
    read_rows(tmp_path, {"text": "a"})
    with pytest.raises(DataError, match="nothing to measure"):
        read_texts([path], "validation", TextColumns(), 0.2, "evaluation")


def test_class_weights() -> None:
    targets = Targets("single-label", ("a", "b"))
    examples = examples_of(("a",), ("a",), ("a",), ("b",))
    np.testing.assert_allclose(class_weights("balanced", targets, examples), [4 / 6, 2.0])
    named = class_weights("b=3", targets, examples)
    assert named[1] / named[0] == pytest.approx(3)
    assert named @ [3, 1] == pytest.approx(4)  # texts weigh 1 on average
    many = class_weights("balanced", Targets("multi-label", ("a", "b")), examples)
    np.testing.assert_allclose(many, [1 / 3, 3.0])
    for text in ("c=1", "a=-1", "a=x"):
        with pytest.raises(RecipeError):
            class_weights(text, targets, examples)


@pytest.mark.parametrize(
    "labels",
    [([0.032, 0.968], [1.0, 0.0]), ("[0.25, 0.75]", "[0.5, 0.5]"), ([3, 3, 1], [4, 2, 1]), ([-1.5, 2.0], [0.5, -3.0])],
)
def test_a_number_for_each_class_is_no_set_of_labels(tmp_path: Path, labels: tuple[object, ...]) -> None:
    with pytest.raises(DataError, match="label_scores: 2") as caught:
        read_rows(tmp_path, *({"text": f"day {i}", "label": label} for i, label in enumerate(labels)))
    assert "soft labels" in str(caught.value)
    assert "distiltune distill" in str(caught.value)


def test_lists_of_class_numbers_and_of_versions_stay_labels(tmp_path: Path) -> None:
    read = read_rows(tmp_path, {"text": "a", "label": [3, 17]}, {"text": "b", "label": ["3.8", "3.9"]})
    assert gold(read) == [("17", "3"), ("3.8", "3.9")]


def test_two_columns_of_labels_must_agree_or_one_is_named(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "x", "labels": ["x"]}, {"text": "b", "label": "x", "labels": ["x", "y"]}]
    with pytest.raises(DataError, match=r"do not agree in 1 of 2 rows") as caught:
        read_rows(tmp_path, *rows)
    assert "--columns labels=label or --columns label=labels" in str(caught.value)
    assert gold(read_rows(tmp_path, *rows, columns="labels=label")) == [("x",), ("x",)]
    assert gold(read_rows(tmp_path, *rows, columns="label=labels")) == [("x",), ("x", "y")]
    assert gold(read_rows(tmp_path, rows[0], {"text": "b", "label": "y", "labels": []})) == [("x",), ("y",)]


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", "\u00ad", "\u200d", "\ufe0f"])
def test_labels_that_differ_by_what_is_not_seen(tmp_path: Path, unseen: str) -> None:
    read = one_spelling(read_rows(tmp_path, {"text": "a", "label": "bad"}, {"text": "b", "label": f"bad{unseen}"}))
    (found,) = [each for each in read.findings.items if each.kind == "label_spelled_differently"]
    assert ascii(f"bad{unseen}")[1:-1] in ascii(found.message).replace("\\\\", "\\")


def test_folders_in_a_data_directory_are_told(tmp_path: Path) -> None:
    row = json.dumps({"text": "a", "label": "x"}) + "\n"
    for name in ("a.jsonl", "sub/b.jsonl", "sub/deep/c.csv.gz", "empty/notes.md", ".hidden/d.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(row, encoding="utf-8")
    read = read_texts([str(tmp_path)], "train", TextColumns(), 0.0)
    (told,) = read.findings.of("noted")
    assert (told.kind, told.where) == ("folder_ignored", str(tmp_path / "sub"))
    assert "sub/b.jsonl, sub/deep/c.csv.gz" in told.message
    assert f"name their folders beside the directory: {tmp_path / 'sub'} {tmp_path / 'sub' / 'deep'}." in told.message
    (tmp_path / "a.jsonl").unlink()
    with pytest.raises(DataError, match="folders in it are not entered: name"):
        read_texts([str(tmp_path)], "train", TextColumns(), 0.0)


def test_an_empty_list_where_no_text_has_several_labels_is_no_label(tmp_path: Path) -> None:
    rows = [{"text": f"day {i}", "label": [("bad", "good")[i % 2]]} for i in range(6)]
    read = read_rows(tmp_path, *rows, {"text": "not seen", "label": []})
    (finding,) = read.findings.of("rejected")
    assert (finding.kind, finding.message.rpartition("; ")[2]) == (
        "label_missing",
        "if no label applies to it: --problem multi-label.",
    )
    assert find_targets(read.examples, "auto", {}).problem == "single-label"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"label": ["bad"]}, {"label": ["bad", "good"]}, {"label": []}], "auto"),
        ([{"label": ["bad"]}, {"label": ["good"]}, {"label": []}], "multi-label"),
        ([{"labels": ["bad"]}, {"labels": ["good"]}, {"labels": []}], "auto"),
        ([{"cats": {"bad": 1, "good": 0}}, {"cats": {"bad": 0, "good": 1}}, {"cats": {"bad": 0, "good": 0}}], "auto"),
    ],
    ids=["a text has several", "said", "the column of any number", "each is 0"],
)
def test_an_empty_list_says_that_none_applies(tmp_path: Path, rows: list[dict[str, Any]], problem: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"day {i}", **row}) + "\n" for i, row in enumerate(rows)))
    read = read_texts([path], "train", TextColumns(), 1.0, labels=LabelSettings(problem=problem))
    assert gold(read)[2] == ()
    assert find_targets(read.examples, problem, {}).problem == "multi-label"


def test_annotators_of_doccano_who_agree_are_one_and_others_disagree(tmp_path: Path) -> None:
    def by(*labels: tuple[int, int]) -> list[dict[str, int]]:
        return [{"label": label, "user": user} for label, user in labels]

    read = read_rows(
        tmp_path,
        {"text": "a", "annotations": by((1, 1))},
        {"text": "b", "annotations": by((2, 1), (2, 2))},
        {"text": "c", "annotations": by((1, 1), (2, 2))},
        {"text": "d", "annotations": by((1, 1), (3, 1), (3, 2), (1, 2))},
        {"text": "e", "annotations": []},
    )
    assert gold(read) == [("1",), ("2",), ("1", "3"), ()]
    assert [(each.kind, each.message) for each in read.findings.of("rejected")] == [
        ("annotators_disagree", "The annotators disagree: [[1], [2]].")
    ]


@pytest.mark.parametrize(("labels", "is_told"), [("-1 0 1", False), ("-1 0 1 2", True), ("-1 0", False)])
def test_minus_one_is_a_class_in_the_middle_of_three(tmp_path: Path, labels: str, is_told: bool) -> None:
    rows = [{"text": f"day {i}", "label": int(label)} for i, label in enumerate(labels.split() * 3)]
    findings = one_spelling(read_rows(tmp_path, *rows)).findings
    assert [each.kind for each in findings.of("noted")] == ["label_like_none"] * is_told


@pytest.mark.parametrize(
    ("labels", "is_told"),
    [
        (["category", *["bad", "good"] * 10], True),
        (["bad", "category", *["bad", "good"] * 10], False),
        (["category", "other", *["bad", "good"] * 10], False),
        (["category", "bad", "good"], False),
        (["bad", *["bad", "good"] * 10], False),
    ],
    ids=["first", "second", "two that are rare", "few rows", "none"],
)
def test_a_first_row_that_alone_has_its_label_may_be_no_example(
    tmp_path: Path, labels: list[str], is_told: bool
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f"day {i},{label}\n" for i, label in enumerate(labels)))
    read = one_spelling(read_texts([path], "train", TextColumns(), 1.0))
    assert len(read.examples) == len(labels)
    told = [each.message for each in read.findings.of("noted") if each.kind == "row_like_header"]
    assert [message.partition(":")[0] for message in told] == ["Line 2 alone has the label 'category'"] * is_told
