"""A set's columns reach its batches, the device and the filler; groups stay together; an epoch may draw anew."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from distiltune.data.feature_set import FeatureSet, no_labels
from distiltune.data.packing import NO_LABEL, PackedBatch, fill_up, required
from distiltune.training.cuda_graphs import make_static
from tests.helpers import feature_set

SEQUENCES = [[2, 7, 3], [2, 3], [2, 9, 8, 3], [2, 5, 3]]
FULL = replace(
    feature_set(SEQUENCES, [[1], [2], [3], [4]]),
    token_labels=np.arange(12, dtype=np.int32),
    weights=np.array([1.0, 0.5, 0.25, 2.0], dtype=np.float32),
    group_of=np.array([4, 4, 7, 9]),
    targets=np.arange(24, dtype=np.float16).reshape(12, 2),
)


def tensors_of(batch: PackedBatch) -> dict[str, torch.Tensor]:
    """Found by their types, so that a new attribute cannot be forgotten."""
    found = {each.name: getattr(batch, each.name) for each in fields(batch)}
    return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}


def test_a_batch_has_every_column_of_its_features() -> None:
    batch = FULL.batch(np.array([2, 0]))
    assert batch.labels.tolist() == [[3], [1]]
    assert required(batch.token_labels, "").tolist() == [5, 6, 7, 8, 0, 1, 2]
    assert required(batch.weights, "").tolist() == [0.25, 1.0]
    assert required(batch.targets, "").tolist() == [[10, 11], [12, 13], [14, 15], [16, 17], [0, 1], [2, 3], [4, 5]]
    assert batch.token_labels is not None
    assert batch.token_labels.dtype == torch.int64
    assert batch.weights is not None
    assert batch.weights.dtype == torch.float32


def test_the_groups_of_a_batch_are_numbered_from_0() -> None:
    assert required(FULL.batch(np.array([0, 1, 3])).group_of, "").tolist() == [0, 0, 1]
    assert required(FULL.batch(np.array([3, 0, 1])).group_of, "").tolist() == [1, 0, 0]


def test_numbers_stay_numbers() -> None:
    features = replace(FULL, labels=np.array([[0.5], [1.5], [-2.0], [1e9]], dtype=np.float32))
    batch = features.batch(np.array([3, 0]))
    assert batch.labels.dtype == torch.float32
    assert batch.labels.tolist() == [[1e9], [0.5]]


def test_a_teachers_row_a_feature() -> None:
    features = replace(FULL, targets=np.arange(8, dtype=np.float32).reshape(4, 2), target_rows="sequence")
    batch = features.batch(np.array([2, 0]))
    assert required(batch.targets, "").tolist() == [[4, 5], [0, 1]]
    filled = fill_up(batch, batch.n_tokens + 3, 4)
    assert filled.targets is batch.targets
    assert filled.target_rows == "sequence"


def test_what_a_set_does_not_have_a_batch_does_not_have() -> None:
    batch = replace(feature_set(SEQUENCES), labels=no_labels(4)).batch(np.array([1, 2]))
    assert batch.labels.shape == (2, 0)
    assert batch.n_features == 2
    assert tensors_of(batch).keys() == {"token_ids", "position_ids", "cu_seqlens", "labels"}
    with pytest.raises(ValueError, match="no weights"):
        required(batch.weights, "weights")


def test_every_tensor_moves_is_copied_and_is_loaded() -> None:
    batch, other = FULL.batch(np.array([0, 1])), FULL.batch(np.array([3, 1]))
    assert batch.tensors().keys() == tensors_of(batch).keys()
    assert len(batch.tensors()) == 8
    moved = batch.to(torch.device("meta"))
    assert {tensor.device.type for tensor in tensors_of(moved).values()} == {"meta"}
    assert len(tensors_of(moved)) == 8
    static = make_static(batch, torch.device("cpu"))
    places = {name: tensor.data_ptr() for name, tensor in tensors_of(static.batch).items()}
    assert not set(places.values()) & {tensor.data_ptr() for tensor in tensors_of(batch).values()}
    static.load(other, 1.0)
    for name, tensor in tensors_of(static.batch).items():
        assert torch.equal(tensor, tensors_of(other)[name]), name
    assert {name: tensor.data_ptr() for name, tensor in tensors_of(static.batch).items()} == places


def test_a_batch_with_other_columns_does_not_fit() -> None:
    static = make_static(FULL.batch(np.array([0])), torch.device("cpu"))
    with pytest.raises(ValueError, match="for a place that has"):
        static.load(replace(FULL, weights=None).batch(np.array([0])), 1.0)


def test_filler_has_no_label() -> None:
    filled = fill_up(FULL.batch(np.array([1, 0])), 9, 4)
    assert required(filled.token_labels, "").tolist() == [3, 4, 0, 1, 2, *[NO_LABEL] * 4]
    assert required(filled.targets, "")[-4:].tolist() == [[0, 0]] * 4
    assert filled.labels.shape == (2, 1)
    assert required(filled.weights, "").tolist() == [0.5, 1.0]
    assert required(filled.group_of, "").tolist() == [0, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": no_labels(3)}, "labels has 3 rows where 4"),
        ({"token_labels": np.zeros(11, dtype=np.int32)}, "token_labels has 11 rows where 12"),
        ({"weights": np.ones(5, dtype=np.float32)}, "weights has 5 rows where 4"),
        ({"group_of": np.array([0, 1])}, "group_of has 2 rows where 4"),
        ({"group_of": np.array([0, 1, 0, 1])}, "not ascending"),
    ],
)
def test_a_column_that_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(FULL, **changes)


@pytest.mark.parametrize("column", ["token_ids", "labels", "token_labels", "weights", "group_of"])
def test_the_fingerprint_is_of_every_column(column: str) -> None:
    changes: list[dict[str, Any]] = [{column: getattr(FULL, column) + 1}]
    if column in ("token_labels", "weights", "group_of"):
        changes.append({column: None})
    others = {replace(FULL, **change).fingerprint() for change in changes}
    assert FULL.fingerprint() not in others
    assert FULL.fingerprint() == replace(FULL, targets=None).fingerprint()


def test_runs_of_before_find_their_data_again() -> None:
    """Of tokens, boundaries and labels alone the hash is that of version 1, so that its runs can be resumed."""
    found = feature_set([[2, 7, 3], [2, 3]], [[1, 1], [0, 0]]).fingerprint()
    assert found == "76efc276ae40a9716f2d202c48e31ee75233b93ce43074e848050c286e992197"


def masked(features: FeatureSet, random: np.random.Generator) -> FeatureSet:
    is_masked = random.random(len(features.token_ids)) < 0.5
    return replace(features, token_ids=np.where(is_masked, 4, features.token_ids).astype(np.int32))


def test_an_epoch_is_drawn_from_seed_and_epoch_alone() -> None:
    features = replace(FULL, redraw=masked)
    draws = {(seed, epoch): features.of_epoch(seed, epoch).token_ids.tolist() for seed in (0, 1) for epoch in range(3)}
    assert len(set(map(tuple, draws.values()))) == 6
    assert draws[1, 2] == features.of_epoch(1, 2).token_ids.tolist()
    assert FULL.of_epoch(1, 2) is FULL


@pytest.mark.parametrize("column", ["offsets", "group_of"])
def test_what_is_drawn_has_the_same_features(column: str) -> None:
    others = {"offsets": np.array([0, 2, 5, 9, 12]), "group_of": np.array([4, 4, 4, 4])}

    def wrong(features: FeatureSet, random: np.random.Generator) -> FeatureSet:
        return replace(features, **{column: others[column]})  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="other lengths or groups"):
        replace(FULL, redraw=wrong).of_epoch(0, 0)
