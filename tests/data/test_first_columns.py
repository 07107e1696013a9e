"""What the first rows of a file are taken to have: one in which nobody marked anything says least."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distiltune.data.first_columns import first_columns
from distiltune.recipe.choose_task import with_task_of_training
from distiltune.recipe.recipe import Recipe


def task(number: int, *results: object) -> dict[str, object]:
    return {"id": number, "data": {"text": f"day {number}"}, "annotations": [{"result": list(results)}]}


CHOICE = {"from_name": "mood", "value": {"choices": ["glad"]}}
MARK = {"from_name": "who", "value": {"start": 0, "end": 3, "text": "day", "labels": ["X"]}}
SKIPPED = {"id": 9, "data": {"text": "a"}, "annotations": [{"result": [], "was_cancelled": True}]}


@pytest.mark.parametrize("n_before", [0, 3, 40])
@pytest.mark.parametrize(
    ("result", "expected"), [(CHOICE, "text-classification"), (MARK, "token-classification")], ids=["choice", "mark"]
)
@pytest.mark.parametrize("empty", [task(5), SKIPPED], ids=["empty", "skipped"])
def test_a_task_submitted_empty_does_not_say_what_the_file_is_for(
    tmp_path: Path, result: object, expected: str, n_before: int, empty: object
) -> None:
    path = tmp_path / "a.json"
    tasks = [*([empty] * n_before), task(1, result), task(2, result), empty]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    assert with_task_of_training(Recipe(train=(str(path),))).task == expected


def test_where_nothing_is_marked_at_all_spans_are_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(task(i)) + "\n" for i in range(3)), encoding="utf-8")
    assert first_columns(path) == ["id", "text", "spans"]
    assert first_columns(_chat(tmp_path, [])) == ["text", "label"]
    assert first_columns(_chat(tmp_path, [{"entity": "x", "start": 0, "end": 1}])) == ["text", "label", "spans"]


def _chat(folder: Path, entities: list[object]) -> Path:
    path = folder / "chat.json"
    example = {"text": "hello", "intent": "greet", "entities": entities}
    path.write_text(json.dumps({"rasa_nlu_data": {"common_examples": [example]}}), encoding="utf-8")
    return path
