"""From where on a training learns by heart."""

from __future__ import annotations

import math
from typing import Any

import pytest

from distiltune.coach.overfitting import find_turn

TURNS: list[tuple[tuple[float, ...], tuple[float, ...], Any]] = [
    ((1.0, 0.8, 0.6), (1.0, 0.9, 1.2), (1, 2)),
    ((1.0, 0.8, 0.6), (1.0, 1.1, 1.2), (0, 1)),
    ((1.0, 0.8, 0.6), (1.0, 0.9, 0.905), (1, None)),  # within the noise
    ((1.0, 0.8, 0.9), (1.0, 0.9, 1.2), (1, None)),  # the training loss rises too: that is no overfitting
    ((1.0, 0.8, 0.6), (1.0, 1.2, 0.9), (2, None)),  # it came back
    ((1.0, 0.8, 0.6), (1.0, math.nan, 1.2), (0, 2)),
]


@pytest.mark.parametrize(("train", "validation", "expected"), TURNS)
def test_the_turning_point(train: tuple[float, ...], validation: tuple[float, ...], expected: Any) -> None:
    turn = find_turn(train, validation)
    assert turn is not None
    assert (turn.best_epoch, turn.overfits_from) == expected


def test_no_turning_point_without_a_number() -> None:
    assert find_turn((), ()) is None
    assert find_turn((1.0,), (math.nan,)) is None
