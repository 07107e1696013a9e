"""Which features of other data each epoch reads: all as often as was asked for, in batches that are never mixed up."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from distiltune.data.feature_set import FeatureSet, joined
from distiltune.data.loader import epoch_order
from distiltune.data.warm_up import Order, WarmUp, plan_warm_up

N_OWN, N_OTHERS, SEED = 6, 15, 3


def features(n: int, first: int = 0, **more: Any) -> FeatureSet:
    """Features of two tokens each, which tell them apart."""
    tokens = np.repeat(np.arange(first, first + n, dtype=np.int32), 2)
    return FeatureSet(tokens, np.arange(0, 2 * n + 1, 2), np.zeros((n, 1), np.int32), np.arange(n), **more)


WHOLE = joined(features(N_OWN), features(N_OTHERS, 100), 1.0, N_OWN)


def read_in(warm_up: WarmUp, epoch: int, whole: FeatureSet = WHOLE) -> list[np.ndarray[Any, Any]]:
    own = epoch_order(warm_up.n_own, SEED, epoch, whole.group_of)
    stretches = warm_up.stretches(own, SEED, epoch, whole.group_of)
    assert [len(each) for each in stretches] == warm_up.lengths(epoch)
    return stretches


@pytest.mark.parametrize("n_passes", [1, 2])
def test_first_they_come_before_the_own_features_of_the_first_epoch(n_passes: int) -> None:
    warm_up = plan_warm_up(WHOLE, N_OWN, "first", n_passes, 3, SEED)
    *before, own = read_in(warm_up, 0)
    assert [sorted(each.tolist()) for each in before] == [list(range(N_OWN, N_OWN + N_OTHERS))] * n_passes
    assert own.tolist() == epoch_order(N_OWN, SEED, 0).tolist()  # as without warm-up data
    for epoch in (1, 2):
        assert [each.tolist() for each in read_in(warm_up, epoch)] == [epoch_order(N_OWN, SEED, epoch).tolist()]
    assert n_passes == 1 or before[0].tolist() != before[1].tolist()


@pytest.mark.parametrize(("n_passes", "n_epochs"), [(1, 4), (2, 4), (3, 3)])
def test_mixed_each_is_read_as_often_as_was_asked_for(n_passes: int, n_epochs: int) -> None:
    warm_up = plan_warm_up(WHOLE, N_OWN, "mixed", n_passes, n_epochs, SEED)
    counts: Counter[int] = Counter()
    for epoch in range(n_epochs):
        (order,) = read_in(warm_up, epoch)
        assert len(set(order.tolist())) == len(order), "none is read twice in one epoch"
        assert abs(len(order) - N_OWN - N_OTHERS * n_passes / n_epochs) <= 1
        counts.update(order.tolist())
    assert all(counts[i] == n_epochs for i in range(N_OWN))
    assert all(counts[i] == n_passes for i in range(N_OWN, N_OWN + N_OTHERS))


def test_more_passes_than_epochs_are_refused() -> None:
    with pytest.raises(ValueError, match="4 passes cannot be mixed into 3 epochs"):
        plan_warm_up(WHOLE, N_OWN, "mixed", 4, 3, SEED)


@pytest.mark.parametrize("order", ["first", "mixed"])
def test_groups_stay_whole(order: Order) -> None:
    pairs = features(8, group_of=np.repeat(np.arange(4), 2))
    whole = joined(pairs, pairs, 1.0, 8)
    warm_up = plan_warm_up(whole, 8, order, 1, 2, SEED)
    for epoch in (0, 1):
        for stretch in read_in(warm_up, epoch, whole):
            assert (stretch.reshape(-1, 2) == stretch[::2, None] + np.arange(2)).all()


def test_the_joined_set_has_every_column_of_both() -> None:
    own = features(2, weights=np.array([1.0, 3.0], np.float32), token_labels=np.arange(4, dtype=np.int32))
    others = features(3, 100, token_labels=np.arange(6, dtype=np.int32))
    whole = joined(own, others, 0.5, 2)
    assert whole.offsets.tolist() == [0, 2, 4, 6, 8, 10]
    assert whole.token_ids.tolist() == [0, 0, 1, 1, 100, 100, 101, 101, 102, 102]
    assert whole.example_of.tolist() == [0, 1, 2, 3, 4]
    assert whole.weights is not None
    assert whole.weights.tolist() == [1.0, 3.0, 0.5, 0.5, 0.5]
    assert whole.token_labels is not None
    assert whole.token_labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5]
    assert joined(features(2), others_without(), 1.0, 2).weights is None


def others_without() -> FeatureSet:
    return features(1)


def test_sets_of_two_kinds_are_not_joined() -> None:
    with pytest.raises(ValueError, match="not the same columns"):
        joined(features(2, group_of=np.arange(2)), features(2), 1.0, 2)
    with pytest.raises(ValueError, match="drawn anew"):
        joined(features(2, redraw=lambda found, random: found), features(2), 1.0, 2)
