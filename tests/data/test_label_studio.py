"""Label Studio's tasks: annotations of older versions, marks in pages, what a model alone has said."""

from __future__ import annotations

from typing import Any

import pytest

from distiltune.data.label_studio import (
    as_annotated,
    is_predicted,
    marks_of,
    pages_alike,
    shown_text,
    studio_rows,
    studio_table,
    studio_tasks,
    whole_texts,
)

MARK = {"value": {"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]}}
SPAN = {"start": 0, "end": 3, "label": "PER", "text": "Ada"}
CHOICE = {"from_name": "mood", "value": {"choices": ["glad"]}}


def rows(task: dict[str, Any]) -> list[dict[str, object]]:
    return [each.value for each in studio_tasks(task)]


def task(*results: object, **more: object) -> dict[str, Any]:
    return {"id": 1, "data": {"text": "Ada sang"}, "annotations": [{"result": list(results)}], **more}


def test_marks_become_spans_and_choices_stay() -> None:
    assert rows(task(MARK)) == [{"id": 1, "text": "Ada sang", "spans": [SPAN]}]
    both = task(MARK, CHOICE)
    assert rows(both) == [{**both, "text": "Ada sang", "spans": [SPAN]}]
    alone = task(CHOICE)
    assert rows(alone) == [{**alone, "text": "Ada sang", "answer": "accept"}]
    assert whole_texts(alone["annotations"][0]) == {"mood": ["glad"]}
    assert rows(task()) == [{"id": 1, "text": "Ada sang", "spans": []}]


def test_an_older_name_of_annotations() -> None:
    old = {"id": 1, "data": {"text": "Ada sang"}, "completions": [{"result": [MARK]}]}
    assert rows(old) == rows(task(MARK))
    found = as_annotated(old)
    assert found is not None
    assert found["annotations"] == old["completions"]


@pytest.mark.parametrize("more", [{}, {"annotations": []}])
def test_a_models_own_marks_are_not_learnt(more: dict[str, object]) -> None:
    predicted = {"id": 1, "data": {"text": "Ada sang"}, "predictions": [{"result": [MARK]}], **more}
    assert is_predicted(predicted)
    assert rows(predicted) == [{"id": 1, "text": "Ada sang", "spans": [], "answer": "predicted"}]
    # somebody has looked at it
    assert rows({**predicted, "annotations": [{"result": []}]}) == [{"id": 1, "text": "Ada sang", "spans": []}]


def test_a_page_is_read_as_it_is_shown_only_where_marks_say_so() -> None:
    source = "<p>Ada &amp; Ben<br>sang</p>"
    at = [{"start": 6, "end": 9, "text": "Ben"}]
    assert shown_text(source, at) == "Ada & Ben\nsang"
    assert shown_text(source, []) == source
    assert shown_text("a < b", [{"start": 0, "end": 1, "text": "a"}]) == "a < b"


PAGE_MARK = {"value": {"start": 0, "end": 3, "text": "Ada", "hypertextlabels": ["PER"]}}


def pages(*tasks: tuple[str, list[object]]) -> list[object]:
    return [{"data": {"html": html}, "annotations": [{"result": result}]} for html, result in tasks]


def test_a_page_without_marks_is_read_as_those_with_marks_are() -> None:
    rows = pages_alike(pages(("<p>Ada sang</p>", [PAGE_MARK]), ("<p>Nobody &amp; nothing</p>", [])))
    texts = [plain.value["text"] for row in rows for plain in studio_tasks(row)]  # type: ignore[arg-type]
    assert texts == ["Ada sang", "Nobody & nothing"]
    least: list[object] = [
        {"annotation_id": 1, "html": "<p>Ada sang</p>", "who": [PAGE_MARK["value"]]},
        {"annotation_id": 2, "html": "<p>Nobody</p>"},
    ]
    assert pages_alike(least) == [least[0], {"annotation_id": 2, "html": "Nobody"}]
    asked: list[object] = [
        {"data": {"question": "Who?", "context": html}, "annotations": [{"result": result}]}
        for html, result in (("<p>Ada sang</p>", [PAGE_MARK]), ("<p>Nobody</p>", []))
    ]
    assert pages_alike(asked)[1]["data"]["context"] == "Nobody"  # type: ignore[index]


@pytest.mark.parametrize(
    "rows",
    [
        pages(("<p>Ada sang</p>", []), ("<p>Nobody</p>", [])),
        pages(("Ada <b>sang</b>", [MARK]), ("<p>Nobody</p>", [])),  # counted in the source
        [{"text": "<p>a</p>"}, "b"],
    ],
    ids=["no marks", "marks in the source", "of no tool"],
)
def test_pages_stay_where_no_marks_are_counted_in_what_they_show(rows: list[object]) -> None:
    assert pages_alike(rows) == rows


def test_paths_of_a_taxonomy_are_labels() -> None:
    result = {"from_name": "kind", "value": {"taxonomy": [["animal", "bird"], ["sea"]]}}
    assert whole_texts({"result": [result]}) == {"kind": ["animal/bird", "sea"]}
    least = {"text": "Ada sang", "annotation_id": 1}
    for given in ({"taxonomy": [["animal", "bird"]]}, [["animal", "bird"]]):
        (row,) = studio_rows({**least, "kind": given})
        assert row.value["label"] == ["animal/bird"]


def test_marks_in_a_page_are_counted_in_what_it_shows() -> None:
    value = {"start": "/p[1]/text()[1]", "globalOffsets": {"start": 0, "end": 3}, "hypertextlabels": ["PER"]}
    assert marks_of({"result": [{"value": value}]}) == [{"start": 0, "end": 3, "label": "PER"}]


def test_a_table_is_its_json_min_written_into_cells() -> None:
    own = {"id": "1", "annotation_id": "2", "annotator": "3", "lead_time": "4"}
    cell = '[{"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]}]'
    (row,) = studio_table({"text": "Ada sang", "who": cell, **own})
    assert row.value == {"id": "1", "text": "Ada sang", "spans": [SPAN]}
    assert "(CSV)" in row.told
    (row,) = studio_table({"text": "Ada sang", "mood": '{"choices": ["a", "b"]}', **own})
    assert row.value["label"] == ["a", "b"]
    (row,) = studio_table({"text": "Ada sang", "mood": "", **own})
    assert row.value["answer"] == "accept"
    assert not list(studio_table({"text": "Ada sang", "annotation_id": "2"}))  # of another tool


def test_a_question_keeps_its_marks_as_answers() -> None:
    value = {"question": "Who?", "text": "Ada sang", "annotation_id": 1}
    (row,) = studio_rows({**value, "who": [MARK["value"]]})
    assert row.value["answers"] == [{"text": "Ada", "answer_start": 0}]
    (row,) = studio_rows(value)
    assert row.value["answers"] == []
    (row,) = studio_rows({**value, "clear": "no"})
    assert row.value["answers"] == {"said": ["no"]}  # which is no answer, and rejected as such
