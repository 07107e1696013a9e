"""What the tasks' analyses share: calibration, and the interval of an F1 over all examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.tasks.analysis import Counts
from distiltune.tasks.statistics import calibration_in_bins, f1_interval, where_least


def test_calibration_by_hand() -> None:
    bins, error = calibration_in_bins([(0.95, 1), (0.94, 0), (0.55, 1), (1.0, 1)])
    assert [(each.n, each.n * each.right.value) for each in bins] == [(1, 1), (3, 2)]
    assert error == pytest.approx((abs(0.55 - 1) + abs(2.89 - 2)) / 4)
    assert calibration_in_bins([]) == ((), 0)


def test_the_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    # Bin of 0.95: 75 % right, gap 0.20, four of six; bin of 0.05: 50 % right, gap 0.45, two of six.
    answers = [(0.95, 1), (0.95, 1), (0.95, 1), (0.95, 0), (0.05, 0), (0.05, 1)]
    assert calibration_in_bins(answers)[1] == pytest.approx((4 * 0.20 + 2 * 0.45) / 6)
    assert calibration_in_bins([(1.0, 1), (1.0, 1)])[1] == 0.0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_the_calibration_error_is_a_share(answers: list[tuple[float, bool]]) -> None:
    assert 0.0 <= calibration_in_bins(answers)[1] <= 1.0 + 1e-12


def test_the_interval_of_an_f1_holds_the_true_one_95_times_of_100() -> None:
    """Texts of 0 to 5 entities, of which 60 % are found and as many are given that are none as are missed."""
    draw = np.random.default_rng(4)
    inside = 0
    for _ in range(400):
        wanted = draw.integers(0, 6, 80)
        right = draw.binomial(wanted, 0.6)
        wrong = draw.binomial(wanted, 0.4)
        counts = [Counts(int(r), int(r + w), int(n)) for r, w, n in zip(right, wrong, wanted, strict=True)]
        found = f1_interval(counts)
        assert found.value == pytest.approx(100 * 2 * right.sum() / (right + wrong + wanted).sum())
        inside += found.low <= 60.0 <= found.high
    assert 0.92 * 400 <= inside <= 0.98 * 400


def test_an_f1_of_which_all_or_nothing_is_right_is_not_known_exactly() -> None:
    assert f1_interval([Counts(2, 2, 2)] * 20).high == 100.0
    assert 80 < f1_interval([Counts(2, 2, 2)] * 20).low < 99
    assert 1 < f1_interval([Counts(0, 1, 1)] * 20).high < 20
    alone = f1_interval([Counts(5, 5, 5)])
    assert (alone.value, alone.low, alone.high) == (100.0, 0.0, 100.0)


@pytest.mark.parametrize("place", [-2.0, -1.3, 0.0, 2.9, 3.0])
def test_the_least_is_found_also_at_an_end(place: float) -> None:
    assert where_least(lambda x: (x - place) ** 2, -2.0, 3.0) == pytest.approx(place, abs=1e-6)
