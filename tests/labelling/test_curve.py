from __future__ import annotations

import pytest

from distiltune.labelling.curve import Point, advice, telling


def point(n: int, value: float, margin: float = 2.0, n_validation: int = 100) -> Point:
    return Point(n, n_validation, "accuracy", value, value - margin, value + margin)


def test_nothing_is_said_of_too_few_trainings() -> None:
    assert advice([]) == ""
    assert "after 1 more training." in advice([point(20, 50), point(40, 60)])


def test_a_power_law_is_gone_on_with() -> None:
    """Errors of 40, 20, 10: each doubling halves them, so the next brings 5 points."""
    said = advice([point(25, 60), point(50, 80), point(100, 90)])
    assert said.startswith("Yes: twice as many labels (200) would bring about 5 points.")


def test_a_score_from_a_few_examples_is_neither_drawn_nor_gone_on_with() -> None:
    few, enough = point(8, 50, 40, 2), point(40, 60, 20, 10)
    assert telling([few, enough]) == [enough]
    assert "measured on 2 of the examples kept for validation, and so few tell nothing" in advice([few])
    assert "measured on 9 of the" in advice([enough, enough, point(40, 60, 20, 9)])
    assert "after 2 more trainings." in advice([few, few, enough])


def test_a_flat_curve_says_hardly() -> None:
    assert advice([point(25, 80.2), point(50, 80), point(100, 80.1)]).startswith("Hardly")


@pytest.mark.parametrize("n_validation", [10, 19])
def test_an_uncertain_score_is_said_to_be_one(n_validation: int) -> None:
    said = advice([point(25, 60, 20, n_validation), point(50, 70, 18, n_validation), point(100, 78, 17, n_validation)])
    assert f"to within 17 points only, from {n_validation} texts" in said
