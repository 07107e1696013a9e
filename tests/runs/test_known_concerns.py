"""What was found wrong with data is found again without looking, and only where nothing is different."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from distiltune.checks.concerns import Concern
from distiltune.data.row_findings import RowFinding
from distiltune.recipe.recipe import Recipe
from distiltune.runs.known_concerns import concerns_of
from distiltune.tasks.question_answering.question_data import QuestionData
from distiltune.tasks.question_answering.task import QuestionAnswering, from_settings
from tests.helpers import people, write_squad

PEOPLE = people()
SETTINGS: dict[str, object] = {"max_answer_tokens": 30}


class Looked:
    """The task's checks, counted."""

    def __init__(self, task: QuestionAnswering) -> None:
        self.task = task
        self.times = 0

    def concerns(
        self, training: QuestionData, validation: QuestionData | None, tokenizer: Tokenizer
    ) -> tuple[Concern, ...]:
        self.times += 1
        return self.task.concerns(training, validation, tokenizer)


def load(folder: Path, recipe: Recipe) -> tuple[QuestionAnswering, QuestionData]:
    file = write_squad(folder / "train.json", [*PEOPLE.examples, *PEOPLE.examples[:2]])
    spec = from_settings(recipe.with_changes(train=(str(file),), validation_share=0.0))
    training = spec.open_training(torch.device("cpu"))
    return training.task, training.data(PEOPLE.tokenizer)[0]


def test_the_same_data_are_looked_at_once(tmp_path: Path) -> None:
    task, data = load(tmp_path, Recipe(max_length=48, stride=8))
    looked = Looked(task)
    found = [concerns_of(looked, data, data, PEOPLE.tokenizer, SETTINGS) for _ in range(2)]
    assert looked.times == 1
    assert found[0] == found[1] == task.concerns(data, data, PEOPLE.tokenizer)
    assert any(concern.cases for concern in found[0])


@pytest.mark.parametrize("what", ["files", "rows left out", "windows", "labels", "validation", "settings"])
def test_other_data_are_looked_at(what: str, tmp_path: Path) -> None:
    task, data = load(tmp_path, Recipe(max_length=48, stride=8))
    looked = Looked(task)
    concerns_of(looked, data, data, PEOPLE.tokenizer, SETTINGS)
    training, validation, settings = data, data, SETTINGS
    if what == "files":
        training = replace(data, fingerprint="others")
    elif what == "rows left out":
        left_out = RowFinding("rejected", "answer_not_found", "line 3", "q3", "it is not there")
        training = replace(data, findings=replace(data.findings, items=[*data.findings.items, left_out]))
    elif what == "windows":
        _, training = load(tmp_path, Recipe(max_length=20, stride=8))
    elif what == "labels":
        features = data.question_features
        moved = replace(features.features, labels=features.features.labels + 1)
        training = replace(data, question_features=replace(features, features=moved))
    elif what == "validation":
        validation = replace(data, fingerprint="others")
    else:
        settings = {"max_answer_tokens": 3}
    concerns_of(looked, training, validation, PEOPLE.tokenizer, settings)
    assert looked.times == 2
