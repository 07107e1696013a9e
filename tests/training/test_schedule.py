from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.training.schedule import PolynomialDecay


def decay(
    *, start: float = 1.0, end: float = 0.0, power: float = 1.0, warmup_steps: int = 0, total_steps: int = 10
) -> PolynomialDecay:
    return PolynomialDecay(start, end, power, warmup_steps, total_steps)


# Each worked out by hand: (schedule, step, learning rate).
TABLE = [
    # The recipe `classic` on SQuAD: 88,524 features, batches of 16, 5 epochs.
    (decay(start=2e-5, total_steps=27_665), 0, 2e-5),
    (decay(start=2e-5, total_steps=27_665), 5_533, 1.6e-5),
    (decay(start=2e-5, total_steps=27_665), 27_664, 2e-5 / 27_665),
    # Without warm-up: (1 - step / total).
    (decay(), 0, 1.0),
    (decay(), 5, 0.5),
    (decay(), 9, 0.1),
    (decay(), 10, 0.0),
    (decay(), 11, 0.0),
    (decay(total_steps=1), 0, 1.0),
    # To 0.2: (1 - 0.2) * left + 0.2.
    (decay(end=0.2), 0, 1.0),
    (decay(end=0.2), 5, 0.6),
    (decay(end=0.2), 9, 0.28),
    (decay(end=0.2), 10, 0.2),
    (decay(end=0.2), 99, 0.2),
    (decay(end=1.0), 7, 1.0),
    # Powers: left ** power.
    (decay(power=2.0), 5, 0.25),
    (decay(power=2.0), 9, 0.01),
    (decay(power=2.0, end=0.2), 5, 0.4),
    (decay(power=0.5), 9, 0.1**0.5),
    # 4 steps of warm-up: fifths of the start, then the decay over the 6 steps left.
    (decay(warmup_steps=4), 0, 0.2),
    (decay(warmup_steps=4), 1, 0.4),
    (decay(warmup_steps=4), 3, 0.8),
    (decay(warmup_steps=4), 4, 1.0),
    (decay(warmup_steps=4), 5, 5 / 6),
    (decay(warmup_steps=4), 9, 1 / 6),
    (decay(warmup_steps=4), 10, 0.0),
    (decay(warmup_steps=4, end=0.4), 7, 0.7),
    (decay(warmup_steps=9), 9, 1.0),
]


@pytest.mark.parametrize(("schedule", "step", "expected"), TABLE)
def test_learning_rates_by_hand(schedule: PolynomialDecay, step: int, expected: float) -> None:
    assert schedule(step) == pytest.approx(expected, rel=1e-12, abs=1e-18)


@given(st.integers(0, 20), st.integers(1, 40), st.floats(0.1, 4), st.floats(0, 1))
def test_it_rises_to_the_start_and_falls_to_the_end(warmup: int, decaying: int, power: float, end: float) -> None:
    schedule = decay(warmup_steps=warmup, total_steps=warmup + decaying, power=power, end=end)
    rates = [schedule(step) for step in range(warmup + decaying + 3)]
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup] == pytest.approx(1.0)
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert rates[-3:] == [end] * 3
    assert all(0 < rate <= 1 for rate in rates[: warmup + 1])
