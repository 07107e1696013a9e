"""What was decided of a file is told before a training, by the training, and with what a model is measured on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distiltune import evaluate, fine_tune
from distiltune.errors import DataError
from distiltune.recipe.choose_task import with_task_of_training
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.table import TASKS
from distiltune.tasks.token_classification.check import check
from distiltune.tasks.token_classification.settings import TokenClassificationSettings
from distiltune.training.reporter import Quiet

FORMS = Path(__file__).parents[2] / "data" / "forms"
MISREAD = {
    "number_last.conll": "column 2 for the tags",
    "germeval.conll": "column 3 for the tags",
    "annotator.iob2": "column 3 for the tags",
    "tag_first.bio": "column 1 for the tags",
    "joined.conll": "joined to their tags by '|'",
    "conll2012.v4_gold_conll": "column 11 for the tags",
}


def concerns(path: Path, **settings: Any) -> list[dict[str, Any]]:
    """What `check` says of the file."""
    found = check([str(path)], [], TokenClassificationSettings(task="token-classification", **settings), None)
    listed: list[dict[str, Any]] = found.values["concerns"]
    return listed


@pytest.mark.parametrize("name", MISREAD)
def test_check_says_which_columns_are_read(name: str) -> None:
    assert any(MISREAD[name] in each["message"] for each in concerns(FORMS / name))


@pytest.mark.parametrize(
    ("tags", "part", "severity"),
    [
        ("0 B-x I-x", "'0' as O", "note"),
        ("O B_x I_x", "'B_x' as B-x", "note"),
        ("O b-x i-x", "'b-x' as B-x", "note"),
        ("O x-B x-I", "'x-B' as B-x", "note"),
        ("O B I", "'B' as B-entity", "note"),
        ("B-x M-x E-x", "'M-x' as I-x", "note"),
        ("O x y", "no prefixes", "note"),
        ("O B-x B-", "tag of no scheme", "error"),
        ("O B-x M-x", "tag of no scheme", "error"),
        ("O B-x OTHER", "tag of no scheme", "error"),
    ],
)
def test_check_says_how_tags_are_read(tmp_path: Path, tags: str, part: str, severity: str) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"tokens": [f"w{i}"], "tags": ["B-x" if "-x" in tags else "O"]} for i in range(100)]
    rows = [{"tokens": tags.split(), "tags": tags.split()}, *(rows if severity == "error" else [])]
    rows += [{"tokens": ["a"], "tags": [tags.split()[-1]]}] * (severity != "error")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = [each for each in concerns(path) if part in each["message"]]
    assert [each["severity"] for each in told] == [severity]


@pytest.mark.parametrize(
    "name",
    ["doccano.jsonl", "label_studio.json", "prodigy.jsonl", "brat", "kaggle.csv", "spacy_v2.json", "tag_first.bio"],
)
def test_the_task_of_a_tools_file_is_told_by_the_file(name: str) -> None:
    recipe = with_task_of_training(Recipe(train=(str(FORMS / name),)))
    assert recipe.task == "token-classification"


def test_texts_with_labels_are_still_texts_with_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": []}\n{"text": "b", "label": ["x"]}\n')
    assert with_task_of_training(Recipe(train=(str(path),))).task == "text-classification"


def test_the_settings_are_flags_where_they_matter() -> None:
    entry = TASKS["token-classification"]
    assert set(entry.own_settings) == {"overlapping", "tag_names"} == set(entry.for_use) == set(entry.for_checking)


def test_numbers_for_tags_are_refused_with_the_flag() -> None:
    path = FORMS / "numbers.jsonl"
    assert not any(each["severity"] == "error" for each in concerns(path, tag_names="O, B-PER, I-PER"))
    with pytest.raises(DataError, match="--tag-names"):
        concerns(path)


class Ears(Quiet):
    """Keeps every note."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def test_a_training_and_an_evaluation_say_it_word_for_word(tmp_path: Path) -> None:
    data = str(FORMS / "tag_first.bio")
    settings: dict[str, Any] = {"epochs": 1, "threads": 1, "max_length": 32, "stride": 8}
    ears = Ears()
    run = fine_tune(train=data, validation=data, output=tmp_path / "run", reporter=ears, **settings)
    said = [note for note in ears.notes if "column 1 for the tags" in note]
    assert [note.split(":")[0] for note in said] == ["train", "validation"]
    assert not any("decided" in note for note in ears.notes)
    events = [json.loads(line) for line in (run.directory / "log.jsonl").read_text().splitlines()]
    assert any(each.get("finding", {}).get("kind") == "columns_read" for each in events)
    measured = evaluate(model=str(run.directory), data=data)
    assert any("column 1 for the tags" in note for note in measured.notes)
    assert measured.noted[0].kind == "columns_read"
