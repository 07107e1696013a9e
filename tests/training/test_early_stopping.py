from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.training.early_stopping import BestEpoch, Spread


def after_all(values: Iterable[float], best: BestEpoch) -> BestEpoch:
    for epoch, value in enumerate(values):
        best = best.after(epoch, value)
    return best


@pytest.mark.parametrize(
    ("values", "lower", "higher"),
    [
        ([3.0], 0, 0),
        ([3.0, 2.0, 1.0], 2, 0),
        ([1.0, 2.0, 3.0], 0, 2),
        ([2.0, 1.0, 3.0, 1.0], 1, 2),  # of equals, the first
        ([math.nan, 2.0, math.nan], 1, 1),
        ([math.inf, 2.0, -math.inf], 2, 0),
        ([], -1, -1),
        ([math.nan, math.nan], -1, -1),
    ],
)
def test_which_epoch_is_best(values: list[float], lower: int, higher: int) -> None:
    assert after_all(values, BestEpoch("lower")).epoch == lower
    assert after_all(values, BestEpoch("higher")).epoch == higher


def test_the_best_value_is_kept_with_it() -> None:
    best = after_all([3.0, 1.0, 2.0], BestEpoch("lower"))
    assert (best.epoch, best.value, best.n_since) == (1, 1.0, 1)


@pytest.mark.parametrize(
    ("values", "epoch"),
    [
        ([1.0, 0.9375], 0),  # a gain of less than the smallest change
        ([1.0, 0.5], 1),
        ([1.0, 0.9375, 0.875, 0.8125, 0.75, 0.6875], 5),  # measured from the best, not from the epoch before
    ],
)
def test_a_change_below_the_smallest_is_no_improvement(values: list[float], epoch: int) -> None:
    assert after_all(values, BestEpoch("lower", min_change=0.25)).epoch == epoch
    assert after_all([-value for value in values], BestEpoch("higher", min_change=0.25)).epoch == epoch


def test_it_stops_after_so_many_epochs_without_an_improvement() -> None:
    best = BestEpoch("higher")
    stops = []
    for epoch, value in enumerate([1.0, 2.0, 1.5, 2.0, 3.0, 1.0, math.nan, 1.0]):
        best = best.after(epoch, value)
        stops.append([best.should_stop(patience) for patience in (0, 1, 2, 3)])
    assert [row[0] for row in stops] == [False] * 8
    assert [row[1] for row in stops] == [False, False, True, True, False, True, True, True]
    assert [row[2] for row in stops] == [False, False, False, True, False, False, True, True]
    assert [row[3] for row in stops] == [False] * 7 + [True]


def test_epochs_that_are_no_number_count_against_the_patience() -> None:
    assert after_all([math.nan, math.nan], BestEpoch("lower")).should_stop(2)


@given(st.lists(st.floats(-10, 10), min_size=1), st.sampled_from(["lower", "higher"]))
def test_without_a_smallest_change_it_is_the_first_of_the_best(values: list[float], better: str) -> None:
    wanted = min(values) if better == "lower" else max(values)
    best = after_all(values, BestEpoch("lower" if better == "lower" else "higher"))
    assert best.epoch == values.index(wanted)
    assert best.n_since == len(values) - 1 - best.epoch


@pytest.mark.parametrize(
    ("values", "n", "epoch"),
    [
        ([0.5, 0.80, 0.78], 100, 2),  # the standard error of 0.8 of 100 is 0.04
        ([0.5, 0.80, 0.75], 100, 1),
        ([0.5, 0.80, 0.78], 10_000, 1),  # 0.004
        ([0.5, 0.80, 0.77, 0.83, 0.70, 0.80], 100, 5),
        ([0.80, 0.77, 0.74], 100, 1),  # held against the best, not against the one kept
        ([0.80, math.nan, 0.78, math.nan], 100, 2),
        ([0.0, 0.0], 100, 1),
        ([1.0, 0.99], 100, 0),
        ([math.nan], 100, -1),
    ],
)
def test_within_chance_of_the_best_the_latest_is_kept(values: list[float], n: int, epoch: int) -> None:
    assert after_all(values, BestEpoch("higher", spread=Spread(n))).epoch == epoch
    as_percent = after_all([100 * value for value in values], BestEpoch("higher", spread=Spread(n, 100.0)))
    assert as_percent.epoch == epoch


def test_patience_is_of_improvements_also_where_a_later_epoch_is_kept() -> None:
    best = after_all([0.80, 0.79, 0.79], BestEpoch("higher", spread=Spread(100)))
    assert (best.epoch, best.value, best.top, best.n_since) == (2, 0.79, 0.80, 2)
    assert best.should_stop(2)


def test_a_correlation_varies_as_fisher_says() -> None:
    spread = Spread(103, kind="correlation")
    assert spread.standard_error(0.6) == pytest.approx(0.064)
    assert Spread(3, kind="correlation").standard_error(0.6) == 1.0


@given(st.lists(st.floats(0, 1), min_size=1), st.integers(1, 5))
def test_what_is_remembered_goes_on_alike(values: list[float], n: int) -> None:
    rule = BestEpoch("higher", spread=Spread(n))
    whole, half = after_all(values, rule), len(values) // 2
    again = rule.remembering(after_all(values[:half], rule).memory())
    for epoch, value in enumerate(values[half:], half):
        again = again.after(epoch, value)
    assert again == whole
