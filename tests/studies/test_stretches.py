"""Rates are tried around a start, further where an end wins, and longer where nothing is learnt."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from distiltune.studies.stretches import (
    LONGEST,
    MOST_STEPS,
    SHORTEST,
    Bar,
    TriedRate,
    budget,
    choose,
    first_length,
    for_whole_run,
    try_rates,
)

BAR = Bar(loss=1.6, n_rows=500)


def valley(best: float, from_steps: int = 0) -> Callable[[float, int], TriedRate]:
    """A loss that is lowest at one rate, and at the prior until so many steps are made; far too high ones diverge."""

    def try_at(rate: float, n_steps: int) -> TriedRate:
        loss = 1.0 + 0.1 * math.log(rate / best) ** 2 if n_steps >= from_steps else 1.6
        loss = math.inf if rate > 100 * best else min(1.6, loss)
        return TriedRate(rate, n_steps, loss, None, 0.0)

    return try_at


def of(rate: float, loss: float, score: float) -> TriedRate:
    return TriedRate(rate, 100, loss, score, 0.0)


@pytest.mark.parametrize("start", [1e-4, 3e-4, 1e-3])
def test_the_lowest_of_the_valley_is_found_from_either_side(start: float) -> None:
    tried = try_rates(valley(3e-4), start, 2.0, 400, BAR)
    assert tried.best is not None
    assert 3e-4 / 2 <= tried.best.rate <= 3e-4 * 2
    assert tried.n_steps == 100 * len(tried.stretches) <= 500


def test_where_nothing_is_learnt_all_is_tried_longer() -> None:
    tried = try_rates(valley(3e-4, from_steps=400), 3e-4, 3.0, 5_000, BAR)
    assert tried.best is not None
    assert tried.stretches[0].n_steps == 250
    assert (tried.best.rate, tried.best.n_steps) == (3e-4, 1000)  # all were alike: it stays where it began
    never = try_rates(valley(3e-4, from_steps=10_000), 3e-4, 3.0, 5_000, BAR)
    assert never.best is None
    assert never.n_steps <= budget(5_000)
    nearly = try_rates(valley(3e-4, from_steps=10_000), 3e-4, 3.0, 130, BAR)
    assert {each.n_steps for each in nearly.stretches} == {100}  # 30 steps more would show nothing else
    assert [each.n_steps for each in try_rates(valley(3e-4, from_steps=450), 3e-4, 3.0, 450, BAR).stretches][-1] == 450
    short = try_rates(valley(3e-4, from_steps=10_000), 3e-4, 3.0, 60, BAR)
    assert {each.n_steps for each in short.stretches} == {60}  # a run has no more


@pytest.mark.parametrize("best", [3e-4 / 27, 3e-4 * 27])
def test_before_none_is_suggested_rates_farther_off_are_tried(best: float) -> None:
    def try_at(rate: float, n_steps: int) -> TriedRate:
        return TriedRate(rate, n_steps, 1.0 if best / 2 < rate < best * 2 else 1.6, None, 0.0)

    assert try_rates(try_at, best * 1000, 3.0, 100, BAR).best is None  # not for ever
    found = try_rates(try_at, 3e-4, 3.0, 100, BAR).best
    assert found is not None
    assert found.rate == pytest.approx(best)


@pytest.mark.parametrize("up", [True, False])
def test_a_rate_far_off_that_learns_at_last_is_gone_beyond_while_the_next_is_better(up: bool) -> None:
    by_place = [1.6, 1.6, 1.6, 1.2, 0.8, 0.9]  # the third is the end of what lies about the start

    def try_at(rate: float, n_steps: int) -> TriedRate:
        place = round(math.log(rate / 3e-4, 3.0)) * (1 if up else -1) + 1
        return TriedRate(rate, n_steps, by_place[place] if 0 <= place < len(by_place) else 1.6, None, 0.0)

    found = try_rates(try_at, 3e-4, 3.0, 100, BAR).best
    assert found is not None
    assert found.loss == 0.8


def test_a_diverged_start_is_left_downwards() -> None:
    tried = try_rates(valley(1e-4), 2e-2, 10.0, 400, BAR)
    assert tried.best is not None
    assert tried.best.rate == pytest.approx(2e-4)


def test_what_is_close_is_decided_for_the_lower_rate_and_a_clear_score_wins() -> None:
    low, high = of(1e-4, 1.01, 0.60), of(3e-4, 1.0, 0.62)
    assert choose([low, high], BAR) == low
    assert choose([of(1e-4, 1.2, 0.60), high], BAR) == high
    clear = of(1e-3, 1.3, 0.75)
    assert choose([low, high, clear], BAR) == clear
    assert choose([of(1e-4, 1.59, 0.9)], BAR) is None  # no better than the prior, by more than chance
    assert choose([of(1e-4, math.inf, 0.0)], Bar(None, 500)) is None
    assert choose([of(1e-4, 9.0, 0.0)], Bar(None, 500)) is not None


def test_a_few_rows_that_are_all_right_do_not_tell_how_far_below_nothing_a_loss_is() -> None:
    """As of 48 texts, 5 held out: the next rate, 4e-3, had destroyed the model."""
    tried = [of(2.5e-4, 0.0441, 1.0), of(5e-4, 0.0047, 1.0), of(1e-3, 0.0003, 1.0), of(2e-3, 0.0, 1.0)]
    few = choose(tried, Bar(0.6931, 5))
    assert few is not None
    assert few.rate == 2.5e-4
    many = choose(tried, Bar(0.6931, 500))
    assert many is not None
    assert many.rate == 1e-3


def test_the_cost_is_bounded() -> None:
    assert (first_length(40), first_length(250), first_length(4_000), first_length(100_000)) == (40, 100, 200, 400)
    assert (SHORTEST, LONGEST) == (100, 400)
    assert (budget(250), budget(100_000)) == (MOST_STEPS, 25_000)


def test_a_longer_run_gets_less_and_never_below_half() -> None:
    assert for_whole_run(1e-3, 100, 100) == 1e-3
    assert for_whole_run(1e-3, 100, 80) == 1e-3
    assert 0.6e-3 < for_whole_run(1e-3, 100, 2_500) < 0.75e-3
    assert for_whole_run(1e-3, 100, 10**9) == 0.5e-3
