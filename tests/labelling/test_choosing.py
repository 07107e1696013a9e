from __future__ import annotations

import numpy as np
import pytest

from distiltune.labelling.choosing import NextUp, drawn_by, most_typical
from distiltune.labelling.items import items_of
from distiltune.labelling.offered import ReadText

ITEMS = {item.key: item for item in items_of(ReadText(f"text {i}") for i in range(100))[0]}
TRAINING = {key: item for key, item in ITEMS.items() if not item.for_validation}
VALIDATION = {key: item for key, item in ITEMS.items() if item.for_validation}


def test_about_a_fifth_is_kept_for_validation() -> None:
    assert 10 <= len(VALIDATION) <= 32
    again = items_of(ReadText(f"text {i}", document="elsewhere") for i in reversed(range(100)))[0]
    assert {item.key for item in again if item.for_validation} == VALIDATION.keys()


def test_file_order_is_as_they_stand_and_random_is_as_drawn() -> None:
    drawn = drawn_by(3, list(ITEMS))
    assert NextUp("file", drawn).next(ITEMS, 0, 0) == next(iter(ITEMS))
    assert NextUp("random", drawn).next(ITEMS, 0, 0) == drawn[0]
    assert drawn_by(3, list(reversed(ITEMS))) == drawn
    assert drawn_by(4, list(ITEMS)) != drawn


def test_first_the_typical_then_the_doubtful() -> None:
    typical, doubtful = list(TRAINING)[5], list(TRAINING)[7]
    choice = NextUp("doubt", drawn_by(0, list(ITEMS)), spread=[typical])
    assert choice.next(ITEMS, 1, 1) == typical
    choice.doubts = dict.fromkeys(TRAINING, 0.1) | {doubtful: 0.9, typical: float("nan")}
    assert choice.next(ITEMS, 1, 1) == doubtful


def test_the_validation_set_is_never_chosen_by_doubt() -> None:
    """Its turn is every fifth, and its items come as drawn, however much the model doubts them."""
    drawn = drawn_by(0, list(ITEMS))
    worst = list(VALIDATION)[-1]
    choice = NextUp("doubt", drawn, doubts=dict.fromkeys(ITEMS, 0.5) | {worst: 1.0})
    first = next(key for key in drawn if key in VALIDATION)
    assert choice.next(ITEMS, 0, 0) == first != worst
    assert choice.next(ITEMS, 4, 1) in VALIDATION or choice.next(ITEMS, 4, 1) in TRAINING
    left, n, n_validation = dict(ITEMS), 0, 0
    for _ in range(40):
        key = choice.next(left, n, n_validation)
        assert key is not None
        n, n_validation = n + 1, n_validation + left.pop(key).for_validation
    assert n_validation == 8


def test_one_set_is_used_up_and_the_other_goes_on() -> None:
    choice = NextUp("doubt", drawn_by(0, list(ITEMS)))
    assert choice.next(VALIDATION, 1, 1) in VALIDATION
    assert choice.next(TRAINING, 0, 0) in TRAINING
    assert choice.next({}, 0, 0) is None


def test_the_most_typical_are_one_of_each_cluster_the_nearest_to_its_middle() -> None:
    rng = np.random.default_rng(0)
    middles = np.eye(4, 8, dtype=np.float32)
    clusters = np.repeat(np.arange(4), (40, 30, 20, 10))
    vectors = (middles[clusters] + 0.05 * rng.standard_normal((100, 8))).astype(np.float32)
    found = most_typical(vectors, 4)
    assert [int(clusters[i]) for i in found] == [0, 1, 2, 3], "the largest cluster first"
    points = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for i in found:
        own = clusters == clusters[i]
        middle = points[own].mean(axis=0)
        assert i == int(np.flatnonzero(own)[((points[own] - middle) ** 2).sum(axis=1).argmin()])


@pytest.mark.parametrize("n_points", [1, 3, 7])
def test_fewer_texts_than_asked_for_and_equal_ones(n_points: int) -> None:
    same = np.ones((n_points, 4), dtype=np.float32)
    assert sorted(most_typical(same, 3)) == list(range(min(3, n_points)))
