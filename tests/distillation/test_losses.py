"""The loss of a student: equal to plain definitions of it, and its gradient to theirs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from distiltune.data.packing import PackedBatch, fill_up
from distiltune.distillation.losses import EncoderLoss, _RelationLoss, padded_relation_loss
from distiltune.distillation.teacher import variances
from tests.helpers import random_features

FEATURES = random_features(6)
SIZE, WIDTH, HEADS = 8, 4, 2  # of the teacher, of the student, of the relations


def batch() -> PackedBatch:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(len(FEATURES.token_ids), 2 * SIZE)).astype(np.float16)
    return replace(FEATURES, targets=targets).batch(np.arange(6))


def literal_relations(ours: Tensor, theirs: Tensor, lengths: tuple[int, ...]) -> Tensor:
    """Token by token and head by head, as the paper writes it."""
    total, start = torch.zeros(()), 0
    for length in lengths:
        rows = slice(start, start + length)
        of_feature = torch.zeros(())
        for left, right in ((0, 1), (2, 2)):
            for head in range(HEADS):

                def relation(
                    flat: Tensor, rows: slice = rows, left: int = left, right: int = right, head: int = head
                ) -> Tensor:
                    width = flat.shape[1] // 3
                    size = width // HEADS
                    a = flat[rows, left * width + head * size : left * width + (head + 1) * size]
                    b = flat[rows, right * width + head * size : right * width + (head + 1) * size]
                    return (a @ b.T / math.sqrt(size)).softmax(-1)

                t, s = relation(theirs), relation(ours)
                of_feature = of_feature + (t * (t / s).log()).sum() / (length * HEADS * 2)
        total, start = total + of_feature, start + length
    return total


def test_relations_are_those_of_the_paper_both_ways_and_so_are_their_gradients() -> None:
    packed = batch()
    torch.manual_seed(0)
    theirs = torch.randn(packed.n_tokens, 3 * SIZE)
    ours = torch.randn(packed.n_tokens, 3 * WIDTH, requires_grad=True)
    expected = literal_relations(ours, theirs, packed.lengths)
    (by_hand,) = torch.autograd.grad(expected, ours)
    quick = _RelationLoss.apply(ours, theirs, packed.lengths, HEADS)  # type: ignore[no-untyped-call]
    for value in (quick, padded_relation_loss(ours, theirs, packed, HEADS)):
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
        (grad,) = torch.autograd.grad(value, ours, retain_graph=True)
        torch.testing.assert_close(grad, by_hand, rtol=1e-4, atol=1e-6)


def loss(hidden_weight: float = 1.0, relation_weight: float = 1.0) -> EncoderLoss:
    torch.manual_seed(1)
    projections = torch.randn(3 * SIZE, SIZE), torch.randn(3 * SIZE)
    return EncoderLoss(2, SIZE, torch.tensor([2.0, 4.0]), projections, HEADS, hidden_weight, relation_weight)


def test_a_student_that_says_what_the_teacher_says_has_no_loss() -> None:
    packed = batch()
    assert packed.targets is not None
    same = loss()
    states = packed.targets.float()
    qkv = states[:, :SIZE] @ same.query_key_value[0].T + same.query_key_value[1]
    sums = same(torch.cat([states, qkv], dim=1), packed)
    torch.testing.assert_close(sums.metrics, torch.zeros(3), rtol=0, atol=1e-5)


def test_hidden_states_count_as_shares_of_their_variance_feature_by_feature() -> None:
    packed = batch()
    assert packed.targets is not None
    torch.manual_seed(2)
    output = torch.randn(packed.n_tokens, 2 * SIZE + 3 * WIDTH)
    errors = (output[:, : 2 * SIZE] - packed.targets.float()).square()
    expected, start = 0.0, 0
    for length in packed.lengths:
        rows = errors[start : start + length]
        expected += float((rows[:, :SIZE].sum() / 2 + rows[:, SIZE:].sum() / 4) / 2 / length)
        start += length
    sums = loss(relation_weight=0.0)(output, packed)
    torch.testing.assert_close(sums.loss, torch.tensor(expected))
    assert sums.metrics.tolist() == pytest.approx([expected, expected, 0.0])


def test_the_parts_weigh_as_asked_and_filler_counts_nothing() -> None:
    packed = batch()
    torch.manual_seed(3)
    output = torch.randn(packed.n_tokens, 2 * SIZE + 3 * WIDTH)
    _, hidden, relations = loss()(output, packed).metrics.tolist()
    assert float(loss(2.0, 3.0)(output, packed).loss) == pytest.approx(2 * hidden + 3 * relations)

    longest = packed.max_length
    filled = fill_up(packed, packed.n_tokens + 3, longest)
    assert filled.targets is not None
    more = torch.cat([output, torch.randn(3, output.shape[1])])
    assert float(loss(relation_weight=0.0)(more, filled).loss) == pytest.approx(hidden)
    padded = padded_relation_loss(more[:, 2 * SIZE :], _qkv(filled), filled, HEADS)
    assert float(padded) == pytest.approx(relations, rel=1e-4)


def _qkv(packed: PackedBatch) -> Tensor:
    assert packed.targets is not None
    weight, bias = loss().query_key_value
    return packed.targets.float()[:, :SIZE] @ weight.T + bias


def test_variances_are_of_each_block_of_columns() -> None:
    rng = np.random.default_rng(0)
    states = (rng.normal(size=(5_000, 6)) * [1, 1, 1, 2, 2, 2] + 7).astype(np.float16)
    assert variances(states, 5_000, 3).tolist() == pytest.approx([3, 12], rel=0.1)
    assert variances(states[:3], 3, 6).shape == (1,)
