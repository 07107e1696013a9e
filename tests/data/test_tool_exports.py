"""Rows of ten tools that were searched out: what is marked or labelled in them, through the reader of their task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distiltune.data.files import iter_rows
from distiltune.data.first_columns import first_columns
from distiltune.data.plain_rows import DIFFERING
from distiltune.data.rows import Row
from distiltune.data.tool_exports import argilla as argilla_rows
from distiltune.data.unread_json import way_to_rows
from distiltune.errors import DataError
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.read import read_texts
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.read import read_marked

TEXT = "😀 Ada sang in Bern"
ADA, BERN = (2, 5, "PER"), (14, 18, "LOC")

MARKED: dict[str, object] = {
    "Argilla 1": {"text": TEXT, "status": "Validated", "annotation": [{"start": 2, "end": 5, "label": "PER"}]},
    "Argilla 1, triples": {"text": TEXT, "prediction": None, "annotation": [["PER", 2, 5]]},
    "Argilla 2": {
        "fields": {"body": TEXT},
        "suggestions": {},
        "responses": {"who": [{"value": [{"start": 2, "end": 5, "label": "PER"}], "status": "submitted"}]},
    },
    "LightTag": {
        "example_id": "e1",
        "content": TEXT,
        "annotations": [
            {"start": 2, "end": 5, "tag": "PER", "value": "Ada", "correct": None},
            {"start": 6, "end": 10, "tag": "LOC", "value": "sang", "correct": False},
        ],
    },
    "UBIAI": {
        "documentName": "a.txt",
        "document": TEXT,
        "tokens": [{"text": "Ada", "start": 3, "end": 6, "entityLabel": "PER"}],  # UTF-16 units
    },
    "GATE": {"text": TEXT, "entities": {"PER": [{"indices": [2, 5]}]}},
    "Ground Truth": {
        "source": TEXT,
        "ner-metadata": {"type": "groundtruth/text-span"},
        "ner": {"annotations": {"entities": [{"startOffset": 2, "endOffset": 5, "label": "PER"}]}},
    },
    "Vertex AI": {
        "textContent": TEXT,
        "textSegmentAnnotations": [{"startOffset": 2, "endOffset": 5, "displayName": "PER"}],
    },
    "Rasa": {"text": TEXT, "intent": "sing", "entities": [{"start": 2, "end": 5, "value": "Ada", "entity": "PER"}]},
}
LABELLED: dict[str, object] = {
    "Argilla 1": {"text": TEXT, "status": "Validated", "annotation": "glad"},
    "Argilla 1, several": {"text": TEXT, "prediction": [["sad", 0.9]], "annotation": ["glad"]},
    "Argilla 2": {"fields": {"body": TEXT}, "responses": {"mood": [{"value": "glad"}, {"value": "glad"}]}},
    "Ground Truth": {"source": TEXT, "mood": 1, "mood-metadata": {"class-name": "glad", "confidence": 1}},
    "Vertex AI": {"textContent": TEXT, "classificationAnnotation": {"displayName": "glad"}},
    "Vertex AI, several": {"textContent": TEXT, "classificationAnnotations": [{"displayName": "glad"}]},
}


def written(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("tool", MARKED)
def test_marks_of_each_tool(tmp_path: Path, tool: str) -> None:
    found = read_marked([written(tmp_path, MARKED[tool])], "train", TokenColumns(), 0.0)
    (example,) = found.examples
    assert [(example.words[e.start][0], example.words[e.end - 1][1], e.label) for e in example.gold or ()] == [ADA]
    assert any(tool.split()[0] in line for line in found.findings.decisions())


@pytest.mark.parametrize("tool", LABELLED)
def test_labels_of_each_tool(tmp_path: Path, tool: str) -> None:
    found = read_texts([written(tmp_path, LABELLED[tool])], "train", TextColumns(), 0.0)
    assert [(example.text, example.gold) for example in found.examples] == [(TEXT, ("glad",))]
    assert any(tool.split(",")[0].rstrip(" 12") in line for line in found.findings.decisions())


def test_people_who_differ_and_what_only_a_model_said(tmp_path: Path) -> None:
    fields = {"fields": {"text": TEXT}}
    rows: list[dict[str, Any]] = [
        {**fields, "responses": {"mood": [{"value": "glad"}, {"value": "sad"}]}},
        {**fields, "responses": {}, "suggestions": {"mood": {"value": "sad"}}},
        {**fields, "responses": {"mood": [{"value": "sad", "status": "discarded"}]}},
        {"text": TEXT, "prediction": [["sad", 0.9]], "annotation": None},
        {**fields, "responses": {"mood": [{"value": "glad"}]}},
    ]
    found = read_texts([written(tmp_path, *rows)], "train", TextColumns(), 0.0)
    assert [each.kind for each in found.findings.of("left_out")] == [
        *("answer_differ", "answer_predicted", "answer_ignore", "answer_predicted")
    ]
    assert [example.gold for example in found.examples] == [("glad",)]


def argilla(**responses: list[object]) -> dict[str, object]:
    """A record of Argilla 2 with what each person said to each question."""
    return {
        "id": "r",
        "fields": {"text": TEXT},
        "responses": {q: [{"value": v} for v in r] for q, r in responses.items()},
    }


MARKS = [{"start": 2, "end": 5, "label": "PER"}]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (argilla(mood=["glad"], topic=["home"]), {"mood": "glad", "topic": "home"}),
        (argilla(mood=["glad"], who=[MARKS]), {"mood": "glad", "spans": MARKS}),
        (argilla(mood=["glad"], who=[[]]), {"mood": "glad", "who": [], "spans": []}),  # of either kind
        (argilla(mood=["glad", "sad"], topic=["home"]), {"mood": {"differing": ["glad", "sad"]}, "topic": "home"}),
        (argilla(mood=["glad"], who=[MARKS, []]), {"mood": "glad", "spans": DIFFERING}),
        (argilla(who=[MARKS], what=[MARKS]), {"who": MARKS, "what": MARKS}),
        (argilla(text=["glad"], topic=["home"]), {"responses.text": "glad", "topic": "home"}),
        (argilla(mood=["glad"]), {"mood": "glad", "label": "glad"}),
    ],
)
def test_questions_of_a_record_are_columns(record: dict[str, object], expected: dict[str, object]) -> None:
    (row,) = argilla_rows(record)
    assert row.value == {"id": "r", "text": TEXT, **expected}


def test_one_of_several_questions_is_the_label_where_it_is_named(tmp_path: Path) -> None:
    rows = [argilla(mood=[mood], who=[marks]) for mood, marks in (("glad", MARKS), ("sad", []))]
    path = written(tmp_path, *rows)
    texts = read_texts([path], "train", TextColumns.parse("label=mood"), 0.0)
    assert [example.gold for example in texts.examples] == [("glad",), ("sad",)]
    marked = read_marked([path], "train", TokenColumns(), 0.0)
    assert [len(example.gold or ()) for example in marked.examples] == [1, 0]
    assert first_columns(path) == ["id", "text", "mood", "spans"]  # of the record that says the most


@pytest.mark.parametrize(
    "document",
    [
        {"schema": {}, "examples": [MARKED["LightTag"]]},
        {"rasa_nlu_data": {"common_examples": [MARKED["Rasa"]]}},
    ],
    ids=["LightTag", "Rasa"],
)
def test_rows_inside_an_object(tmp_path: Path, document: object) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    (row,) = iter_rows(path)
    assert isinstance(row, Row)
    assert "spans" in row.value


@pytest.mark.parametrize("name", ["annotatable", "assets", "%FEATURE_STRUCTURES"])
def test_what_has_its_text_elsewhere_is_named(tmp_path: Path, name: str) -> None:
    assert "which is not read" in way_to_rows({name: {}}, Path("a.json"))
    path = tmp_path / "a.json"
    path.write_text(json.dumps({name: {}}), encoding="utf-8")
    with pytest.raises(DataError, match="it looks like"):
        list(iter_rows(path))


@pytest.mark.parametrize(
    "row",
    [
        {"text": "a", "label": "b", "status": "new"},
        {"text": "a", "entities": {}},
        {"text": "a", "entities": {"PER": 1}},
        {"source": "a", "label": "b"},
        {"text": "a", "intent": "b", "entities": [1]},
    ],
)
def test_rows_that_only_look_alike_are_left_as_they_are(tmp_path: Path, row: dict[str, object]) -> None:
    (found,) = iter_rows(written(tmp_path, row))
    assert isinstance(found, Row)
    assert (found.value, found.told) == (row, "")


ROW = {"text": "a", "label": "x"}


@pytest.mark.parametrize(
    ("document", "advice"),
    [
        ({"train": [ROW, ROW], "test": [ROW]}, "a list of rows for each of train, test"),
        ({"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}}, "orient='records'"),
        ({"0": ROW, "1": ROW}, "it has a row for each of 0, 1: "),
        ({"text": ["a", "b"], "label": ["x", "y"]}, "orient='records'"),
        ({"columns": ["text", "label"], "index": [0], "data": [["a", "x"]]}, "orient='records'"),
        ({"text": "a", "label": "x"}, "SQuAD's form"),
    ],
)
def test_what_other_libraries_write_is_told_what_to_write_instead(
    document: dict[str, object], advice: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(document))
    with pytest.raises(DataError) as caught:
        list(iter_rows(tmp_path / "rows.json"))
    assert advice in caught.value.fix


def test_rejected_work_of_mechanical_turk_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "turk.csv"
    rows = "".join(
        f"HIT{i},W1,{status},day {i},good\n" for i, status in enumerate(["Approved", "Rejected", "Submitted"])
    )
    path.write_text(f"HITId,WorkerId,AssignmentStatus,Input.text,Answer.label\n{rows}")
    read = read_texts([path], "train", TextColumns(text="Input.text", label="Answer.label"), 1.0)
    assert [example.text for example in read.examples] == ["day 0", "day 2"]
    assert [each.kind for each in read.findings.of("left_out")] == ["answer_rejected"]
    assert not read.findings.of("rejected")
