from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.errors import TrainingError
from distiltune.runs.keeper import BadSteps
from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss
from distiltune.training.finite import AdmittedSteps, BadStep, are_finite, gradient_norms
from distiltune.training.loop import EpochReport, LoopState, NothingKept, StepReport, train
from distiltune.training.objective import Objective, StepSums
from distiltune.training.optimiser import Adam
from distiltune.training.schedule import PolynomialDecay
from distiltune.training.setup import LoopSettings, TrainingSetup
from tests.helpers import random_features, tiny_qa_model, weights_of

FEATURES = random_features(40)
SETTINGS = LoopSettings(epochs=2, batch_size=8, accumulation_steps=1, max_gradient_norm=0.0, seed=0, log_every=2)


class Notes(NothingKept):
    """Skips bad steps and remembers them."""

    def __init__(self) -> None:
        self.bad: list[BadStep] = []
        self.steps: list[StepReport] = []
        self.epochs: list[EpochReport] = []

    def on_bad_step(self, bad: BadStep) -> None:
        self.bad.append(bad)

    def on_step(self, report: StepReport) -> None:
        self.steps.append(report)

    def on_epoch(self, report: EpochReport) -> None:
        self.epochs.append(report)


def poisoned(at: set[int], *, gradient_only: bool = False) -> Objective:
    """The loss with a NaN in the batches of these numbers, or only in their gradients."""
    n_batches = 0

    def objective(output: Tensor, batch: PackedBatch) -> StepSums:
        nonlocal n_batches
        sums = span_loss(output, batch)
        n_batches += 1
        if n_batches - 1 not in at:
            return sums
        if gradient_only:
            return StepSums(sums.loss + (output.sum() * 0.0).sqrt().sum() * 0.0, sums.metrics)  # sqrt has no slope at 0
        return StepSums(sums.loss * float("nan"), sums.metrics * float("nan"))

    return objective


def run(
    model: nn.Module, objective: Objective, keeper: NothingKept, accumulation: int = 1, clipped_at: float = 0.0
) -> None:
    optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    settings = LoopSettings(2, 8 // accumulation, accumulation, clipped_at, 0, 2)
    schedule = PolynomialDecay(1e-2, 1e-2, 1.0, 0, 1)
    train(TrainingSetup(model, FEATURES, objective, METRIC_NAMES, optimiser, schedule, settings), dict, keeper)


@pytest.mark.parametrize("gradient_only", [False, True])
def test_it_stops_at_once_and_the_weights_are_those_before(gradient_only: bool) -> None:
    model, whole = tiny_qa_model(), tiny_qa_model()
    with pytest.raises(TrainingError, match="step 3") as caught:
        run(model, poisoned({3}, gradient_only=gradient_only), NothingKept())
    assert "learning rate 0.01" in caught.value.what

    class StopAfter3(NothingKept):
        def between_steps(self, step: int, state: Callable[[], LoopState]) -> None:
            if step == 3:
                raise KeyboardInterrupt

    try:
        run(whole, span_loss, StopAfter3())
    except KeyboardInterrupt:
        stopped = True
    assert stopped
    expected = weights_of(whole)
    assert all(torch.equal(value, expected[name]) for name, value in weights_of(model).items())


@pytest.mark.parametrize("clipped_at", [0.0, 1.0])
@pytest.mark.parametrize("gradient_only", [False, True])
def test_a_skipped_step_is_counted_and_leaves_no_trace(gradient_only: bool, clipped_at: float) -> None:
    model, notes = tiny_qa_model(), Notes()
    run(model, poisoned({1, 6}, gradient_only=gradient_only), notes, clipped_at=clipped_at)
    assert [(bad.epoch, bad.step) for bad in notes.bad] == [(0, 1), (1, 6)]
    assert all(len(bad.feature_ids) == 8 for bad in notes.bad)
    assert [(each.n_skipped, each.n_features) for each in notes.epochs] == [(1, 32), (1, 32)]
    assert all(torch.isfinite(torch.tensor(list(each.train.values()))).all() for each in notes.epochs)
    assert all(torch.isfinite(value).all() for value in weights_of(model).values())
    assert [each.step for each in notes.steps] == [1, 3, 4, 5, 7, 9]


def test_of_several_batches_the_whole_step_is_skipped() -> None:
    model, notes = tiny_qa_model(), Notes()
    run(model, poisoned({3}), notes, accumulation=2)  # the second batch of step 1
    assert [bad.step for bad in notes.bad] == [1]
    assert len(notes.bad[0].feature_ids) == 8
    assert notes.epochs[0].n_features == 32


def test_an_epoch_without_a_good_step_has_no_figures() -> None:
    notes = Notes()
    run(tiny_qa_model(), poisoned(set(range(10))), notes)
    assert notes.epochs[0].n_features == 0
    assert notes.epochs[0].train["loss"] != notes.epochs[0].train["loss"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_each_number_counts(value: float) -> None:
    parameters = [nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(5))]
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 1e18)
    assert bool(are_finite(torch.ones(3), gradient_norms(parameters)))
    assert not bool(are_finite(torch.tensor([1.0, value]), gradient_norms(parameters)))
    for parameter in parameters:
        assert parameter.grad is not None
        for place in range(parameter.numel()):
            parameter.grad.view(-1)[place] = value
            assert not bool(are_finite(torch.ones(3), gradient_norms(parameters)))
            parameter.grad.view(-1)[place] = 0.0


def bad_step(step: int) -> BadStep:
    return BadStep(0, step, 0.5, (FEATURES.example_of[:3],))


def test_what_is_said_of_a_bad_step() -> None:
    steps = BadSteps(False, lambda features: [f"q{feature}" for feature in features], "runs/x/log.jsonl")
    with pytest.raises(TrainingError) as caught:
        steps.on_bad_step(bad_step(7))
    assert "step 7" in caught.value.what
    assert "learning rate 0.5" in caught.value.what
    assert "q0, q1, q2" in caught.value.what
    assert "--non-finite skip" in caught.value.fix


def test_too_many_in_a_row_are_no_accident() -> None:
    steps = BadSteps(True, lambda features: [], "")
    for step in range(10):
        steps.on_bad_step(bad_step(step))
    steps.on_bad_step(bad_step(11))  # step 10 was good
    for step in range(12, 21):
        steps.on_bad_step(bad_step(step))
    with pytest.raises(TrainingError, match="11 steps in a row"):
        steps.on_bad_step(bad_step(21))


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_the_way_of_a_gpu_leaves_weights_and_moments_alone_and_tells_later(clip: float) -> None:
    """The same fused kernel with ``found_inf`` on a CPU: the host hears of it only where it asks."""
    model, plain = tiny_qa_model(), tiny_qa_model()
    optimisers = [Adam(each, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.1) for each in (model, plain)]
    told: list[int] = []
    admitted = AdmittedSteps(model, torch.device("cuda"), lambda bad: told.append(bad.step))
    for optimiser in optimisers:
        optimiser.learning_rate = 0.01
    for step in range(5):
        for each in (model, plain):
            for number, parameter in enumerate(each.parameters()):
                parameter.grad = torch.full_like(parameter, 0.1 * (step + number + 1))
        if step in (1, 3):
            next(iter(model.parameters())).grad[0] = float("nan")  # type: ignore[index]
        good = admitted.admit(bad_step(step), admitted.judge(torch.ones(2)))
        assert isinstance(good, Tensor)
        if clip:
            for each in (model, plain):
                nn.utils.clip_grad_norm_(each.parameters(), clip)
        optimisers[0].step(good)
        if step not in (1, 3):
            optimisers[1].step()
        assert told == []
    assert admitted.settle() == 2
    assert told == [1, 3]
    assert admitted.settle() == 0
    expected = weights_of(plain)
    assert all(torch.equal(value, expected[name]) for name, value in weights_of(model).items())
    assert {float(moments.step) for moments in optimisers[0].moments.values()} == {3.0}


@pytest.mark.parametrize("most", [0.1, 1e6])
def test_gradients_are_clipped_to_the_bits_of_pytorch(most: float) -> None:
    """With the norms that tell whether they are finite, which are not taken twice."""
    ours, theirs = tiny_qa_model(), tiny_qa_model()
    for model in (ours, theirs):
        torch.manual_seed(3)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        parameter.grad = None  # of the last, as of one that was not used
    admitted = AdmittedSteps(ours, torch.device("cpu"), lambda bad: None)
    assert admitted.admit(BadStep(0, 0, 0.1, ()), admitted.judge(torch.ones(3))) is True
    admitted.clip(most)
    nn.utils.clip_grad_norm_(theirs.parameters(), most)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (mine.grad is None) == (other.grad is None)
        if mine.grad is not None and other.grad is not None:
            torch.testing.assert_close(mine.grad, other.grad, rtol=0, atol=0)
