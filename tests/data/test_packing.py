from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distiltune.data.packing import cumulative_lengths, deal, fill_up, filled_size, gather_rows, positions
from tests.helpers import batch_of, feature_set, spans_of

RAGGED = st.lists(st.lists(st.integers(0, 30_521), max_size=9), max_size=8)


def test_a_batch_has_exact_boundaries_positions_and_labels() -> None:
    features = feature_set([[2, 7, 3], [2, 3], [2, 9, 8, 3]], [[1, 1], [0, 0], [1, 2]])
    batch = features.batch(np.array([2, 0]))
    assert batch.token_ids.tolist() == [2, 9, 8, 3, 2, 7, 3]
    assert batch.position_ids.tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert batch.cu_seqlens.tolist() == [0, 4, 7]
    assert batch.lengths == (4, 3)
    assert batch.labels.tolist() == [[1, 2], [1, 1]]
    assert batch.feature_ids.tolist() == [2, 0]
    assert (batch.n_features, batch.n_tokens) == (2, 7)


def test_the_types_are_those_that_kernels_ask_for() -> None:
    batch = batch_of([[2, 7, 3]])
    assert batch.token_ids.dtype == batch.position_ids.dtype == batch.labels.dtype == torch.int64
    assert batch.cu_seqlens.dtype == torch.int32
    assert all(type(length) is int for length in batch.lengths)


def test_a_feature_may_come_twice_and_the_set_stays_as_it_is() -> None:
    features = feature_set([[2, 3], [2, 4, 3]])
    batch = features.batch(np.array([1, 1]))
    batch.token_ids[0] = 99
    batch.labels[0, 0] = 99
    assert batch.token_ids.tolist() == [99, 4, 3, 2, 4, 3]
    assert features.token_ids.tolist() == [2, 3, 2, 4, 3]
    assert features.labels.tolist() == [[0, 0], [0, 0]]


def test_nothing_packs_to_nothing() -> None:
    batch = feature_set([[2, 3]]).batch(np.zeros(0, dtype=np.int64))
    assert (batch.n_features, batch.n_tokens) == (0, 0)
    assert batch.cu_seqlens.tolist() == [0]
    assert batch.labels.shape == (0, 2)


def test_labels_may_have_any_number_of_columns() -> None:
    batch = feature_set([[2], [2, 3]], [[4], [5]]).batch(np.array([1, 0]))
    assert batch.labels.tolist() == [[5], [4]]


def test_a_batch_that_is_on_its_device_is_not_copied() -> None:
    batch = batch_of([[2, 3]])
    assert batch.to(torch.device("cpu")) is batch


def test_a_batch_moves_as_a_whole() -> None:
    moved = batch_of([[2, 3], [2, 4, 3]]).to(torch.device("meta"))
    tensors = (moved.token_ids, moved.position_ids, moved.cu_seqlens, moved.labels)
    assert [tensor.device.type for tensor in tensors] == ["meta"] * 4
    assert (moved.lengths, moved.feature_ids.tolist()) == ((2, 3), [0, 1])


@pytest.mark.parametrize(
    ("lengths", "boundaries", "within"),
    [
        ([], [0], []),
        ([1], [0, 1], [0]),
        ([2, 0, 3], [0, 2, 2, 5], [0, 1, 0, 1, 2]),
        ([0, 0], [0, 0, 0], []),
    ],
)
def test_boundaries_and_positions(lengths: list[int], boundaries: list[int], within: list[int]) -> None:
    assert cumulative_lengths(lengths).tolist() == boundaries
    assert positions(lengths).tolist() == within


@given(RAGGED, st.data())
def test_packing_then_unpacking_is_the_identity(sequences: list[list[int]], data: st.DataObject) -> None:
    last = len(sequences) - 1
    rows = data.draw(st.lists(st.integers(0, last), max_size=10) if sequences else st.just([]))
    batch = feature_set(sequences).batch(np.array(rows, dtype=np.int64))
    wanted = [sequences[row] for row in rows]
    assert [span.tolist() for span in spans_of(batch)] == wanted
    assert [part.tolist() for part in torch.split(batch.token_ids, list(batch.lengths))] == wanted
    assert batch.position_ids.tolist() == [i for sequence in wanted for i in range(len(sequence))]


@given(RAGGED, st.data())
def test_rows_are_gathered_as_a_loop_would(sequences: list[list[int]], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(sequences))))
    features = feature_set(sequences)
    gathered = gather_rows(features.token_ids, features.offsets, np.array(order, dtype=np.int64))
    assert gathered.tolist() == [token for row in order for token in sequences[row]]


def test_a_set_knows_its_size_and_lengths() -> None:
    features = feature_set([[2, 3], [2, 4, 3]])
    assert len(features) == 2
    assert features.lengths.tolist() == [2, 3]


@given(st.lists(st.integers(1, 400), max_size=40), st.integers(1, 5))
def test_dealing_gives_each_sequence_once_and_no_hand_much_more(lengths: list[int], n_hands: int) -> None:
    hands = deal(lengths, n_hands)
    assert sorted(index for hand in hands for index in hand.tolist()) == list(range(len(lengths)))
    assert len(hands) == min(n_hands, len(lengths))
    totals = [sum(lengths[index] for index in hand) for hand in hands]
    assert all(hand.tolist() == sorted(hand.tolist()) and len(hand) for hand in hands)
    if totals:
        assert max(totals) - min(totals) <= max(lengths)


@pytest.mark.parametrize("n_tokens", [9, 12])
def test_filling_up_adds_one_sequence_without_labels(n_tokens: int) -> None:
    batch = batch_of([[1, 2, 3, 4], [5, 6, 7, 8, 9]])
    filled = fill_up(batch, n_tokens, 5)
    assert filled.n_tokens == n_tokens
    assert filled.n_features == 2
    assert filled.lengths == (4, 5, n_tokens - 9)
    assert filled.cu_seqlens.tolist() == [0, 4, 9, n_tokens]
    assert filled.token_ids.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9] + [0] * (n_tokens - 9)
    assert filled.position_ids.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, *range(n_tokens - 9)]
    assert filled.max_length == 5
    assert filled.labels is batch.labels


@pytest.mark.parametrize("n_tokens", [8, 15])
def test_what_cannot_be_filled_up_is_refused(n_tokens: int) -> None:
    with pytest.raises(ValueError, match="cannot be filled up"):
        fill_up(batch_of([[1, 2, 3, 4], [5, 6, 7, 8, 9]]), n_tokens, 5)


@given(st.integers(1, 5_000), st.integers(1, 300))
def test_the_filled_size_is_the_next_multiple(n_tokens: int, step: int) -> None:
    size = filled_size(n_tokens, step)
    assert size % step == 0
    assert 0 <= size - n_tokens < step
