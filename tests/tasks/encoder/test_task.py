"""Distilling an encoder from end to end: the run directory, the cache, and a student that comes near its teacher."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from distiltune import cli
from distiltune.distillation.student import StudentShape
from distiltune.errors import DataError, ModelError, RecipeError
from distiltune.model.build import Dropouts
from distiltune.model.encoder import Encoder
from distiltune.model.source import load_source
from distiltune.recipe.recipe import Recipe
from distiltune.runs.fine_tune import FineTuned, fine_tune
from distiltune.tasks.encoder import task as encoder_task
from distiltune.tasks.encoder.task import SAMPLE_TOKENS, relation_heads, sample_windows
from distiltune.tasks.table import TASKS
from tests.faults import trainings
from tests.helpers import TINY, bytes_of_tensors, people, read_log, word_pieces, write_squad, write_tiny_model

PEOPLE = people()
SHAPE = replace(TINY, vocab_size=PEOPLE.tokenizer.get_vocab_size(), hidden_size=32, n_heads=4, n_layers=2)
QUICK: dict[str, Any] = {
    "task": "encoder",
    "max_length": 32,
    "stride": 0,
    "epochs": 8,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "validation_share": 0.2,
    "threads": 1,
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("places")
    rng = np.random.default_rng(0)
    words = sorted({word for each in PEOPLE.examples for word in each.context.split()})
    lines = [" ".join(rng.choice(words, rng.integers(3, 40))) for _ in range(80)]
    (directory / "texts").mkdir()
    (directory / "texts" / "a.txt").write_text("\n".join(lines), encoding="utf-8")
    teacher = write_tiny_model(directory / "teacher", PEOPLE.tokenizer, SHAPE)
    return {"model": str(teacher), "teacher": str(teacher), "train": str(directory / "texts")}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(cache))


@pytest.fixture(scope="module")
def distilled(places: dict[str, str], cache: Path, tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILTUNE_CACHE", str(cache))
        return fine_tune(
            output=tmp_path_factory.mktemp("runs") / "student",
            **{**QUICK, **places},
            student_width=16,
            student_heads=2,
            student_layers=2,
        )


def test_the_student_comes_nearer_to_its_teacher(distilled: FineTuned, places: dict[str, str], tmp_path: Path) -> None:
    """Cut out of it, it begins near and comes nearer; one whose layers start from random weights has farther to go."""
    losses = [epoch.validation["loss"] for epoch in distilled.epochs]
    assert distilled.best_epoch == losses.index(min(losses)) > 0
    shape = {"student_width": 16, "student_heads": 4, "student_layers": 2}  # heads of another size: no cutting out
    random = fine_tune(output=tmp_path / "random", **{**QUICK, **places, **shape})
    far = [epoch.validation["loss"] for epoch in random.epochs]
    assert min(far) < 0.7 * far[0]
    assert min(losses) < min(far)
    assert set(distilled.best.validation) == {"loss", "hidden", "relations"}


def test_the_model_directory_is_an_encoder_without_the_projections(distilled: FineTuned) -> None:
    source = load_source(str(distilled.model))
    assert (source.config.hidden_size, source.config.n_layers, source.config.n_heads) == (16, 2, 2)
    assert source.unexpected == ()
    model = AutoModel.from_pretrained(distilled.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(distilled.model)
    assert model(**tokenizer("ada eats plums .", return_tensors="pt")).last_hidden_state.shape[-1] == 16
    assert {path.name for path in distilled.directory.iterdir()} >= {
        *("recipe.toml", "log.jsonl", "checkpoints", "model", "report.html", "curves.svg", "curves.png")
    }
    card = (distilled.model / "README.md").read_text(encoding="utf-8")
    assert "fine-tuning makes it answer questions" in card
    assert "pipeline_tag" not in card


def test_the_teachers_weights_are_held_once(places: dict[str, str]) -> None:
    spec = TASKS["encoder"](Recipe.build({**QUICK, **places, "student_layers": 1}))
    before = bytes_of_tensors()
    training = spec.open_training(torch.device("cpu"))
    loaded = training.load_model(places["model"], Dropouts())
    teacher = Encoder(SHAPE).state_dict()
    n_bytes = sum(tensor.nbytes for tensor in (*loaded.model.state_dict().values(), *teacher.values()))
    del teacher
    assert bytes_of_tensors() - before == n_bytes


def test_it_can_be_fine_tuned(distilled: FineTuned, tmp_path: Path) -> None:
    data = str(write_squad(tmp_path / "train.json", PEOPLE.examples))
    settings: dict[str, Any] = {"epochs": 1, "max_length": 48, "stride": 8, "threads": 1}
    run = fine_tune(model=str(distilled.model), train=data, validation=data, output=tmp_path / "run", **settings)
    assert run.best.validation["n"] == 32


def test_the_second_start_reads_what_the_teacher_said(
    distilled: FineTuned, places: dict[str, str], cache: Path, tmp_path: Path
) -> None:
    kept = {path: path.stat().st_mtime_ns for path in cache.glob("*/array.npy")}
    assert len(kept) == 2  # training and validation
    shape = {"student_width": 16, "student_heads": 2, "student_layers": 2}
    again = fine_tune(output=tmp_path / "again", **{**QUICK, **places, **shape})
    assert {path: path.stat().st_mtime_ns for path in cache.glob("*/array.npy")} == kept
    assert [epoch.train for epoch in again.epochs] == [epoch.train for epoch in distilled.epochs]


def test_a_student_like_its_teacher_begins_where_that_is(places: dict[str, str], tmp_path: Path) -> None:
    """Of the teacher's own shape it has its weights, and nothing is left to learn but what half precision rounds."""
    settings = {**QUICK, **places, "dropout": 0.0, "attention_dropout": 0.0, "epochs": 1, "learning_rate": 1e-9}
    run = fine_tune(output=tmp_path / "same", **settings)
    assert run.epochs[0].train["loss"] < 1e-4


def test_the_log_is_a_fine_tunings(distilled: FineTuned) -> None:
    kinds = [line["kind"] for line in read_log(distilled.directory / "log.jsonl") if line["kind"] != "event"]
    assert [kind for kind, _ in itertools.groupby(k for k in kinds if k != "step")] == [
        "start",
        *itertools.chain.from_iterable(("epoch", "evaluation") for _ in range(8)),
        "end",
    ]


def test_a_killed_run_goes_on_with_one_command_to_the_same_bits(
    places: dict[str, str], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a signal that cannot be caught, in the middle of an epoch, and without what the teacher is called now."""
    teacher = shutil.copytree(places["teacher"], tmp_path / "teacher")
    settings = ["--student-width", "16", "--student-heads", "2", "--epochs", "12", "--max-length", "32", "--dropout"]
    settings += ["0.1", "--batch-size", "8", "--threads", "1", "--checkpoint-steps", "5", "--log-every", "1"]
    source = ["--teacher", str(teacher), "--train", places["train"], "--validation-share", "0.2"]

    def distil(*arguments: str) -> None:
        monkeypatch.setattr("sys.argv", ["distiltune", "distill", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == 0

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    distil("--encoder", *source, *settings, "--output", str(whole))
    command = [sys.executable, "-m", "distiltune", "distill", "--encoder", *source, *settings, "--output", str(cut)]
    environment = {**os.environ, "DISTILTUNE_CACHE": str(cache)}
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    while trainings.last_step(cut) < 13 and child.poll() is None:
        time.sleep(0.001)
    child.kill()
    assert child.wait(600) < 0  # it was not done yet
    moved = shutil.move(teacher, tmp_path / "moved")
    distil("--resume", str(cut), "--teacher", str(moved))
    assert trainings.resumed_at(cut)[0] >= 10
    for name in ("model.safetensors", "config.json"):
        assert (cut / "model" / name).read_bytes() == (whole / "model" / name).read_bytes()
    assert trainings.figures(cut) == trainings.figures(whole)


def test_what_cannot_be_is_refused(places: dict[str, str], tmp_path: Path) -> None:
    others = word_pieces(["other"])
    stranger = write_tiny_model(tmp_path / "stranger", others, replace(SHAPE, vocab_size=others.get_vocab_size()))
    with pytest.raises(ModelError, match="different tokens"):
        fine_tune(output=tmp_path / "run", **{**QUICK, **places, "teacher": str(stranger)})
    with pytest.raises(DataError, match="does not exist"):
        fine_tune(output=tmp_path / "run", **{**QUICK, **places, "train": "starter"})
    with pytest.raises(RecipeError, match="3 layers and its teacher 2"):
        fine_tune(output=tmp_path / "run", **{**QUICK, **places, "student_layers": 3})
    with pytest.raises(RecipeError, match="does not divide"):
        relation_heads(5, 16, 32)
    assert relation_heads(0, 160, 384) == 8
    assert relation_heads(0, 384, 768) == 12
    assert not (tmp_path / "run").exists()


def test_the_command_distils_an_encoder(
    places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["distill", "--encoder", "--teacher", places["model"], "--train", places["train"]]
    shape = ["--student-width", "16", "--student-heads", "2", "--epochs", "1", "--max-length", "32", "--threads", "1"]
    shape += ["--warmup-steps", "1"]
    monkeypatch.setattr("sys.argv", ["distiltune", *command, *shape, "--output", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0
    assert "fine-tune it: distiltune train" in capsys.readouterr().out
    assert load_source(str(tmp_path / "run")).config == replace(
        StudentShape(2, 16, 2).of(SHAPE), dropout=0.0, attention_dropout=0.0
    )


def test_a_student_is_fitted_on_so_many_tokens_and_no_more() -> None:
    """All hidden states of the sample are held at once: 128 long texts would be gigabytes of them."""
    few = np.array([300, 20, 29_680])
    assert sample_windows(few, 0).tolist() == [0, 1, 2]
    many = np.random.default_rng(0).integers(10, 385, 5_000)
    taken = sample_windows(many, 0)
    assert SAMPLE_TOKENS - 384 < many[taken].sum() <= SAMPLE_TOKENS
    assert (np.diff(taken) > 0).all()
    assert taken[-1] > 4_000, "from everywhere, not the first text alone"
    assert sample_windows(many, 0).tolist() == taken.tolist() != sample_windows(many, 1).tolist()
    assert len(sample_windows(np.array([70_000, 80_000]), 0)) == 1


def test_a_student_is_cut_out_with_no_more_than_the_sample(
    places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def narrow(teacher: Any, student: Any, batch: Any) -> Any:
        seen.append(batch.n_tokens)
        raise InterruptedError

    monkeypatch.setattr(encoder_task, "SAMPLE_TOKENS", 200)
    monkeypatch.setattr(encoder_task, "narrow", narrow)
    with pytest.raises(InterruptedError):
        fine_tune(output=tmp_path / "run", **{**QUICK, **places}, student_width=16, student_heads=2)
    assert 100 < seen[0] <= 200


def test_torch_is_left_as_it_was() -> None:
    assert torch.is_grad_enabled()
