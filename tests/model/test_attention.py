from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from distiltune.data.packing import cumulative_lengths
from distiltune.model.attention import packed_attention, padded_attention
from tests.gpu_in_thought import GPU, recording

LENGTHS = (5, 1, 8)
N_HEADS, HIDDEN = 3, 12


def projections(lengths: tuple[int, ...] = LENGTHS, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(sum(lengths), 3 * HIDDEN, dtype=dtype, generator=generator)


def attend(flat: Tensor, lengths: tuple[int, ...] = LENGTHS, dropout: float = 0.0) -> Tensor:
    boundaries = torch.from_numpy(cumulative_lengths(lengths))
    return packed_attention(flat, boundaries, lengths, max(lengths), N_HEADS, dropout)


def plain_attention(flat: Tensor, lengths: tuple[int, ...] = LENGTHS) -> Tensor:
    """Attention as its formula reads: head by head, query by query."""
    size = HIDDEN // N_HEADS
    rows = []
    for sequence in torch.split(flat, list(lengths)):
        queries, keys, values = torch.split(sequence, HIDDEN, dim=1)
        for query in queries:
            heads = []
            for head in range(N_HEADS):
                part = slice(head * size, (head + 1) * size)
                scores = keys[:, part] @ query[part] / math.sqrt(size)
                weights = torch.exp(scores) / torch.exp(scores).sum()
                heads.append(weights @ values[:, part])
            rows.append(torch.cat(heads))
    return torch.stack(rows)


def test_inference_is_the_formula() -> None:
    torch.testing.assert_close(attend(projections()), plain_attention(projections()), rtol=1e-12, atol=1e-12)


def test_inference_in_bfloat16_is_the_formula_to_its_digits() -> None:
    exact = plain_attention(projections().bfloat16().double())
    rounded = attend(projections().bfloat16())
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.double(), exact, rtol=0.0, atol=0.02)
    assert not torch.equal(rounded.double(), exact)


def test_training_is_the_formula_and_so_is_its_gradient() -> None:
    flat, plain = projections().requires_grad_(), projections().requires_grad_()
    factors = torch.randn(sum(LENGTHS), HIDDEN, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours, expected = attend(flat), plain_attention(plain)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    (ours * factors).sum().backward()  # type: ignore[no-untyped-call]
    (expected * factors).sum().backward()  # type: ignore[no-untyped-call]
    assert flat.grad is not None
    assert plain.grad is not None
    torch.testing.assert_close(flat.grad, plain.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("max_length", [8, 11])
def test_the_padded_way_is_the_formula_and_so_is_its_gradient(max_length: int) -> None:
    flat, plain = projections().requires_grad_(), projections().requires_grad_()
    boundaries = torch.from_numpy(cumulative_lengths((*LENGTHS, 0)))  # filler of no tokens
    ours, expected = padded_attention(flat, boundaries, max_length, N_HEADS, 0.0), plain_attention(plain)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    (ours**2).sum().backward()  # type: ignore[no-untyped-call]
    (expected**2).sum().backward()  # type: ignore[no-untyped-call]
    assert flat.grad is not None
    assert plain.grad is not None
    torch.testing.assert_close(flat.grad, plain.grad, rtol=1e-10, atol=1e-12)


def test_training_and_inference_agree_in_float32() -> None:
    flat = projections(dtype=torch.float32)
    trained = attend(flat.clone().requires_grad_()).detach()
    torch.testing.assert_close(attend(flat), trained, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_gradient_is_that_of_finite_differences(dropout: float) -> None:
    def with_one_mask(flat: Tensor) -> Tensor:
        torch.manual_seed(5)
        return attend(flat, (3, 1, 2), dropout)

    flat = projections((3, 1, 2)).requires_grad_()
    assert torch.autograd.gradcheck(with_one_mask, (flat,))


def test_dropped_weights_are_scaled_up_so_that_the_mean_stays() -> None:
    n = 400
    flat = projections((n,))
    flat[:, : 2 * HIDDEN] = 0.0  # every query's weights are 1/n, each with a mask of its own
    torch.manual_seed(0)
    out = attend(flat.clone().requires_grad_(), (n,), 0.5).detach()
    expected = flat[:, 2 * HIDDEN :].mean(dim=0)
    assert float((out - expected).std()) == pytest.approx(1 / n**0.5, rel=0.1)
    torch.testing.assert_close(out.mean(dim=0), expected, rtol=0, atol=5 / n)


def test_dropout_drops_whole_weights() -> None:
    """With all values 1, an output is the sum of a query's kept weights times 1 / (1 - p)."""
    flat = projections((4,))
    flat[:, 2 * HIDDEN :] = 1.0
    flat[:, : 2 * HIDDEN] = 0.0  # all weights are 1/4
    torch.manual_seed(0)
    out = attend(flat.requires_grad_(), (4,), 0.5).detach()
    n_kept = out / (2 / 4)
    torch.testing.assert_close(n_kept, n_kept.round(), rtol=0, atol=1e-6)
    assert out.std() > 0.1
    by_head = out.view(4, N_HEADS, -1)
    assert torch.equal(by_head, by_head[:, :, :1].expand_as(by_head)), "one mask for all of a head's columns"
    assert not torch.equal(by_head[:, 0], by_head[:, 1]), "each head has its own"


def test_the_seed_decides_what_is_dropped() -> None:
    flat = projections().requires_grad_()
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(attend(flat, dropout=0.4).detach())
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])


@pytest.mark.parametrize("training", [False, True])
def test_no_token_sees_another_sequence(training: bool) -> None:
    flat = projections()
    changed = flat.clone()
    changed[5] = 1e3  # the whole of the second sequence
    before, after = (attend(each.requires_grad_(training)).detach() for each in (flat, changed))
    assert torch.equal(before[:5], after[:5])
    assert torch.equal(before[6:], after[6:])
    # A sequence of one token is that token's value.
    torch.testing.assert_close(after[5], changed.detach()[5, 2 * HIDDEN :])


def test_large_scores_do_not_overflow() -> None:
    flat = (projections(dtype=torch.float32) * 100).requires_grad_()
    out = attend(flat)
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert flat.grad is not None
    assert bool(torch.isfinite(out).all())
    assert bool(torch.isfinite(flat.grad).all())


def test_the_input_stays_as_it_is() -> None:
    flat = projections()
    trained: Any = flat.clone().requires_grad_()
    attend(trained, dropout=0.2).sum().backward()  # type: ignore[no-untyped-call]
    attend(flat)
    assert torch.equal(flat, projections())
    assert torch.equal(trained.detach(), projections())


@pytest.mark.parametrize(("head_size", "is_flash"), [(8, True), (64, True), (4, False), (20, False), (264, False)])
def test_heads_that_flash_attention_has_no_kernels_for_take_the_plain_way(head_size: int, is_flash: bool) -> None:
    with GPU:
        flat = torch.empty(sum(LENGTHS), 3 * N_HEADS * head_size, dtype=torch.bfloat16)
        boundaries = torch.empty(len(LENGTHS) + 1, dtype=torch.int32)
    with recording() as operations:
        mixed = packed_attention(flat, boundaries, LENGTHS, max(LENGTHS), N_HEADS, 0.1)
    assert mixed.shape == (sum(LENGTHS), N_HEADS * head_size)
    assert ("_varlen_attn" in operations.names) == is_flash
    assert not {"native_dropout", "bernoulli_"} & operations.names, "in this precision no attention weight is dropped"
