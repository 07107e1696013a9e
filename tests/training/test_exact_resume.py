"""Stopped between any two steps and gone on with, a training is bit for bit the one that was not stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import TaskModel
from distiltune.runs import resume as resuming
from distiltune.runs.resume import Resumed
from distiltune.system.device import Precision
from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss
from distiltune.training.average import Average, Averaging
from distiltune.training.checkpoint import Position, Snapshot, restore, take_snapshot, write_checkpoint
from distiltune.training.loop import EpochReport, LoopState, NothingKept, StepReport, train
from distiltune.training.optimiser import Adam
from distiltune.training.schedule import PolynomialDecay
from distiltune.training.setup import LoopSettings, TrainingSetup
from tests.helpers import TINY, random_features, tiny_qa_model, weights_of

FEATURES = random_features(37)
SETTINGS = LoopSettings(epochs=2, batch_size=4, accumulation_steps=2, max_gradient_norm=1.0, seed=3, log_every=2)
N_STEPS = 10  # 5 an epoch, the last of one batch


SHAPE = replace(TINY, dropout=0.1, attention_dropout=0.1)


class Saver(NothingKept):
    """Saves at one step (and goes on), and remembers what it hears."""

    def __init__(self, model: TaskModel, optimiser: Adam, save_at: int = -1) -> None:
        self.model, self.optimiser, self.save_at = model, optimiser, save_at
        self.saved: tuple[Snapshot, LoopState] | None = None
        self.steps: list[StepReport] = []
        self.epochs: list[EpochReport] = []

    def between_steps(self, step: int, state: Callable[[], LoopState]) -> None:
        if step == self.save_at:
            self.saved = take_snapshot(self.model, self.optimiser, {}), state()

    def after_epoch(self, state: LoopState) -> bool:
        if -1 - state.epoch == self.save_at:
            self.saved = take_snapshot(self.model, self.optimiser, {}), state
        return True

    def on_step(self, report: StepReport) -> None:
        self.steps.append(report)

    def on_epoch(self, report: EpochReport) -> None:
        self.epochs.append(report)


def run(
    save_at: int = -1,
    start: tuple[Snapshot, LoopState] | None = None,
    seed: int = 0,
    shape: EncoderConfig = SHAPE,
    precision: Precision = "float32",
    averaging: Averaging | None = None,
) -> Saver:
    model = tiny_qa_model(shape, seed=seed, head_dropout=0.1)
    optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.1)
    if averaging is not None:
        optimiser.average = Average(optimiser.parameters, averaging)
    saver = Saver(model, optimiser, save_at)
    if start is not None:
        restore(start[0], model, optimiser)
    schedule = PolynomialDecay(1e-2, 0.0, 1.0, 2, N_STEPS)
    setup = TrainingSetup(
        model,
        FEATURES,
        span_loss,
        METRIC_NAMES,
        optimiser,
        schedule,
        SETTINGS,
        precision,
        average=optimiser.average,
    )

    def evaluate() -> Mapping[str, float]:
        return {"loss": float(weights_of(model)["head.output.weight"].sum())}

    train(setup, evaluate, saver, start=start[1] if start is not None else LoopState())
    return saver


def figures(report: StepReport | EpochReport) -> Mapping[str, Any]:
    times = ("tokens_per_second", "train_seconds", "validation_seconds")
    return {name: value for name, value in asdict(report).items() if name not in times}


@pytest.fixture(scope="module")
def whole() -> Saver:
    return run()


@pytest.mark.parametrize("save_at", [*range(1, N_STEPS + 1), -2, -3], ids=lambda at: f"{at}")
def test_from_every_step_and_every_epochs_end(whole: Saver, save_at: int) -> None:
    """A negative number is the end of an epoch after its evaluation."""
    stopped = run(save_at)
    assert stopped.saved is not None
    state = stopped.saved[1]
    resumed = run(start=stopped.saved, seed=9)
    expected = weights_of(whole.model)
    assert all(torch.equal(value, expected[name]) for name, value in weights_of(resumed.model).items())
    steps = [figures(each) for each in whole.steps if each.step >= state.step]
    assert [figures(each) for each in resumed.steps] == steps
    assert [figures(each) for each in resumed.epochs] == [
        figures(each) for each in whole.epochs if each.epoch >= state.epoch
    ]
    for ours, theirs in zip(
        take_snapshot(resumed.model, resumed.optimiser, {}).optimiser.values(),
        take_snapshot(whole.model, whole.optimiser, {}).optimiser.values(),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("save_at", [3, 5, 8, 10, -2], ids=lambda at: f"{at}")
@pytest.mark.parametrize("averaging", [Averaging(decay=0.9), Averaging(first_epoch=0)], ids=["steps", "epochs"])
def test_with_a_mean_of_the_weights(averaging: Averaging, save_at: int) -> None:
    whole, stopped = run(averaging=averaging), run(save_at, averaging=averaging)
    resumed = run(start=stopped.saved, seed=9, averaging=averaging)
    assert figures(resumed.epochs[-1]) == figures(whole.epochs[-1])
    assert figures(whole.epochs[-1])["validation"] != figures(run().epochs[-1])["validation"]
    for ours, theirs in zip(resumed.optimiser.tensors().values(), whole.optimiser.tensors().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_in_half_precision_too() -> None:
    """At the width from which a processor that is made for it takes its products so."""
    wide: dict[str, Any] = {"shape": replace(SHAPE, hidden_size=256, n_heads=4), "precision": "bfloat16"}
    whole, stopped = run(**wide), run(3, **wide)
    assert stopped.saved is not None
    resumed = run(start=stopped.saved, seed=7, **wide)
    expected, exact = weights_of(whole.model), weights_of(run(**{**wide, "precision": "float32"}).model)
    assert all(torch.equal(value, expected[name]) for name, value in weights_of(resumed.model).items())
    assert not all(torch.equal(value, expected[name]) for name, value in exact.items())
    assert figures(resumed.epochs[-1]) == figures(whole.epochs[-1])


def test_without_the_random_states_it_would_not_be_the_same(whole: Saver) -> None:
    """The test above can fail."""
    stopped = run(4)
    assert stopped.saved is not None
    snapshot, state = stopped.saved
    torch.manual_seed(99)
    other = Snapshot(snapshot.weights, snapshot.optimiser, take_snapshot(stopped.model, None, {}).state)
    resumed = run(start=(other, state))
    expected = weights_of(whole.model)
    assert not all(torch.equal(value, expected[name]) for name, value in weights_of(resumed.model).items())


def test_every_process_but_the_first_draws_its_gpus_dropout_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The random states in a checkpoint are the first one's: with them all would drop the same."""
    saver = run(3)
    assert saver.saved is not None
    write_checkpoint(tmp_path / "last", saver.saved[0])
    seeded: list[tuple[object, ...]] = []
    monkeypatch.setattr(resuming, "seed_dropout", lambda *values: seeded.append(values))
    for position in (0, 1, 2):
        Resumed(tmp_path / "last", Position(3, 0), {}, ()).put_back(saver.model, saver.optimiser, 5, position)
    assert seeded == [(torch.device("cpu"), 5, position, 3) for position in (1, 2)]


def test_the_time_of_an_epoch_goes_on(whole: Saver) -> None:
    stopped = run(3)
    assert stopped.saved is not None
    snapshot, state = stopped.saved
    assert state.seconds > 0
    resumed = run(start=(snapshot, replace(state, seconds=1_000.0)))
    assert resumed.epochs[0].train_seconds > 1_000.0
    assert resumed.epochs[1].train_seconds < 1_000.0
