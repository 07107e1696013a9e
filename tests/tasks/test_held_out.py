"""What was fitted is kept only if it is better where it was not fitted, by more than chance."""

from __future__ import annotations

import numpy as np

from distiltune.tasks.held_out import FEWEST, first_half, gains, is_calibrated_better


def test_the_halves_are_halves_and_always_the_same() -> None:
    inside = first_half(101)
    assert inside.sum() == 50
    assert (inside == first_half(101)).all()
    assert 10 < inside[:50].sum() < 40  # drawn, not the first rows


def test_a_gain_must_be_more_than_chance() -> None:
    random = np.random.default_rng(0)
    assert gains(random.normal(0.2, 1.0, 1_000))
    assert not gains(random.normal(0.0, 1.0, 1_000) - 0.05)
    assert not gains(np.array([1.0] + [0.0] * 99))  # one answer more
    assert not gains(np.zeros(50))
    assert not gains(np.ones(FEWEST - 1))
    assert gains(np.ones(FEWEST))


def test_more_honest_confidences_are_told_from_as_honest_ones() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(0.2, 0.9, 2_000)
    right = random.random(2_000) < truth
    sharpened = truth**0.3
    assert is_calibrated_better(sharpened, truth, right)
    assert not is_calibrated_better(truth, sharpened, right)
    assert not is_calibrated_better(truth, truth, right)
    few = slice(0, 20)
    assert not is_calibrated_better(truth[few] * 0.98, truth[few], right[few])
