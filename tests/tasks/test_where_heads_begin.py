"""A new head says from its first step on how common the labels are; one that is trained is left as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distiltune.recipe.recipe import Recipe
from distiltune.runs.fine_tune import fine_tune
from distiltune.tasks.heads import log_odds, log_shares
from tests.tasks.test_sample_weights import lesson_of, model, rows_of, write

__all__ = ["model"]  # the fixture


def bias_of(task: str, path: Path, model: Path, **settings: Any) -> torch.Tensor:
    _, trained = lesson_of(task, path, model, **settings)
    bias: torch.Tensor = trained.get_submodule("head").output.bias  # type: ignore[assignment, union-attr]
    return bias.detach().double()


def test_of_words_by_the_tags_that_are_trained_on(model: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "words.jsonl", rows_of("token-classification"))
    # Eight texts of five words: 8 of B-P, 4 of B-T, 28 without; each once more.
    expected = np.array([29, 9, 1, 5, 1]) / 45
    bias = bias_of("token-classification", path, model)
    assert len(bias) in (3, 5)
    expected = expected if len(bias) == 5 else np.array([29, 9, 5]) / 43
    assert bias.exp().numpy() == pytest.approx(expected)


@pytest.mark.parametrize(("class_weights", "expected"), [("", [7, 3]), ("a=2,b=3", [13, 7])])
def test_of_texts_by_their_labels_as_the_loss_weighs_them(
    class_weights: str, expected: list[int], model: Path, tmp_path: Path
) -> None:
    rows = [{**row, "label": "aaaaaabb"[i]} for i, row in enumerate(rows_of("text-classification"))]
    settings = {"class_weights": class_weights} if class_weights else {}
    bias = bias_of("text-classification", write(tmp_path / "texts.jsonl", rows), model, **settings)
    assert bias.exp().sum().item() == pytest.approx(1.0)
    assert bias.softmax(0).numpy() == pytest.approx(np.array(expected) / sum(expected), rel=0.05)


def test_of_several_labels_a_text_each_by_itself(model: Path, tmp_path: Path) -> None:
    rows = [
        {"id": row["id"], "text": row["text"], "labels": ["a"] if i else ["a", "b"]}
        for i, row in enumerate(rows_of("text-classification"))
    ]
    rows[-1]["labels"] = []
    path = write(tmp_path / "several.jsonl", rows)
    bias = bias_of("text-classification", path, model)
    assert bias.sigmoid().numpy() == pytest.approx([8 / 10, 2 / 10])
    heavy = bias_of("text-classification", path, model, class_weights="b=3")
    assert (heavy - bias).numpy() == pytest.approx([0.0, np.log(3.0)])


def test_a_trained_head_goes_on_from_where_it_is(model: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "words.jsonl", rows_of("token-classification"))
    recipe = Recipe(
        task="token-classification", train=(str(path),), model=str(model), validation_share=0.0, max_length=16,
        stride=2, epochs=1, learning_rate=0.1, threads=1,
    )  # fmt: skip
    run = fine_tune(recipe, output=tmp_path / "run")
    new, trained = (bias_of("token-classification", path, which) for which in (model, run.model))
    assert not torch.allclose(new, trained, atol=1e-3)


def test_what_never_comes_is_unlikely_and_not_impossible() -> None:
    assert np.exp(log_shares(np.array([8.0, 0.0]))) == pytest.approx([0.9, 0.1])
    assert log_odds(np.array([8.0, 0.0, 4.0]), 8.0) == pytest.approx(np.log([9.0, 1 / 9, 1.0]))
