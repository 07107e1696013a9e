from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distiltune.model.dropout import draw_seeds, dropout, dropout_seed, keep_mask, keep_scale


def keep_factors(shape: tuple[int, ...], probability: float) -> Tensor:
    return keep_mask(shape, probability) * keep_scale(probability)


@pytest.mark.parametrize("probability", [0.05, 0.1, 0.5, 0.9])
def test_the_share_dropped_and_the_mean(probability: float) -> None:
    torch.manual_seed(0)
    n = 1_000_000
    factors = keep_factors((n,), probability)
    # Five standard deviations of the share of n draws.
    share = float((factors == 0).double().mean())
    assert share == pytest.approx(probability, abs=5 * (probability * (1 - probability) / n) ** 0.5)
    kept = factors[factors != 0]
    assert torch.equal(kept, torch.full_like(kept, float(kept[0])))
    assert float(kept[0]) == pytest.approx(1 / (1 - probability), rel=1e-3)
    assert float(factors.double().mean()) == pytest.approx(1, abs=0.02)


@given(st.floats(0, 0.999), st.lists(st.integers(0, 5), max_size=4))
def test_factors_have_the_shape_and_their_mean_is_one_exactly(probability: float, shape: list[int]) -> None:
    factors = keep_factors(tuple(shape), probability)
    assert tuple(factors.shape) == tuple(shape)
    assert factors.dtype == torch.float32
    kept = 1 - min(round(probability * 65_536), 65_535) / 65_536
    for value in set(factors.flatten().tolist()):
        assert value == 0 or value * kept == pytest.approx(1)


def test_neighbours_and_draws_are_independent() -> None:
    torch.manual_seed(0)
    first, second = (keep_factors((200_000,), 0.5).numpy() for _ in range(2))
    for a, b in ((first, second), (first[:-1], first[1:]), (first[:-4], first[4:])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.012


def test_seeds_repeat_and_draws_go_on() -> None:
    torch.manual_seed(7)
    first, second = keep_factors((50,), 0.5), keep_factors((50,), 0.5)
    torch.manual_seed(7)
    assert torch.equal(keep_factors((50,), 0.5), first)
    assert not torch.equal(first, second)
    torch.manual_seed(8)
    assert not torch.equal(keep_factors((50,), 0.5), first)


def test_a_kept_random_state_goes_on_as_it_would_have() -> None:
    torch.manual_seed(7)
    keep_factors((50,), 0.5)
    state = torch.get_rng_state()
    expected = keep_factors((50,), 0.5)
    torch.set_rng_state(state)
    assert torch.equal(keep_factors((50,), 0.5), expected)


@pytest.mark.parametrize(("probability", "training"), [(0.0, True), (0.5, False), (0.0, False)])
def test_the_identity_draws_nothing(probability: float, training: bool) -> None:
    values = torch.randn(5)
    state = torch.get_rng_state()
    assert dropout(values, probability, training) is values
    assert torch.equal(torch.get_rng_state(), state)


def test_values_are_dropped_or_scaled_and_gradients_likewise() -> None:
    values = torch.randn(4, 500, requires_grad=True)
    torch.manual_seed(3)
    out = dropout(values, 0.25, training=True)
    torch.manual_seed(3)
    factors = keep_factors((4, 500), 0.25)
    assert torch.equal(out.detach(), values.detach() * factors)
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    assert torch.equal(values.grad, factors)
    assert 0 < int((out == 0).sum()) < 2_000


def test_the_type_stays() -> None:
    assert dropout(torch.ones(8, dtype=torch.float64), 0.5, training=True).dtype == torch.float64
    assert dropout(torch.ones(8, dtype=torch.bfloat16), 0.5, training=True).dtype == torch.bfloat16


def test_a_thread_with_a_seed_of_its_own_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    with dropout_seed(5):
        first = [keep_mask((40,), 0.5) for _ in range(2)]
    with dropout_seed(5):
        again = [keep_mask((40,), 0.5) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(*first), "the stream goes on"


def test_seeds_come_from_the_global_generator() -> None:
    torch.manual_seed(1)
    seeds = draw_seeds(3)
    assert len(set(seeds)) == 3
    torch.manual_seed(1)
    assert draw_seeds(3) == seeds
