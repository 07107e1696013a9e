"""Calibration: the temperature that was put in is found again, and the error is what its definition says."""

from __future__ import annotations

import numpy as np
import pytest

from distiltune.tasks.question_answering.calibration import (
    MIN_QUESTIONS,
    POOL_SIZE,
    AnswerRecord,
    calibrate,
    confidences,
    fit_temperature,
    pool,
)


def random_pools(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([pool(sorted(rng.normal(3.0, 2.0, 8), reverse=True)) for _ in range(n)])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_outcomes_is_found_again(temperature: float) -> None:
    pools = random_pools(20_000)
    chosen = np.ones(len(pools), dtype=np.int64)
    truth = confidences(pools, temperature)[:, 1]
    right = np.random.default_rng(1).random(len(pools)) < truth
    found = calibrate(pools, chosen, right)
    assert found.temperature == pytest.approx(temperature, rel=0.06)
    assert found.error_after < 0.02
    if temperature != 1.0:
        assert found.error_before > 3 * found.error_after


def test_confidences_are_the_plain_softmax() -> None:
    row = pool([1.5, 0.5])
    expected = np.exp(np.array([0.0, 1.5, 0.5]) / 2)
    assert confidences(row, 2.0)[:3] == pytest.approx(expected / expected.sum())
    assert confidences(row, 2.0)[3:].tolist() == [0.0] * (POOL_SIZE - 2)
    assert confidences(pool([]), 1.0)[0] == 1.0


def test_the_pool_holds_a_fixed_number_of_candidates() -> None:
    assert pool([-float(i) for i in range(50)]).tolist() == [0.0, *(-float(i) for i in range(POOL_SIZE))]


def test_nothing_is_fitted_where_nothing_can_be_learned() -> None:
    pools, chosen = random_pools(100), np.ones(100, dtype=np.int64)
    assert fit_temperature(pools, chosen, np.ones(100, dtype=np.bool_)) == 1.0
    assert fit_temperature(pools, chosen, np.zeros(100, dtype=np.bool_)) == 1.0
    few = slice(0, MIN_QUESTIONS - 1)
    assert fit_temperature(pools[few], chosen[few], np.arange(MIN_QUESTIONS - 1) % 2 == 0) == 1.0


def test_the_record_takes_the_answer_that_the_threshold_gives() -> None:
    record = AnswerRecord()
    for i in range(40):
        record.add([-0.5, -1.5], best_is_right=i % 4 == 0, none_is_right=i % 4 != 0)
    always, sometimes = record.calibrate(None, 1.0), record.calibrate(0.0, 1.0)
    assert always is not None
    assert sometimes is not None
    shares = confidences(pool([-0.5, -1.5]), 1.0)
    assert always.error_after == pytest.approx(abs(shares[1] - 0.25))
    assert sometimes.error_after == pytest.approx(abs(shares[0] - 0.75))
    assert AnswerRecord().calibrate(None) is None


def test_a_temperature_that_does_not_hold_is_not_kept() -> None:
    pools = random_pools(200, seed=3)
    chosen = np.ones(len(pools), dtype=np.int64)
    right = np.random.default_rng(4).random(len(pools)) < confidences(pools, 1.0)[:, 1]  # 1 is the right one
    found = calibrate(pools, chosen, right)
    assert found.fitted is not None
    assert found.fitted != 1.0
    assert not found.is_kept
    assert (found.temperature, found.error_after) == (1.0, found.error_before)
    assert found.error_held_out is not None
    # Where another is plainly right, it is kept, and one that is given is only measured.
    right = np.random.default_rng(4).random(len(pools)) < confidences(pools, 4.0)[:, 1]
    assert calibrate(pools, chosen, right).is_kept
    given = calibrate(pools, chosen, right, 4.0)
    assert (given.temperature, given.fitted, given.error_held_out) == (4.0, None, None)
