"""How many steps each epoch has, and where a step lies among the epochs."""

from __future__ import annotations

import pytest

from distiltune.training.plan import StepPlan


def test_an_even_plan_is_a_division() -> None:
    plan = StepPlan.of([25, 25])
    assert (plan.n_epochs, plan.n_steps, plan.usual, plan.in_epoch(1)) == (2, 50, 25, 25)
    assert [plan.place(n) for n in (0, 10, 25, 40, 50)] == [0.0, 10 / 25, 1.0, 1 + 15 / 25, 2.0]
    assert str(plan) == "2 epochs of 25 steps"


def test_an_epoch_with_more_steps_is_one_epoch_all_the_same() -> None:
    plan = StepPlan.of([100, 10, 10])
    assert plan.usual == 10
    assert plan.place(50) == 0.5
    assert plan.place(105) == 1.5
    assert plan.place(120) == 3.0
    assert str(plan) == "3 epochs, the first of 100 steps, the others of 10"
    assert str(StepPlan.of([3, 4, 3])) == "3 epochs of 3 to 4 steps"


@pytest.mark.parametrize("steps", [[1], [2, 5]])
def test_what_is_over_the_end_is_the_last_epoch(steps: list[int]) -> None:
    plan = StepPlan.of(steps)
    assert plan.place(plan.n_steps) == plan.n_epochs
