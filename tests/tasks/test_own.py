"""Losses and figures of one's own, for each task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from distiltune.data.packing import fill_up
from distiltune.errors import RecipeError, TrainingError
from distiltune.tasks.own import Loss, Own, checked
from tests.tasks.test_sample_weights import lesson_of, model, rows_of, write

__all__ = ["model"]


def entropy(scores: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(scores, labels, reduction="none")


def span_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(scores.transpose(1, 2), labels, reduction="none").mean(dim=1)


def squared(scores: Tensor, labels: Tensor) -> Tensor:
    return (scores - labels) ** 2


TASKS: dict[str, tuple[str, Loss]] = {
    "question-answering": ("question-answering", span_entropy),
    "token-classification": ("token-classification", entropy),
    "text-classification": ("text-classification", entropy),
    "numbers": ("text-classification", squared),
}


@pytest.mark.parametrize("weighed", [False, True], ids=["plain", "weighed"])
@pytest.mark.parametrize("name", TASKS)
def test_the_usual_loss_as_ones_own_is_the_usual_one(name: str, weighed: bool, model: Path, tmp_path: Path) -> None:
    task, loss = TASKS[name]
    rows = [{**row, **({"sample_weight": i % 3} if weighed else {})} for i, row in enumerate(rows_of(name))]
    lesson, network = lesson_of(task, write(tmp_path / "rows.jsonl", rows), model)
    own = Own(loss=loss).lesson(lesson)
    plain = lesson.features.batch(np.arange(len(lesson.features)))
    batch = fill_up(plain, plain.n_tokens + 3, 20)
    output = network.eval()(batch)
    usual, ours = lesson.objective(output, batch), own.objective(output, batch)
    torch.testing.assert_close(ours.loss, usual.loss)
    assert torch.equal(ours.metrics, usual.metrics)
    gradients = [torch.autograd.grad(each.loss, output, retain_graph=True)[0] for each in (usual, ours)]
    torch.testing.assert_close(gradients[1], gradients[0])
    assert any("one of your own" in note for note in own.notes)


def test_another_loss_moves_the_weights_and_not_the_figures(model: Path, tmp_path: Path) -> None:
    lesson, network = lesson_of(
        "text-classification", write(tmp_path / "rows.jsonl", rows_of("text-classification")), model
    )
    own = Own(loss=lambda scores, labels: 3 * entropy(scores, labels)).lesson(lesson)
    batch = lesson.features.batch(np.arange(8))
    output = network.eval()(batch)
    usual, ours = lesson.objective(output, batch), own.objective(output, batch)
    torch.testing.assert_close(ours.loss, 3 * usual.loss)
    assert torch.equal(ours.metrics, usual.metrics)


def test_a_mean_is_no_loss_of_each() -> None:
    assert checked(torch.zeros(3), 3).shape == (3,)
    for losses in (torch.zeros(()), torch.zeros(4), torch.zeros(3, 1), 0.5):
        with pytest.raises(TrainingError, match=r"where \(3,\) is needed: one for each, not their mean"):
            checked(losses, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "shape"),
    [("text-classification", str), ("numbers", float), ("token-classification", list), ("question-answering", tuple)],
)
def test_what_figures_are_taken_of(name: str, shape: type, model: Path, tmp_path: Path) -> None:
    task = TASKS[name][0]
    path = write(tmp_path / "rows.jsonl", rows_of(name))
    lesson, network = lesson_of(task, path, model, validation=str(path))
    seen: list[tuple[Sequence[Any], Sequence[Any]]] = []

    def equal(gold: Sequence[Any], given: Sequence[Any]) -> float:
        seen.append((gold, given))
        return sum(bool(a == b) for a, b in zip(gold, given, strict=True)) / len(gold)

    assert lesson.validation is not None
    evaluation = lesson.task.evaluate(network, lesson.validation)
    found = Own({"equal": equal}).figures(evaluation)
    assert {**evaluation.metrics, "equal": found["equal"]} == found
    ((gold, given),) = seen
    assert len(gold) == len(given) == 8
    assert all(isinstance(each, shape) for each in gold)
    if task == "text-classification" and name != "numbers":
        assert found["equal"] == found["accuracy"]
    with pytest.raises(TrainingError, match="There is a figure called loss already"):
        Own({"loss": equal}).figures(evaluation)


def test_several_labels_are_arrays(model: Path, tmp_path: Path) -> None:
    from sklearn.metrics import f1_score

    rows = [{"id": f"r{i}", "text": "ada sees", "labels": ["a", "b", "c"][: i % 4]} for i in range(8)]
    path = write(tmp_path / "rows.jsonl", rows)
    lesson, network = lesson_of("text-classification", path, model, validation=str(path))
    assert lesson.validation is not None
    evaluation = lesson.task.evaluate(network, lesson.validation)
    own = Own({"sklearn": lambda gold, given: float(f1_score(gold, given, average="macro", zero_division=0))})
    assert own.figures(evaluation)["sklearn"] == pytest.approx(evaluation.metrics["macro_f1"])


def test_an_encoder_has_neither() -> None:
    class Bare:
        metrics = {"loss": 1.0}  # noqa: RUF012

    with pytest.raises(RecipeError, match="says nothing of single examples"):
        Own({"mine": lambda gold, given: 0.0}).figures(Bare())
