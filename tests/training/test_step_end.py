"""The end of a step, recorded: it moves as plainly; with a stand-in for the recorder (the real one: tests/gpu)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from distiltune.model.encoder import TaskModel
from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss
from distiltune.training import step_end
from distiltune.training.finite import BadStep
from distiltune.training.optimiser import Adam
from distiltune.training.setup import LoopSettings, TrainingSetup
from distiltune.training.step_end import StepEnd
from tests.gpu_in_thought import GPU, Operations, recording
from tests.helpers import random_features, tiny_qa_model, weights_of

FEATURES = random_features(4)
N_STEPS, BAD = 9, (0, 4, 6)


def setup_of(model: TaskModel, clip: float) -> TrainingSetup:
    optimiser = Adam(model, beta1=0.9, beta2=0.99, epsilon=1e-6, weight_decay=0.1)
    settings = LoopSettings(1, 4, 1, clip, seed=0, log_every=1)
    return TrainingSetup(model, FEATURES, span_loss, METRIC_NAMES, optimiser, lambda step: 0.0, settings)


def bad_step(step: int) -> BadStep:
    return BadStep(0, step, 0.0, (np.arange(4),))


def replayed(run: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """Works a few times first, as the real one does, and then again at every replay, into the same place."""
    result = run().clone()
    run()
    return lambda: result.copy_(run())


def trained(clip: float, monkeypatch: pytest.MonkeyPatch, *, on_gpu: bool) -> tuple[TaskModel, Adam, list[int]]:
    """Some steps of gradients drawn at random, those of `BAD` without numbers."""
    model = tiny_qa_model()
    setup, told = setup_of(model, clip), list[int]()
    with monkeypatch.context() as patch:
        if on_gpu:
            patch.setattr(step_end, "model_device", lambda model: torch.device("cuda"))
            patch.setattr(torch, "zeros", lambda *size, device=None: torch.empty(*size).zero_())
        ending = StepEnd(setup, lambda bad: told.append(bad.step), replayed)
    assert isinstance(setup.optimiser, Adam)
    for step in range(N_STEPS):
        setup.optimiser.learning_rate = 0.01 * (step + 1)
        torch.manual_seed(step)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter) if parameter.grad is None else parameter.grad.normal_()
        if step in BAD:
            next(iter(model.parameters())).grad[0] = float("nan")  # type: ignore[index]
        good = ending.take(bad_step(step), torch.ones(3))
        assert bool(good) == (step not in BAD)
        assert isinstance(good, Tensor) == on_gpu
    assert ending.settle() == len(BAD)
    return model, setup.optimiser, told


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_recorded_steps_move_as_plain_ones(clip: float, monkeypatch: pytest.MonkeyPatch) -> None:
    (plain, its, told), (ours, mine, heard) = (trained(clip, monkeypatch, on_gpu=on_gpu) for on_gpu in (False, True))
    assert told == heard == list(BAD)
    expected = weights_of(plain)
    for name, value in weights_of(ours).items():
        # The rate is a float32 on the device.
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-7, msg=name)
    counts = [{float(each.step) for each in optimiser.moments.values()} for optimiser in (its, mine)]
    assert counts == [{float(N_STEPS - len(BAD))}] * 2


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_it_takes_nothing_from_the_host_and_waits_for_nothing(clip: float, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Operations] = []
    rates: list[torch.device] = []
    fused = torch._fused_adamw_

    def with_rate(*tensors: Any, lr: float | Tensor, **others: Any) -> None:
        """PyTorch has this kernel for a GPU in thought with a rate of the host only."""
        rates.extend([lr.device] if isinstance(lr, Tensor) else [])
        fused(*tensors, lr=0.0, **others)

    monkeypatch.setattr(torch, "_fused_adamw_", with_rate)

    def record(run: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
        with recording() as operations:
            run()
        seen.append(operations)
        return run

    with GPU:
        model = tiny_qa_model()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    ending = StepEnd(setup_of(model, clip), lambda bad: None, record)
    for step in range(4):
        ending.take(bad_step(step), torch.zeros(3, device=GPU))
    assert len(seen) == 1
    assert set(rates) == {GPU}, "a rate of the host would be the same at every replay"
    assert {"_foreach_norm", "_fused_adamw_"} <= seen[0].names
    if not clip:  # PyTorch scales them all at once on a GPU, but not on one in thought
        assert seen[0].count < 25, "an operation for all parameters, not one for each"


def test_an_optimiser_of_somebody_elses_is_not_recorded() -> None:
    class Other:
        learning_rate = 0.0

        def __init__(self) -> None:
            self.n_steps = 0

        def step(self, admitted: Tensor | bool = True) -> None:
            self.n_steps += 1

    def record(run: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
        raise AssertionError("recorded")

    with GPU:
        model = tiny_qa_model()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser = Other()
    setup = TrainingSetup(
        model, FEATURES, span_loss, METRIC_NAMES, optimiser, lambda step: 0.0, LoopSettings(1, 4, 1, 0.0, 0, 1)
    )
    ending = StepEnd(setup, lambda bad: None, record)
    for step in range(4):
        ending.take(bad_step(step), torch.zeros(3, device=GPU))
    assert optimiser.n_steps == 4
