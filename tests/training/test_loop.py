from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from distiltune.data.feature_set import FeatureSet
from distiltune.data.loader import epoch_order, split_batches
from distiltune.data.packing import PackedBatch
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import TaskModel
from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss
from distiltune.training.loop import EpochReport, LoopState, NothingKept, StepReport, train
from distiltune.training.objective import Objective, StepSums
from distiltune.training.optimiser import Adam, Optimiser
from distiltune.training.schedule import PolynomialDecay
from distiltune.training.setup import LoopSettings, TrainingSetup, count_steps
from tests.helpers import TINY, feature_set, packing_threads, random_features, tiny_qa_model, weights_of

SETTINGS = LoopSettings(epochs=1, batch_size=16, accumulation_steps=1, max_gradient_norm=0.0, seed=0, log_every=10)
FEATURES = random_features(37)


@dataclass
class Recorder(NothingKept):
    """Keeps every report; stops after ``stop_after`` epochs."""

    stop_after: int = 1_000
    steps: list[StepReport] = field(default_factory=list)
    epochs: list[EpochReport] = field(default_factory=list)

    def on_step(self, report: StepReport) -> None:
        self.steps.append(report)

    def on_epoch(self, report: EpochReport) -> None:
        self.epochs.append(report)

    def after_epoch(self, state: LoopState) -> bool:
        return len(self.epochs) < self.stop_after


class Spy:
    """Plain gradient descent that remembers each step's learning rate and gradient norm."""

    def __init__(self, model: nn.Module) -> None:
        self.parameters = list(model.parameters())
        self.learning_rate = 0.0
        self.rates: list[float] = []
        self.norms: list[float] = []

    @torch.no_grad()
    def step(self, admitted: torch.Tensor | bool = True) -> None:
        assert admitted
        moved = [(each, each.grad) for each in self.parameters if each.grad is not None]
        self.norms.append(float(torch.cat([gradient.flatten() for _, gradient in moved]).norm()))
        self.rates.append(self.learning_rate)
        for parameter, gradient in moved:
            parameter.sub_(self.learning_rate * gradient)


def no_validation() -> Mapping[str, float]:
    return {}


def run(
    model: nn.Module,
    settings: LoopSettings = SETTINGS,
    *,
    features: FeatureSet = FEATURES,
    optimiser: Optimiser | None = None,
    objective: Objective = span_loss,
    metric_names: tuple[str, ...] = METRIC_NAMES,
    rate: float = 0.1,
    schedule: PolynomialDecay | None = None,
    evaluate: Callable[[], Mapping[str, float]] = no_validation,
    watcher: Recorder | None = None,
) -> Recorder:
    """Train with plain gradient descent at a fixed rate unless told otherwise."""
    watcher = watcher or Recorder()
    setup = TrainingSetup(
        model,
        features,
        objective,
        metric_names,
        optimiser or Spy(model),
        schedule or PolynomialDecay(rate, rate, 1.0, 0, 1),
        settings,
    )
    train(setup, evaluate, watcher)
    return watcher


def with_dropout() -> EncoderConfig:
    shape = {name: getattr(TINY, name) for name in EncoderConfig.__dataclass_fields__}
    return EncoderConfig(**{**shape, "dropout": 0.1, "attention_dropout": 0.1})


def assert_equal_weights(ours: nn.Module, theirs: nn.Module, tolerance: float) -> None:
    expected = weights_of(theirs)
    for name, value in weights_of(ours).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=tolerance, msg=name)


@pytest.mark.parametrize(
    ("n_features", "batch_size", "accumulation", "steps"),
    [(16, 16, 1, 1), (17, 16, 1, 2), (1, 16, 4, 1), (64, 16, 4, 1), (65, 16, 4, 2), (88_524, 16, 1, 5_533)],
)
def test_steps_of_an_epoch(n_features: int, batch_size: int, accumulation: int, steps: int) -> None:
    assert count_steps(n_features, batch_size, accumulation) == steps


@pytest.mark.parametrize("n_features", [32, 37, 19])  # whole steps, a smaller last batch, a last step of one batch
def test_two_batches_of_8_are_a_step_of_16(n_features: int) -> None:
    features = random_features(n_features)
    whole, halves = tiny_qa_model(), tiny_qa_model()
    settings = replace(SETTINGS, epochs=2)
    run(whole, settings, features=features)
    run(halves, replace(settings, batch_size=8, accumulation_steps=2), features=features)
    assert_equal_weights(halves, whole, 1e-6)
    with pytest.raises(AssertionError):
        assert_equal_weights(tiny_qa_model(), whole, 1e-2)


def plain_training(model: TaskModel, features: FeatureSet, settings: LoopSettings, rate: float) -> None:
    """The same as the loop with gradient descent, as its definition reads: feature by feature."""
    size = settings.batch_size * settings.accumulation_steps
    for epoch in range(settings.epochs):
        order = epoch_order(len(features), settings.seed, epoch)
        for first in range(0, len(features), size):
            step = order[first : first + size]
            model.zero_grad()
            for feature in step:
                batch = features.batch(np.array([feature]))
                (span_loss(model(batch), batch).loss / len(step)).backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.grad is not None:
                        parameter.sub_(rate * parameter.grad)


def test_the_loop_is_what_its_definition_says() -> None:
    ours, plain = tiny_qa_model(), tiny_qa_model()
    settings = replace(SETTINGS, epochs=3, batch_size=5, accumulation_steps=2, seed=4)
    run(ours, settings)
    plain_training(plain.train(), FEATURES, settings, 0.1)
    assert_equal_weights(ours, plain, 1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 16, 37, 100])
def test_an_epochs_training_figures_are_sums_over_counts(batch_size: int) -> None:
    """With a learning rate of 0 the weights rest, so that every division into batches must say the same."""
    model = tiny_qa_model()
    sums = torch.zeros(3, dtype=torch.float64)
    for feature in range(len(FEATURES)):
        batch = FEATURES.batch(np.array([feature]))
        with torch.no_grad():
            sums += span_loss(model(batch), batch).metrics
    report = run(model, replace(SETTINGS, batch_size=batch_size, log_every=2), rate=0.0).epochs[0]
    expected = dict(zip(METRIC_NAMES, (sums / len(FEATURES)).tolist(), strict=True))
    assert dict(report.train) == pytest.approx(expected, rel=1e-6)
    assert report.train["start_accuracy"] * len(FEATURES) == pytest.approx(float(sums[2]))
    assert (report.n_features, report.n_tokens) == (37, len(FEATURES.token_ids))


def test_training_figures_are_taken_as_the_epoch_runs() -> None:
    """The first figures of a step are those before it, so an epoch's mean lies above where it ends."""
    model = tiny_qa_model()
    one_step = run(model, replace(SETTINGS, batch_size=37), rate=0.05).epochs[0].train["loss"]
    untrained = run(tiny_qa_model(), replace(SETTINGS, batch_size=37), rate=0.0).epochs[0].train["loss"]
    after = run(model, replace(SETTINGS, batch_size=37), rate=0.0).epochs[0].train["loss"]
    assert one_step == untrained
    assert after < one_step


def test_lines_of_the_log() -> None:
    settings = replace(SETTINGS, epochs=2, batch_size=4, log_every=4)  # 10 steps an epoch, the last of one feature
    watcher = run(tiny_qa_model(), settings, rate=0.0)
    assert [(each.epoch, each.step) for each in watcher.steps] == [
        *((0, 3), (0, 7), (0, 9)),
        *((1, 11), (1, 15), (1, 19)),
    ]
    assert {each.n_steps for each in watcher.steps} == {20}
    assert all(each.tokens_per_second > 0 for each in watcher.steps)
    # Each line's loss is the mean over its own features.
    for epoch, counts in enumerate([(16, 16, 5), (8, 16, 13)]):
        lines = watcher.steps[3 * epoch : 3 * epoch + 3]
        total = sum(line.loss * n for line, n in zip(lines, counts, strict=True))
        assert total / 37 == pytest.approx(watcher.epochs[epoch].train["loss"], rel=1e-6)
    assert len({each.loss for each in watcher.steps}) == 6


def test_a_line_at_every_step_is_that_steps_loss() -> None:
    model = tiny_qa_model()
    watcher = run(model, replace(SETTINGS, log_every=1), rate=0.0)
    order = epoch_order(37, 0, 0)
    for report, part in zip(watcher.steps, (order[:16], order[16:32], order[32:]), strict=True):
        batch = FEATURES.batch(part)
        expected = float(span_loss(model(batch).detach(), batch).loss) / len(part)
        assert report.loss == pytest.approx(expected, rel=1e-6)


def test_every_step_uses_the_learning_rate_of_its_number() -> None:
    model = tiny_qa_model()
    spy = Spy(model)
    schedule = PolynomialDecay(start=0.9, end=0.0, power=1.0, warmup_steps=2, total_steps=9)
    watcher = run(model, replace(SETTINGS, epochs=3, log_every=1), optimiser=spy, schedule=schedule)
    assert spy.rates == [schedule(step) for step in range(9)]
    assert spy.rates[:3] == pytest.approx([0.3, 0.6, 0.9])
    assert [each.learning_rate for each in watcher.steps] == spy.rates
    assert [each.learning_rate for each in watcher.epochs] == [spy.rates[2], spy.rates[5], spy.rates[8]]


def test_gradients_over_the_limit_are_scaled_down_to_it_and_others_stay() -> None:
    model = tiny_qa_model()
    free = Spy(model)
    run(model, replace(SETTINGS, batch_size=8), optimiser=free, rate=0.0)
    limit = sorted(free.norms)[2]
    model = tiny_qa_model()
    held = Spy(model)
    run(model, replace(SETTINGS, batch_size=4, accumulation_steps=2, max_gradient_norm=limit), optimiser=held, rate=0.0)
    assert held.norms == pytest.approx([min(norm, limit) for norm in free.norms], rel=1e-4)
    assert len({round(norm, 3) for norm in held.norms}) == 3


def test_fifty_steps_of_several_workers_lose_what_the_plain_way_loses() -> None:
    """Quick: packed, shared out, prepared ahead, fused Adam. Plain: feature by feature, one loss, PyTorch's Adam."""
    features, quick, plain = random_features(200), tiny_qa_model(), tiny_qa_model().train()
    optimiser = Adam(quick, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    settings = replace(SETTINGS, epochs=4, batch_size=16, log_every=1, seed=3)
    schedule = PolynomialDecay(1e-3, 0.0, 1.0, 0, 52)
    torch.set_num_threads(2)
    try:
        watcher = run(quick, settings, features=features, optimiser=optimiser, schedule=schedule)
    finally:
        torch.set_num_threads(1)
    reference = torch.optim.Adam(plain.parameters(), lr=1e-3)
    expected = []
    for step, ids in enumerate(ids for epoch in range(4) for ids in split_batches(epoch_order(200, 3, epoch), 16)):
        reference.param_groups[0]["lr"] = 1e-3 * (1 - step / 52)
        batches = [features.batch(np.array([feature])) for feature in ids]
        losses = torch.stack([span_loss(plain(batch), batch).loss for batch in batches])
        reference.zero_grad()
        losses.mean().backward()  # type: ignore[no-untyped-call]
        reference.step()
        expected.append(float(losses.mean().detach()))
    assert len(expected) == 52
    assert [each.loss for each in watcher.steps] == pytest.approx(expected, abs=1e-4)
    assert expected[-1] < expected[0] - 0.1, "they learn"


def test_the_same_seed_gives_the_same_run_bit_by_bit() -> None:
    settings = replace(SETTINGS, epochs=2, log_every=1)
    runs = []
    for seed, loop_seed in ((0, 0), (0, 0), (1, 0), (0, 1)):
        model = tiny_qa_model(with_dropout(), head_dropout=0.1)
        optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
        torch.manual_seed(seed)
        watcher = run(model, replace(settings, seed=loop_seed), optimiser=optimiser, rate=1e-3)
        runs.append(([each.loss for each in watcher.steps], weights_of(model)))
    (losses, weights), (same_losses, same_weights), *others = runs
    assert same_losses == losses
    assert all(torch.equal(weights[name], same_weights[name]) for name in weights)
    for other_losses, _ in others:
        assert other_losses != losses


def test_the_loss_goes_down() -> None:
    watcher = run(tiny_qa_model(), replace(SETTINGS, epochs=20, batch_size=4), rate=0.1)
    assert watcher.epochs[-1].train["loss"] < 0.5 * watcher.epochs[0].train["loss"]


def test_each_epoch_is_trained_in_training_mode_and_evaluated_once() -> None:
    model = tiny_qa_model()
    modes: list[bool] = []

    def evaluate() -> Mapping[str, float]:
        modes.append(model.training)
        model.eval()
        return {"loss": float(len(modes))}

    seen: list[bool] = []

    def objective(output: Tensor, batch: PackedBatch) -> StepSums:
        seen.append(model.training)
        return span_loss(output, batch)

    watcher = run(model, replace(SETTINGS, epochs=3), evaluate=evaluate, objective=objective)
    assert modes == [True] * 3
    assert seen == [True] * 9
    assert [each.validation for each in watcher.epochs] == [{"loss": 1.0}, {"loss": 2.0}, {"loss": 3.0}]
    assert [each.epoch for each in watcher.epochs] == [0, 1, 2]


def test_without_validation_the_figures_are_empty() -> None:
    watcher = run(tiny_qa_model(), replace(SETTINGS, epochs=2))
    assert [each.validation for each in watcher.epochs] == [{}, {}]


def test_the_watcher_may_stop_it() -> None:
    model = tiny_qa_model()
    spy = Spy(model)
    watcher = run(model, replace(SETTINGS, epochs=9), optimiser=spy, watcher=Recorder(stop_after=2))
    assert len(watcher.epochs) == 2
    assert len(spy.rates) == 6
    assert packing_threads() == 0


def test_every_epoch_has_its_order_and_every_feature_once() -> None:
    orders: list[list[int]] = [[]]

    def objective(output: Tensor, batch: PackedBatch) -> StepSums:
        if len(orders[-1]) == len(FEATURES):
            orders.append([])
        orders[-1] += batch.feature_ids.tolist()
        return span_loss(output, batch)

    run(tiny_qa_model(), replace(SETTINGS, epochs=2, seed=9), objective=objective, rate=0.0)
    assert orders == [epoch_order(37, 9, epoch).tolist() for epoch in range(2)]


def test_an_error_in_the_middle_leaves_no_thread_behind() -> None:
    n_batches = 0

    def objective(output: Tensor, batch: PackedBatch) -> StepSums:
        nonlocal n_batches
        n_batches += 1
        if n_batches == 2:
            raise KeyboardInterrupt
        return span_loss(output, batch)

    try:
        run(tiny_qa_model(), replace(SETTINGS, batch_size=2, accumulation_steps=3), objective=objective)
    except KeyboardInterrupt:
        interrupted = True
    assert interrupted
    assert packing_threads() == 0


def test_an_error_of_the_packing_reaches_the_caller() -> None:
    damaged = replace(FEATURES, token_ids=FEATURES.token_ids[:20])
    with pytest.raises(IndexError):
        run(tiny_qa_model(), features=damaged)


class Sum(nn.Module):
    """A model that has nothing to do with answers: a number for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = nn.Embedding(10, 1)
        nn.init.zeros_(self.numbers.weight)

    def forward(self, batch: PackedBatch) -> Tensor:
        out: Tensor = self.numbers(batch.token_ids)[:, 0]
        return out


def squared_error(output: Tensor, batch: PackedBatch) -> StepSums:
    """Half the squared difference between a feature's sum and its label; counts the tokens too."""
    sums = torch.stack([part.sum() for part in torch.split(output, list(batch.lengths))])
    loss = (sums - batch.labels[:, 0]).square().sum() / 2
    return StepSums(loss, torch.stack([loss.detach(), torch.tensor(float(batch.n_tokens))]))


def test_any_task_can_be_trained_by_hand() -> None:
    """Two features in one batch, then worked out: gradients -2 / 2 for token 1 (twice there: -2) and -4 / 2 for 2."""
    model = Sum()
    features = feature_set([[1, 1], [2]], [[2], [4]])
    watcher = run(model, features=features, objective=squared_error, metric_names=("loss", "n_tokens"), rate=0.5)
    assert model.numbers.weight.flatten().tolist() == [0.0, 1.0, 1.0, *[0.0] * 7]
    assert dict(watcher.epochs[0].train) == {"loss": (2.0 + 8.0) / 2, "n_tokens": 1.5}
