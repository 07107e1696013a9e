from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss
from distiltune.training.average import Average, Averaging
from distiltune.training.loop import EpochReport, LoopState, NothingKept, StepReport, train
from distiltune.training.optimiser import Adam
from distiltune.training.schedule import PolynomialDecay
from distiltune.training.setup import LoopSettings, TrainingSetup
from tests.helpers import random_features, tiny_qa_model, weights_of

FEATURES = random_features(20)
SETTINGS = LoopSettings(epochs=4, batch_size=4, accumulation_steps=1, max_gradient_norm=0.0, seed=3, log_every=1)


class Recorder(NothingKept):
    """Copies the weights after each step, as they are evaluated, and as they are kept."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.steps: list[dict[str, Tensor]] = []
        self.evaluated: list[dict[str, Tensor]] = []
        self.kept: list[dict[str, Tensor]] = []
        self.after: list[dict[str, Tensor]] = []

    def on_step(self, report: StepReport) -> None:
        self.steps.append(weights_of(self.model))

    def on_epoch(self, report: EpochReport) -> None:
        self.kept.append(weights_of(self.model))

    def after_epoch(self, state: LoopState) -> bool:
        self.after.append(weights_of(self.model))
        return True

    def evaluate(self) -> Mapping[str, float]:
        self.evaluated.append(weights_of(self.model))
        return {}


def run(averaging: Averaging | None) -> Recorder:
    model = tiny_qa_model()
    optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    average = Average(optimiser.parameters, averaging) if averaging is not None else None
    recorder = Recorder(model)
    setup = TrainingSetup(
        model,
        FEATURES,
        span_loss,
        METRIC_NAMES,
        optimiser,
        PolynomialDecay(1e-2, 1e-2, 1.0, 0, 1),
        SETTINGS,
        average=average,
    )
    train(setup, recorder.evaluate, recorder)
    return recorder


def same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    return all(torch.allclose(value, theirs[name], rtol=1e-5, atol=1e-6) for name, value in ours.items())


def mean(weights: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([each[name] for each in weights]).mean(0) for name in weights[0]}


def test_the_mean_over_epochs_is_evaluated_and_kept_and_the_training_goes_its_own_way() -> None:
    plain, averaged = run(None), run(Averaging(first_epoch=1))
    for ours, theirs in zip(averaged.steps, plain.steps, strict=True):
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    ends = plain.after
    assert all(same(ours, theirs) for ours, theirs in zip(averaged.after, ends, strict=True))
    expected = [ends[0], ends[1], mean(ends[1:3]), mean(ends[1:4])]
    for epoch in range(4):
        assert same(averaged.evaluated[epoch], expected[epoch])
        assert same(averaged.kept[epoch], expected[epoch])
    assert not same(expected[3], ends[3])


def test_the_mean_over_steps_is_the_exponential_one() -> None:
    plain, averaged = run(None), run(Averaging(decay=0.7))
    means = weights_of(tiny_qa_model())
    for number, weights in enumerate(plain.steps, start=1):
        decay = min(0.7, (1 + number) / (10 + number))
        means = {name: decay * value + (1 - decay) * weights[name] for name, value in means.items()}
        if number % 5 == 0:
            assert same(averaged.kept[number // 5 - 1], means)
    assert all(torch.equal(value, plain.steps[-1][name]) for name, value in averaged.after[-1].items())


@pytest.mark.parametrize("averaging", [Averaging(decay=0.9), Averaging(first_epoch=0)], ids=["steps", "epochs"])
def test_an_evaluation_that_is_broken_off_counts_for_nothing(averaging: Averaging) -> None:
    layer = nn.Linear(2, 2)
    average = Average(list(layer.parameters()), averaging)
    average.after_step(1)
    own, before = weights_of(layer), {name: value.clone() for name, value in average.tensors().items()}
    with torch.no_grad():
        layer.weight.add_(1.0)
    moved = weights_of(layer)

    def evaluate() -> None:
        with average.in_place(1):
            assert not all(torch.equal(value, moved[name]) for name, value in weights_of(layer).items())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate()
    assert all(torch.equal(value, moved[name]) for name, value in weights_of(layer).items())
    assert all(torch.equal(value, before[name]) for name, value in average.tensors().items())
    assert not torch.equal(own["weight"], moved["weight"])


def test_it_is_kept_with_the_optimiser_and_put_back() -> None:
    model, other = tiny_qa_model(), tiny_qa_model()
    one, two = (Adam(each, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0) for each in (model, other))
    for optimiser in (one, two):
        optimiser.average = Average(optimiser.parameters, Averaging(decay=0.5))
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    assert one.average is not None
    one.average.after_step(1)
    kept = {name: value.clone() for name, value in one.tensors().items()}
    two.restore(kept)
    assert two.tensors().keys() == kept.keys()
    assert all(torch.equal(value, kept[name]) for name, value in two.tensors().items())
    assert all(torch.equal(a, b) for a, b in zip(kept.values(), one.tensors().values(), strict=True))
    with pytest.raises(KeyError):
        two.restore({})
    with pytest.raises(ValueError, match="parameter 0 has the shape"):
        two.restore({**kept, "average.0": torch.zeros(1)})
