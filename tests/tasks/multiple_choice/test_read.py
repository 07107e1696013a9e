"""Rows of the usual data sets → the same questions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from distiltune.data.reading import Use
from distiltune.errors import DataError
from distiltune.recipe.choose_task import with_task_of_training
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.multiple_choice.columns import ChoiceColumns, has_choices
from distiltune.tasks.multiple_choice.examples import ChoiceSet
from distiltune.tasks.multiple_choice.read import read_choices

CHOICES = ["in water", "in trees", "in sand"]
FLAT: dict[str, Mapping[str, Any]] = {
    "a list and a number": {"question": "Where?", "choices": CHOICES, "label": 1},
    "a list and a text": {"question": "Where?", "choices": CHOICES, "answer": "in trees"},
    "a list in a cell": {"question": "Where?", "options": json.dumps(CHOICES), "answer": "B"},
    "commonsense": {
        "question": "Where?",
        "choices": {"label": ["A", "B", "C"], "text": CHOICES},
        "answerKey": "B",
    },
    "numbers as names": {
        "question_stem": "Where?",
        "choices": {"label": ["1", "2", "3"], "text": CHOICES},
        "answerKey": "2",
    },
    "commonsense's own": {
        "question": "Where?",
        "choices": [{"label": name, "text": text} for name, text in zip("ABC", CHOICES, strict=True)],
        "answerKey": "B",
    },
    "an object": {"question": "Where?", "options": dict(zip("BAC", CHOICES, strict=True)), "answer_idx": "A"},
    "an object and a text": {
        "question": "Where?",
        "options": dict(zip("BAC", CHOICES, strict=True)),
        "answer": "in trees",
        "answer_idx": "A",
    },
    "as published": {
        "question": {
            "stem": "Where?",
            "choices": [{"text": text, "label": name} for name, text in zip("123", CHOICES, strict=True)],
        },
        "answerKey": "2",
    },
    "ids": {
        "question": "Where?",
        "choices": [{"id": number, "text": text} for number, text in zip((3, 1, 2), CHOICES, strict=True)],
        "answer": 1,
    },
    "letters as columns": {"question": "Where?", **dict(zip("ABC", CHOICES, strict=True)), "answer": "B"},
    "numbered columns": {
        "question": "Where?",
        **{f"option{i}": text for i, text in enumerate(CHOICES)},
        "label": 1,
    },
}
WITH_TEXT: dict[str, Mapping[str, Any]] = {
    "race": {"example_id": "x", "article": "Fish swim.", "question": "Where?", "options": CHOICES, "answer": "B"},
    "cosmos": {
        "context": "Fish swim.",
        "question": "Where?",
        **{f"answer{i}": text for i, text in enumerate(CHOICES)},
        "label": 1,
    },
    "reclor": {"context": "Fish swim.", "question": "Where?", "answers": CHOICES, "label": 1},
    "swag": {"sent1": "Fish swim.", "sent2": "Where?", **{f"ending{i}": e for i, e in enumerate(CHOICES)}, "label": 1},
    "race's files": {"article": "Fish swim.", "questions": ["Where?"], "options": [CHOICES], "answers": ["B"]},
}


def write(path: Path, *rows: Mapping[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def read(source: str, columns: str = "", use: Use = "training", share: float = 0.0) -> ChoiceSet:
    return read_choices([source], "train", ChoiceColumns.parse(columns), share, use)


@pytest.mark.parametrize("name", [*FLAT, *WITH_TEXT])
def test_every_form_says_the_same(name: str, tmp_path: Path) -> None:
    row = {**FLAT, **WITH_TEXT}[name]
    (example,) = read(write(tmp_path / "a.jsonl", row)).examples
    assert (example.question, example.choices, example.gold) == ("Where?", tuple(CHOICES), 1)
    assert example.context == ("Fish swim." if name in WITH_TEXT else "")
    first, second = ("Fish swim.", "Where? in trees") if name in WITH_TEXT else ("Where?", "in trees")
    assert (example.first, example.second(1)) == (first, second)


@pytest.mark.parametrize("name", [*FLAT, *WITH_TEXT])
def test_the_task_is_known_by_the_columns(name: str, tmp_path: Path) -> None:
    recipe = Recipe.build({"train": (write(tmp_path / "a.jsonl", {**FLAT, **WITH_TEXT}[name]),)})
    assert with_task_of_training(recipe).task == "multiple-choice"


@pytest.mark.parametrize(
    ("answers", "label"),
    [({"text": ["water"], "answer_start": [8]}, 0), (["water"], 0), (["water", "in water"], "answerable")],
)
def test_answers_that_are_all_right_stay_questions_on_a_text(answers: object, label: object, tmp_path: Path) -> None:
    row = {"question": "Where?", "context": "Fish in water.", "answers": answers, "label": label}
    recipe = Recipe.build({"train": (write(tmp_path / "a.jsonl", row),)})
    assert with_task_of_training(recipe).task == "question-answering"


def test_answers_in_any_number_stay_questions_on_a_text(tmp_path: Path) -> None:
    row = {"question": "Where?", "context": "Fish in water.", "label": 1}
    rows = [{**row, "answers": ["water", "in water", "Fish"][:n]} for n in (2, 3)]
    recipe = Recipe.build({"train": (write(tmp_path / "a.jsonl", *rows),)})
    assert with_task_of_training(recipe).task == "question-answering"


def test_questions_with_answers_in_columns_stay_questions_on_a_text() -> None:
    assert not has_choices(["question", "context", "answer1", "answer2"])
    assert not has_choices(["text", "label"])


def test_a_table_with_columns_of_other_names(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("q,one,two,right\nWhere?,in water,in trees,two\n", encoding="utf-8")
    (example,) = read(str(path), "question=q,choices=one+two,label=right").examples
    assert (example.choices, example.gold) == (("in water", "in trees"), 1)


@pytest.mark.parametrize(
    ("labels", "golds", "told"),
    [((0, 2), (0, 2), "from 0"), ((1, 3), (0, 2), "from 1"), ((1, 2), (1, 2), "no row has a 0")],
)
def test_how_numbers_count_is_told(labels: tuple[int, int], golds: tuple[int, int], told: str, tmp_path: Path) -> None:
    rows = [{"question": f"Where {i}?", "choices": CHOICES, "label": label} for i, label in enumerate(labels)]
    found = read(write(tmp_path / "a.jsonl", *rows))
    assert tuple(each.gold for each in found.examples) == golds
    assert told in "\n".join(found.findings.decisions())


NUMBERS = {
    "texts that are no places": (["0", "2", "4", "8"], "answer", ("2", "4", "8", "0"), (1, 2, 3, 0), "for texts"),
    "texts or places": (["2", "4", "6", "8"], "answer", ("2", "4"), (0, 1), "In 2 rows they might be a place"),
    "places by the column": (["2", "4", "6", "8"], "label", ("2", "4"), (1, 3), "might be the text of a choice"),
    "places by their kind": (["2", "4", "6", "8"], "answer", (2, 4), (1, 3), "might be the text of a choice"),
    "places once a text": (["3", "1", "7", "9"], "answer", ("0", "1", "2", "3"), (0, 1, 2, 3), "from 0"),
    "numbers of one kind": ([2, 4, 6, 8], "answer", (2, 4), (0, 1), "In 2 rows they might be a place"),
    "with words among them": (["1", "2", "fish"], "answer", ("fish", "1", "2"), (2, 0, 1), "for texts"),
    "letters that are texts": (["B", "A", "C"], "answer", ("A", "B"), (1, 0), "write numbers from 0"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_texts_or_places_by_all_rows_of_a_file(name: str, tmp_path: Path) -> None:
    choices, column, labels, golds, told = NUMBERS[name]
    rows = [{"question": f"How many {i}?", "choices": choices, column: label} for i, label in enumerate(labels)]
    found = read(write(tmp_path / "a.jsonl", *rows))
    assert tuple(each.gold for each in found.examples) == golds
    assert told in "\n".join(found.findings.decisions())


def test_ids_of_choices_are_told_where_they_do_not_number_them(tmp_path: Path) -> None:
    found = read(write(tmp_path / "a.jsonl", FLAT["ids"]))
    assert "'1' is 'in trees'" in "\n".join(found.findings.decisions())
    row = {**FLAT["ids"], "choices": [{"text": text} for text in CHOICES], "answer": 3}
    assert [each.gold for each in read(write(tmp_path / "b.jsonl", row)).examples] == [2]  # no ids: a place


def test_the_numbers_of_columns_are_no_names_of_choices(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("2,3,4,5\nin water,in trees,2,Where?\nhere,there,0,Which?\n", encoding="utf-8")
    found = read(str(tmp_path / "a.csv"), "question=5,choices=2+3,label=4", share=1.0)
    assert [each.gold for each in found.examples] == [0]  # 2 is no place of two


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"question": "Where?", "choices": ["fish", "fish", "sand"], "label": "fish"}, "label_of_two_choices"),
        ({"question": "Where?", "choices": ["one"], "label": 0}, "choices_too_few"),
        ({"question": "Where?", "choices": ["one", ""], "label": 0}, "choice_not_text"),
        ({"question": "", "choices": CHOICES, "label": 0}, "question_missing"),
        ({"question": "Where?", "choices": CHOICES, "label": 7}, "label_out_of_range"),
        ({"question": "Where?", "choices": CHOICES, "label": "in air"}, "label_unknown"),
        ({"question": "Where?", "choices": CHOICES, "label": None}, "label_missing"),
        ({"question": "Where?", "label": 0}, "choices_missing"),
        (
            {"article": "a", "questions": ["Where?"], "options": [], "answers": ["A"]},
            "questions_of_other_number",
        ),
    ],
)
def test_what_cannot_be_used_is_rejected_with_its_place(row: Mapping[str, Any], kind: str, tmp_path: Path) -> None:
    good = {"question": "Where?", "choices": CHOICES, "label": 0}
    path = write(tmp_path / "a.jsonl", good, row)
    found = read(path, share=1.0)
    (finding,) = found.findings.unused()
    assert (finding.kind, finding.where) == (kind, f"{path}:2")
    assert found.findings.n_rows == len(found.examples) + 1
    with pytest.raises(DataError, match="cannot be used"):
        read(path)


def test_a_prediction_needs_nothing_that_is_right(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"question": "Where?", "choices": CHOICES})
    assert [each.gold for each in read(path, use="prediction").examples] == [None]
    with pytest.raises(DataError, match="nothing to measure"):
        read(path, use="evaluation")


def test_an_article_counts_as_its_questions(tmp_path: Path) -> None:
    row = {"article": "Fish.", "questions": ["a?", "b?"], "options": [CHOICES, CHOICES], "answers": ["A", "C"], "id": 7}
    found = read(write(tmp_path / "a.jsonl", row))
    assert [(each.id, each.gold) for each in found.examples] == [("7-0", 0), ("7-1", 2)]
    assert found.findings.n_rows == 2
