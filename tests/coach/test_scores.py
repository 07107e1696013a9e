from __future__ import annotations

import math
import random

import pytest

from distiltune.coach.scores import BlindScore, best_scores, independent


def test_chance_alone_carries_a_share_no_further_than_its_reach() -> None:
    """Of 4,000 draws by the blind share, about the two hundredth part that an interval of 99 % leaves lies above."""
    rng = random.Random(0)
    blind = BlindScore("accuracy", 0.34, 200)
    draws = [sum(rng.random() < 0.34 for _ in range(200)) / 200 for _ in range(4_000)]
    assert sum(map(blind.is_beaten_by, draws)) / len(draws) < 0.008
    assert blind.is_beaten_by(0.50)
    assert not BlindScore("accuracy", 0.34, 15).is_beaten_by(0.50), "so few say little"
    assert BlindScore("f1", 5.0, 200, whole=100.0).reach == pytest.approx(100 * BlindScore("f1", 0.05, 200).reach)


def test_a_correlation_is_held_against_none() -> None:
    blind = BlindScore("pearson", 0.0, 100, kind="correlation")
    assert blind.reach == pytest.approx(math.tanh(2.576 / math.sqrt(97)))
    assert blind.is_beaten_by(0.78)
    assert not blind.is_beaten_by(0.2)
    assert not BlindScore("pearson", 0.0, 3, kind="correlation").is_beaten_by(1.0)


def test_without_anything_to_score_nothing_is_beaten() -> None:
    assert not BlindScore("f1", 0.0, 0).is_beaten_by(1.0)


def test_a_mean_over_classes_is_as_sure_as_its_smallest_let_it_be() -> None:
    assert independent([10, 10]) == pytest.approx(20)
    assert independent([1_000, 2, 0]) == pytest.approx(4 / (1 / 1_000 + 1 / 2))
    assert independent([0, 0]) == 0.0


def test_the_best_of_the_epochs_is_taken_of_each_score_that_there_is() -> None:
    blind = (BlindScore("f1", 0.0, 10), BlindScore("accuracy", 0.3, 10))
    assert best_scores(blind, [{"f1": 0.2}, {"f1": math.nan}, {"f1": 0.1}]) == [(blind[0], 0.2)]
    assert best_scores(blind, []) == []


def test_a_score_in_words_has_its_own_unit() -> None:
    assert "f1 12.3, first words gets 5.0" in BlindScore("f1", 5.0, 50, 100.0, who="first words").shown(12.34)
    assert "macro f1 0.12" in BlindScore("macro_f1", 0.1, 50).shown(0.123)
