"""Learning from a fine-tuned teacher's answers: the loss, what is kept, and what is refused."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distiltune.data import cache
from distiltune.distillation.soft_labels import SoftLabels
from distiltune.errors import DistiltuneError, ModelError, RecipeError, TrainingError
from distiltune.recipe.recipe import Recipe
from distiltune.runs.fine_tune import FineTuned, fine_tune, resume
from distiltune.tasks.question_answering.head import span_divergence, span_loss
from distiltune.training import backward
from tests.faults import trainings
from tests.helpers import TINY, people, random_features, read_log, word_pieces, write_squad, write_tiny_model

FEATURES = random_features(5)
PEOPLE = people()
SHAPE = replace(TINY, vocab_size=PEOPLE.tokenizer.get_vocab_size(), max_position_embeddings=64)
QUICK: dict[str, Any] = {
    "base": "classic",
    "max_length": 48,
    "stride": 8,
    "epochs": 1,
    "learning_rate": 3e-3,
    "threads": 1,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "head_dropout": 0.0,
}


def test_the_divergence_is_the_papers() -> None:
    """Sanh et al. 2019, section 3, worked out feature by feature; 0 of a teacher that says the same."""
    rng = np.random.default_rng(0)
    teacher = rng.normal(size=(len(FEATURES.token_ids), 2)).astype(np.float16)
    packed = replace(FEATURES, targets=teacher).batch(np.arange(5))
    assert packed.targets is not None
    torch.manual_seed(0)
    logits, temperature = torch.randn(packed.n_tokens, 2, requires_grad=True), 3.0
    expected, start = torch.zeros(()), 0
    for length in packed.lengths:
        rows = slice(start, start + length)
        for end in (0, 1):
            t = (packed.targets.float()[rows, end] / temperature).softmax(0)
            s = (logits[rows, end] / temperature).softmax(0)
            expected = expected + (t * (t / s).log()).sum() * temperature**2 / 2
        start += length
    divergence = span_divergence(logits, packed.targets, packed, temperature)
    torch.testing.assert_close(divergence, expected)
    (ours,) = torch.autograd.grad(divergence, logits)
    (by_hand,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(ours, by_hand)
    assert float(span_divergence(packed.targets.float(), packed.targets, packed, 1.0)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_labels_and_teacher_share_the_loss(weight: float) -> None:
    teacher = np.random.default_rng(1).normal(size=(len(FEATURES.token_ids), 2)).astype(np.float16)
    packed = replace(FEATURES, targets=teacher).batch(np.arange(5))
    assert packed.targets is not None
    logits = torch.randn(packed.n_tokens, 2)
    hard, soft = span_loss(logits, packed), span_divergence(logits, packed.targets, packed, 2.0)
    sums = SoftLabels(span_loss, span_divergence, 2.0, weight)(logits, packed)
    torch.testing.assert_close(sums.loss, (1 - weight) * hard.loss + weight * soft)
    torch.testing.assert_close(sums.metrics, hard.metrics)  # the figures mean what a validation's do
    assert sums.metrics[1:].tolist() == hard.metrics[1:].tolist()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A student, a teacher with a trained head, and data."""
    directory = tmp_path_factory.mktemp("places")
    data = str(write_squad(directory / "train.json", PEOPLE.examples))
    student = str(write_tiny_model(directory / "student", PEOPLE.tokenizer, SHAPE))
    base = str(write_tiny_model(directory / "base", PEOPLE.tokenizer, replace(SHAPE, hidden_size=24), seed=1))
    settings = {**QUICK, "epochs": 30, "learning_rate": 1e-2, "batch_size": 8}
    teacher = fine_tune(model=base, train=data, validation=data, output=directory / "teacher", **settings)
    return {"train": data, "validation": data, "model": student, "teacher": str(teacher.model)}


def soft_only(places: dict[str, str], output: Path, **settings: Any) -> FineTuned:
    return fine_tune(output=output, **{**QUICK, **places, "soft_weight": 1.0, **settings})


def test_a_student_learns_what_its_teacher_knows_without_any_label(
    places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    run = soft_only(places, tmp_path / "run", epochs=40, learning_rate=1e-2, batch_size=8)
    assert run.epochs[-1].train["loss"] < 0.4 * run.epochs[0].train["loss"]
    assert run.best.validation["start_accuracy"] > 0.9  # the labels, which it never saw


def test_the_teacher_is_run_once(places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And again where the data or the windows are others; the second start gives the same training."""
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    first = soft_only(places, tmp_path / "first")
    again = soft_only(places, tmp_path / "again")
    assert again.epochs[0].train == first.epochs[0].train

    def note(run: FineTuned) -> str:
        card = (run.model / "README.md").read_text(encoding="utf-8")
        return next(line for line in card.splitlines() if "teacher:" in line)

    assert "computed in" in note(first)
    assert "from the cache" in note(again)
    assert "computed in" in note(soft_only(places, tmp_path / "other", max_length=16, stride=2))
    assert read_log(first.directory / "log.jsonl")[0]["recipe"]["soft_weight"] == 1.0  # type: ignore[index]


class PulledPlugError(BaseException):
    """Whatever ends a training in the middle of a step."""


def test_a_stopped_run_goes_on_with_its_teacher_to_the_same_bits(
    places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    settings = {**QUICK, **places, "epochs": 3, "batch_size": 8, "dropout": 0.1, "checkpoint_steps": 2, "log_every": 1}
    whole = fine_tune(output=tmp_path / "whole", **settings)
    real, steps = backward.add_gradients, itertools.count()

    def pulled(*arguments: Any) -> torch.Tensor:
        if next(steps) == 7:
            raise PulledPlugError
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(backward, "add_gradients", pulled)
        with pytest.raises(PulledPlugError):
            fine_tune(output=tmp_path / "cut", **settings)
    again = resume(tmp_path / "cut")
    (came_to,) = trainings.resumed_at(tmp_path / "cut")
    assert 4 <= came_to <= 7  # a checkpoint that is due while another is being written comes a step later
    assert [epoch.train for epoch in again.epochs] == [epoch.train for epoch in whole.epochs]
    weights = [(run.model / "model.safetensors").read_bytes() for run in (again, whole)]
    assert weights[0] == weights[1]


def test_a_run_does_not_go_on_with_another_teacher(
    places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    soft_only(places, tmp_path / "run")
    data: dict[str, Any] = {"train": places["train"], "validation": places["validation"]}
    other = fine_tune(model=places["model"], output=tmp_path / "other", **data, **QUICK)
    with pytest.raises(TrainingError, match="teacher, outputs"):
        resume(tmp_path / "run", teacher=str(other.model))


def test_a_step_that_is_not_finite_never_reaches_the_weights(
    places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where only the teacher's part of the loss is not, which no figure shows."""
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    soft_only(places, tmp_path / "first")
    (kept,) = (tmp_path / "cache").glob("*/array.npy")
    rows = np.load(kept)
    rows[5] = np.inf
    np.save(kept, rows)
    (kept.parent / "manifest.json").write_text(json.dumps({"sample": cache._sample(kept)}), encoding="utf-8")
    with pytest.raises(TrainingError, match="finite"):
        soft_only(places, tmp_path / "again")


def test_a_damaged_cache_is_made_anew(places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    first = soft_only(places, tmp_path / "first")
    (kept,) = (tmp_path / "cache").glob("*/array.npy")
    kept.chmod(0o600)
    content = bytearray(kept.read_bytes())
    content[-1] ^= 255
    kept.write_bytes(bytes(content))
    again = soft_only(places, tmp_path / "again")
    assert again.epochs[0].train == first.epochs[0].train


def test_a_teacher_that_cannot_teach_is_refused(places: dict[str, str], tmp_path: Path) -> None:
    others = word_pieces(["other", "words"])
    stranger = write_tiny_model(tmp_path / "stranger", others, replace(SHAPE, vocab_size=others.get_vocab_size()))
    cases: list[tuple[dict[str, Any], type[DistiltuneError], str]] = [
        ({"teacher": places["model"]}, ModelError, "no trained head"),
        ({"teacher": "./absent"}, ModelError, "no such model"),
    ]
    for settings, kind, words in cases:
        with pytest.raises(kind, match=words):
            soft_only(places, tmp_path / "run", **settings)
    data = places["train"]
    run = fine_tune(model=str(stranger), train=data, validation=data, output=tmp_path / "strange", **QUICK)
    with pytest.raises(ModelError, match="different tokens"):
        soft_only(places, tmp_path / "run", teacher=str(run.model))
    short = write_tiny_model(tmp_path / "short", PEOPLE.tokenizer, replace(SHAPE, max_position_embeddings=20))
    small = {**QUICK, "max_length": 20, "stride": 2}
    run = fine_tune(model=str(short), train=data, validation=data, output=tmp_path / "brief", **small)
    with pytest.raises(RecipeError, match="positions for 20"):
        soft_only(places, tmp_path / "run", teacher=str(run.model))
    assert not (tmp_path / "run").exists()


def test_numbers_that_make_no_sense_are_refused() -> None:
    encoder = {"task": "encoder", "teacher": "t"}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"teacher": "t", "temperature": 0.0}, "above 0"),
        ({"teacher": "t", "soft_weight": 1.5}, "at most 1"),
        ({"temperature": 3.0}, "teacher names no model"),
        ({"task": "question-answering", "student_width": 8}, "of another task"),
        ({"task": "encoder"}, "teacher names no model"),
        ({**encoder, "train_examples": 5}, "no meaning for the task encoder"),
        ({**encoder, "head_dropout": 0.1}, "head_dropout has no meaning"),
        ({**encoder, "max_rejected_share": 0.5}, "max_rejected_share has no meaning"),
        ({**encoder, "hidden_weight": 0.0, "relation_weight": 0.0}, "hidden_weight and relation_weight are both 0"),
        ({**encoder, "max_length": 16, "stride": 14}, "windows cannot move on"),
    ]
    for settings, words in cases:
        with pytest.raises(RecipeError, match=words):
            Recipe.build(settings)
    assert Recipe.build({**encoder, "student_width": 8}).student_width == 8
    assert math.isclose(Recipe().temperature, 2.0)
