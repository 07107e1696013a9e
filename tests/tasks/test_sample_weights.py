"""What a row weighs in the training loss: as much as if it were there so often."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distiltune.data.packing import fill_up
from distiltune.distillation.soft_labels import SoftLabels
from distiltune.errors import DataError
from distiltune.model.build import Dropouts
from distiltune.recipe.recipe import Recipe
from distiltune.runs.fine_tune import fine_tune
from distiltune.tasks.base import Lesson
from distiltune.tasks.table import TASKS
from tests.helpers import TINY, word_pieces, write_tiny_model

WORDS = ("ada", "bob", "cem", "dee", "sees", "likes", "the", "old", "new", "cat", "dog", "who")
CPU = torch.device("cpu")


def rows_of(task: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for i in range(8):
        person, verb, thing = WORDS[i % 4], WORDS[4 + i % 2], WORDS[9 + i % 2]
        text = f"{person} {verb} the {WORDS[7 + i // 4]} {thing}"
        if task == "question-answering":
            rows.append({"question": f"who {verb}", "context": text, "answer_text": person, "answer_start": 0})
        elif task == "token-classification":
            rows.append({"tokens": text.split(), "tags": ["B-P", "O", "O", "O", "B-T"][: 5 - i % 2] + ["O"] * (i % 2)})
        else:
            rows.append({"text": text, "label": "ab"[i % 2] if task == "text-classification" else i / 3})
    return [{"id": f"r{i}", **row} for i, row in enumerate(rows)]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def lesson_of(task: str, path: Path, model: Path, **settings: Any) -> tuple[Lesson[Any], torch.nn.Module]:
    recipe = Recipe.build(
        {
            "task": task,
            "train": str(path),
            "model": str(model),
            "validation_share": 0.0,
            "max_length": 16,
            "stride": 2,
            **settings,
        }
    )
    opened = TASKS[task](recipe).open_training(CPU)
    torch.manual_seed(0)
    loaded = opened.load_model(str(model), Dropouts(0.0, 0.0, 0.0))
    return opened.lesson(loaded), loaded.model


def sums_of(lesson: Lesson[Any], model: torch.nn.Module) -> tuple[float, list[float], float, float]:
    """Loss, metrics, and the weight of all; and the loss against a teacher that is another model."""
    ids = np.arange(len(lesson.features))
    batch = lesson.features.batch(ids)
    padded = fill_up(batch, batch.n_tokens + 3, 20)
    output = model.eval()(padded)
    rows = sum(padded.row_counts("token")) if lesson.task.name != "text-classification" else len(ids)
    assert len(output) == rows
    sums = lesson.objective(output, padded)
    torch.manual_seed(1)
    targets = torch.randn(1, output.shape[1]).repeat(len(output), 1)
    taught = SoftLabels(lesson.objective, lesson.task.divergence, 2.0, 0.5)  # type: ignore[attr-defined]
    soft = taught(output, replace(padded, targets=targets)).loss
    return float(sums.loss.detach()), sums.metrics.tolist(), lesson.features.weight(ids), float(soft.detach())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = word_pieces(WORDS)
    shape = replace(TINY, vocab_size=tokenizer.get_vocab_size())
    return write_tiny_model(tmp_path_factory.mktemp("model"), tokenizer, shape)


@pytest.mark.parametrize(
    ("task", "class_weights"),
    [
        ("question-answering", ""),
        ("text-classification", ""),
        ("text-classification", "a=2,b=1"),
        ("numbers", ""),
        ("token-classification", ""),
    ],
)
def test_a_weight_is_a_number_of_times(task: str, class_weights: str, model: Path, tmp_path: Path) -> None:
    named = "text-classification" if task == "numbers" else task
    rows, weights = rows_of(task), [1, 2, 1, 3, 0, 1, 1, 2]
    weighed = write(tmp_path / "weighed.jsonl", [{**row, "how": w} for row, w in zip(rows, weights, strict=True)])
    often = [{**row, "id": f"{row['id']}-{n}"} for row, w in zip(rows, weights, strict=True) for n in range(w)]
    more: dict[str, Any] = {"class_weights": class_weights} if class_weights else {}
    ours, theirs = (
        sums_of(*lesson_of(named, path, model, columns=columns, **more))
        for path, columns in ((weighed, "sample_weight=how"), (write(tmp_path / "often.jsonl", often), ""))
    )
    if task == "numbers":  # whose unit is the spread of the rows, however heavy
        spreads = [np.std([row["label"] for row in which]) ** 2 for which in (rows, often)]
        ours = (ours[0] * spreads[0], [each * spreads[0] for each in ours[1]], ours[2], 0.0)
        theirs = (theirs[0] * spreads[1], [each * spreads[1] for each in theirs[1]], theirs[2], 0.0)
    assert ours[0] == pytest.approx(theirs[0], rel=1e-4)
    assert ours[1] == pytest.approx(theirs[1], rel=1e-4)
    assert ours[2] == pytest.approx(theirs[2], rel=1e-5)
    assert ours[3] == pytest.approx(theirs[3], rel=1e-4)


@pytest.mark.parametrize("task", ["question-answering", "text-classification", "token-classification"])
def test_what_is_no_weight_costs_the_row(task: str, model: Path, tmp_path: Path) -> None:
    weights: list[Any] = [1, "0.5", 2.5, -1, "much", None, True, float("inf")]
    rows = [{**row, "sample_weight": w} for row, w in zip(rows_of(task), weights, strict=True)]
    lesson, _ = lesson_of(task, write(tmp_path / "rows.jsonl", rows), model, max_rejected_share=1.0)
    assert [each.id for each in lesson.training.examples] == ["r0", "r1", "r2"]
    assert [each.weight for each in lesson.training.examples] == [1.0, 0.5, 2.5]
    left_out = lesson.training.findings.unused()
    assert [(each.row_id, each.kind) for each in left_out] == [(f"r{i}", "sample_weight_unusable") for i in range(3, 8)]
    assert sum("sample_weight" in line for line in lesson.training.findings.decisions()) == 1


@pytest.mark.parametrize("task", ["question-answering", "text-classification", "token-classification"])
def test_without_the_column_nothing_is_weighed(task: str, model: Path, tmp_path: Path) -> None:
    lesson, _ = lesson_of(task, write(tmp_path / "rows.jsonl", rows_of(task)), model)
    assert {each.weight for each in lesson.training.examples} == {1.0}
    assert not any("sample_weight" in line for line in lesson.training.findings.decisions())
    if task == "question-answering":
        assert lesson.features.weights is None


def test_a_question_below_its_text_weighs_too(model: Path, tmp_path: Path) -> None:
    qas = [
        {"id": "a", "question": "who", "answers": [{"text": "ada", "answer_start": 0}], "sample_weight": 3},
        {"id": "b", "question": "who sees", "answers": [{"text": "ada", "answer_start": 0}]},
    ]
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "ada sees the cat", "qas": qas}]}]}))
    for _ in range(2):  # read, and kept from before
        lesson, _ = lesson_of("question-answering", path, model)
        assert [each.weight for each in lesson.training.examples] == [3.0, 1.0]


def test_words_row_by_row_weigh_as_their_sentence(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    lines = ["sentence_id,word,tag,sample_weight", "1,ada,B-P,2", "1,sees,O,2", "2,bob,B-P,0.5", "2,sees,O,"]
    path.write_text("\n".join([*lines, "3,cem,B-P,1", "3,sees,O,2"]) + "\n")
    lesson, _ = lesson_of("token-classification", path, model, max_rejected_share=1.0)
    assert [each.weight for each in lesson.training.examples] == [2.0, 0.5]
    (left_out,) = lesson.training.findings.unused()
    assert left_out.kind == "sample_weight_unusable"


def test_validation_and_evaluation_do_without(model: Path, tmp_path: Path) -> None:
    rows = [{**row, "how": 5 * (i % 2)} for i, row in enumerate(rows_of("text-classification"))]
    weighed = write(tmp_path / "weighed.jsonl", rows)
    plain = write(tmp_path / "plain.jsonl", rows_of("text-classification"))
    lesson, _ = lesson_of("text-classification", weighed, model, columns="sample_weight=how", validation=str(plain))
    assert lesson.validation is not None
    assert lesson.validation.features.weights.tolist() == [1.0] * 8
    assert lesson.features.weights is not None
    assert lesson.features.weights.tolist() == [0.0, 5.0] * 4


def test_rows_that_weigh_nothing_teach_nothing(model: Path, tmp_path: Path) -> None:
    rows = [{**row, "sample_weight": 0} for row in rows_of("text-classification")]
    with pytest.raises(DataError, match="No training example weighs anything"):
        fine_tune(
            output=tmp_path / "run",
            train=str(write(tmp_path / "rows.jsonl", rows)),
            model=str(model),
            validation_share=0.0,
            max_length=16,
            stride=2,
        )
