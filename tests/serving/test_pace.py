from __future__ import annotations

import pytest

from distiltune.serving.pace import Pace


def test_nothing_is_known_before_the_first_piece() -> None:
    assert (Pace(10).per_second, Pace(10).seconds_for(5)) == (0.0, 0.0)


def test_the_older_counts_less() -> None:
    pace = Pace(half_life=100)
    pace.add(100, 1.0)
    assert pace.per_second == 100
    pace.add(100, 0.5)
    assert pace.per_second == pytest.approx((50 + 100) / (0.5 + 0.5))
    for _ in range(20):
        pace.add(100, 0.5)
    assert pace.per_second == pytest.approx(200, rel=1e-3)
    assert pace.seconds_for(1_000) == pytest.approx(5, rel=1e-3)


def test_small_slow_pieces_do_not_make_large_ones_look_slow() -> None:
    pace = Pace(half_life=10_000)
    pace.add(10_000, 1.0)
    for _ in range(10):
        pace.add(10, 0.01)  # a tenth of the pace
    assert pace.per_second > 8_000
