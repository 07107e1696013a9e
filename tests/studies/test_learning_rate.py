from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distiltune.model.encoder import TaskModel
from distiltune.studies.learning_rate import Rates, interpret_curve, range_test, round_rate, smooth
from distiltune.studies.range_picture import draw_range
from distiltune.studies.stretches import TriedRate
from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss
from distiltune.training.objective import Objective
from distiltune.training.optimiser import Adam
from distiltune.training.setup import LoopSettings, TrainingSetup
from tests.helpers import random_features, tiny_qa_model, weights_of

RATES = np.geomspace(1e-6, 3e-2, 100).tolist()


def curve(falls_at: float, breaks_at: float, noise: float = 0.0) -> list[float]:
    """4.5 at first, lower by 2 around one rate, exploding beyond another."""
    draw = np.random.default_rng(0)
    losses = []
    for rate in RATES:
        fall = 2.0 / (1 + (falls_at / rate) ** 1.5)
        rise = 6.0 / (1 + (breaks_at / rate) ** 4)
        losses.append(4.5 - fall + rise + noise * draw.normal())
    return losses


@pytest.mark.parametrize("noise", [0.0, 0.15])
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_where_to_begin_follows_the_curve(scale: float, noise: float) -> None:
    test = interpret_curve(RATES, curve(1e-4 * scale, 5e-3 * scale, noise), prior_loss=4.0)
    assert test.breaks_away is not None
    assert test.steepest is not None
    assert test.start is not None
    assert 2e-3 * scale < test.breaks_away < 1e-2 * scale
    assert 3e-5 * scale <= test.start <= test.breaks_away / 5


def test_a_fall_to_the_prior_is_no_fall() -> None:
    losses = curve(1e-4, 1.0)
    down_to = min(losses)
    assert interpret_curve(RATES, losses, prior_loss=down_to + 0.5).steepest is not None
    learnt_priors = interpret_curve(RATES, losses, prior_loss=down_to)
    assert learnt_priors.steepest is None
    assert learnt_priors.breaks_away is None
    assert learnt_priors.start is None
    # Where it breaks away, that tells something all the same.
    broken = interpret_curve(RATES, curve(1e-4, 5e-3), prior_loss=2.0)
    assert broken.steepest is None
    assert broken.breaks_away is not None
    assert broken.start == round_rate(broken.breaks_away / 10)


def test_a_few_easy_batches_are_no_fall() -> None:
    draw = np.random.default_rng(3)
    for _ in range(20):
        noisy = interpret_curve(RATES, (1.0 + 0.3 * draw.normal(size=100)).tolist(), prior_loss=1.05)
        assert noisy.steepest is None


def test_nothing_is_shown_where_nothing_falls_or_too_little_was_seen() -> None:
    flat = interpret_curve(RATES, [4.5] * 100)
    assert (flat.steepest, flat.start, flat.end) == (None, None, "")
    short = interpret_curve(RATES[:8], [4.5] * 8)
    assert short.start is None
    assert "only 8 steps" in short.end


def test_a_loss_that_is_no_number_is_where_it_breaks_away() -> None:
    losses = [loss if rate < 2e-3 else math.nan for rate, loss in zip(RATES, curve(1e-4, 1.0), strict=True)]
    test = interpret_curve(RATES, losses)
    assert test.breaks_away is not None
    assert 1e-3 < test.breaks_away < 2e-3


def test_smoothing_moves_nothing_sideways() -> None:
    step = np.concatenate([np.ones(50), np.zeros(50)])
    smoothed = smooth(step.tolist())
    assert abs(int(np.abs(smoothed - 0.5).argmin()) - 50) <= 2


@pytest.mark.parametrize(("rate", "rounded"), [(2.2e-5, 2e-5), (1.3e-4, 1.5e-4), (8.9e-4, 1e-3), (6e-3, 7e-3)])
def test_rates_are_rounded_as_people_write_them(rate: float, rounded: float) -> None:
    assert round_rate(rate) == rounded


def setup_of(model: TaskModel, objective: Objective) -> TrainingSetup:
    optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    loop = LoopSettings(5, 4, 1, 0.0, 0, 10)
    return TrainingSetup(model, random_features(24), objective, METRIC_NAMES, optimiser, lambda step: 0.0, loop)


def test_the_weights_are_put_back_and_the_steps_end() -> None:
    model = tiny_qa_model()
    before = {name: value.clone() for name, value in weights_of(model).items()}
    told: list[int] = []
    rates = Rates(n_steps=20)
    test = range_test(setup_of(model, span_loss), rates, None, told.append)
    assert 12 <= len(test.losses) <= 20
    assert told == list(range(1, len(told) + 1))
    assert all(torch.equal(value, before[name]) for name, value in weights_of(model).items())
    assert test.rates[0] == pytest.approx(rates.lowest)
    assert all(after > rate for rate, after in zip(test.rates, test.rates[1:], strict=False))


@pytest.mark.parametrize("n_good", [0, 5, 15])
def test_a_step_that_is_no_number_ends_the_test_and_is_its_result(n_good: int) -> None:
    model = tiny_qa_model()
    before = {name: value.clone() for name, value in weights_of(model).items()}
    told: list[int] = []

    def poisoned(*arguments: Any) -> Any:
        made = span_loss(*arguments)
        return replace(made, loss=made.loss * (math.nan if len(told) >= n_good else 1.0))

    rates = Rates(n_steps=20)
    test = range_test(setup_of(model, poisoned), rates, None, told.append)
    assert len(test.losses) == n_good
    assert told == list(range(1, n_good + 2))
    assert all(torch.equal(value, before[name]) for name, value in weights_of(model).items())
    assert (f"no number from step {n_good} on" in test.end) == (n_good < 12)
    assert (test.first_loss is None) == (n_good < 12)


@pytest.mark.parametrize("name", ["curve.svg", "curve.png"])
def test_the_picture_is_drawn(name: str, tmp_path: Path) -> None:
    test = interpret_curve(RATES, curve(1e-4, 5e-3, 0.1), prior_loss=4.0)
    tried = [TriedRate(rate, 100, loss, None, 1.0) for rate, loss in ((1e-4, 3.0), (1e-3, math.inf), (1e-2, 80.0))]
    draw_range(test, tried, 1e-4, tmp_path / name)
    assert (tmp_path / name).stat().st_size > 5_000
    draw_range(interpret_curve(RATES, [4.5] * 100), (), None, tmp_path / name)
    draw_range(interpret_curve([], []), (), None, tmp_path / name)
