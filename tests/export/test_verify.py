"""What counts as the same: by the size of what a model says, and never by figures that are not there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.export.verify import ExportComparison, compare, has_score, measure
from distiltune.model.encoder import Encoder, TaskModel, initialise
from distiltune.progress import heard_by
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.base import Dataset, Task
from distiltune.tasks.table import TASKS
from distiltune.tasks.text_classification.head import SequenceHead
from tests.helpers import TINY, word_pieces

WORDS = ("the", "old", "bell", "rings", "at", "noon")


class Changed(nn.Module):
    """A model whose outputs are another's times a factor."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, batch: PackedBatch) -> Tensor:
        scores: Tensor = self.model(batch) * self.factor
        return scores


def setting(folder: Path, size: float, *, gold: bool = True) -> tuple[Task[Any], TaskModel, Dataset]:
    """A model of numbers of about that size, and texts."""
    tokenizer = word_pieces(WORDS)
    rows = [{"text": " ".join(WORDS[: 1 + i % 6]), "label": i + 0.5} for i in range(12)]
    texts = rows if gold else [{"text": row["text"]} for row in rows]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    config = {"id2label": {"0": "number"}, "problem_type": "regression"}
    recipe = Recipe(task="text-classification", max_length=16, stride=4)
    task = TASKS[recipe.task](recipe).open_model(config)
    torch.manual_seed(0)
    shape = replace(TINY, vocab_size=tokenizer.get_vocab_size())
    model = TaskModel(Encoder(shape), SequenceHead(shape.hidden_size, 1, 0.0))
    initialise(model, 0.3)
    with torch.no_grad():
        for parameter in model.head.output.parameters():  # type: ignore[union-attr]
            parameter.mul_(size)
        model.head.output.bias.fill_(size)  # type: ignore[union-attr,operator]
    return task, model, task.load_data([str(folder / "texts.jsonl")], tokenizer, "prediction")


def compared(task: Task[Any], model: nn.Module, other: nn.Module, data: Dataset) -> ExportComparison:
    return compare(task, model, other, data, measure(task, model, data), measure(task, other, data))


@pytest.mark.parametrize("size", [1.0, 250_000.0])
def test_numbers_of_any_size_are_compared_by_their_size(tmp_path: Path, size: float) -> None:
    task, model, data = setting(tmp_path, size)
    rounded = compared(task, model, Changed(model, 1 + 3e-6), data)
    assert rounded.n_equal == rounded.n_examples == 12
    assert rounded.max_logit >= 0.5 * size
    assert rounded.is_faithful
    other = compared(task, model, Changed(model, 1 + 1e-2), data)
    assert other.n_equal < 12
    assert not other.is_faithful


def test_small_numbers_are_not_the_same_because_they_are_small(tmp_path: Path) -> None:
    task, model, data = setting(tmp_path, 1e-3)
    assert not compared(task, model, Changed(model, 1.1), data).is_faithful


def test_outputs_that_are_no_numbers_are_not_faithful(tmp_path: Path) -> None:
    task, model, data = setting(tmp_path, 1.0)
    before = measure(task, model, data)
    assert not compare(task, model, Changed(model, float("nan")), data, before, before).is_faithful


def test_without_gold_there_is_no_score_and_any_loss_is_possible(tmp_path: Path) -> None:
    task, model, data = setting(tmp_path, 1.0, gold=False)
    assert not has_score(task, measure(task, model, data))
    comparison = compared(task, model, model, data)
    assert comparison.is_faithful
    assert (comparison.score_name, comparison.score, comparison.score_original) == ("", None, None)
    assert comparison.lost == float("inf")
    json.dumps(comparison.as_json(), allow_nan=False)


def test_a_score_that_is_not_finite_counts_as_lost(tmp_path: Path) -> None:
    task, model, data = setting(tmp_path, 1.0)
    told: list[tuple[object, ...]] = []
    with heard_by(lambda *words: told.append(words)):
        before = measure(task, model, data, "measuring float32")
    assert told[-1] == ("measuring float32", "examples", 12, 12)
    assert has_score(task, before)
    after = replace(before, metrics={**before.metrics, "pearson": float("nan")})
    comparison = compare(task, model, model, data, before, after)
    assert comparison.lost == float("inf")
    json.dumps(comparison.as_json(), allow_nan=False)
