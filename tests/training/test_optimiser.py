from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from distiltune.training.optimiser import Adam
from distiltune.training.parameters import rate_factors
from tests.helpers import tiny_qa_model


def two_layers() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 3))


def optimiser_of(model: nn.Module, weight_decay: float = 0.0) -> Adam:
    optimiser = Adam(model, beta1=0.8, beta2=0.95, epsilon=1e-6, weight_decay=weight_decay)
    optimiser.learning_rate = 0.01
    return optimiser


def give_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_the_steps_are_those_of_pytorchs_own_bit_for_bit(weight_decay: float) -> None:
    ours, theirs = two_layers(), two_layers()
    optimiser = optimiser_of(ours, weight_decay)
    groups = [
        {"params": [each for each in theirs.parameters() if each.ndim > 1], "weight_decay": weight_decay},
        {"params": [each for each in theirs.parameters() if each.ndim == 1], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, lr=0.0, betas=(0.8, 0.95), eps=1e-6, fused=True)
    for step in range(30):
        for model in (ours, theirs):
            give_gradients(model, step)
            if step % 7 == 3:
                next(model.parameters()).grad = None  # its moments and its count stay as they are
        optimiser.learning_rate = 0.01 * (1 - step / 30)
        for group in reference.param_groups:
            group["lr"] = optimiser.learning_rate
        optimiser.step()
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)
    states = reference.state_dict()["state"]
    expected = {f"{number}.{name}": value for number, values in states.items() for name, value in values.items()}
    assert expected.keys() == optimiser.tensors().keys()
    assert all(torch.equal(value, expected[name]) for name, value in optimiser.tensors().items())


def test_without_decay_it_is_adam() -> None:
    ours, theirs = two_layers(), two_layers()
    optimiser = optimiser_of(ours)
    reference = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=(0.8, 0.95), eps=1e-6)
    for step in range(30):
        for model in (ours, theirs):
            give_gradients(model, step)
        optimiser.step()
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", ["bool", "tensor"])
def test_a_step_that_is_not_admitted_changes_nothing(how: str) -> None:
    model = two_layers()
    optimiser = optimiser_of(model, weight_decay=0.1)
    give_gradients(model, 0)
    optimiser.step()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    remembered = {name: value.clone() for name, value in optimiser.tensors().items()}
    optimiser.step(False if how == "bool" else torch.tensor(False))
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(value, remembered[name]) for name, value in optimiser.tensors().items())
    optimiser.step(True if how == "bool" else torch.tensor(True))
    assert {float(moments.step) for moments in optimiser.moments.values()} == {2.0}


def test_what_it_remembers_is_put_back() -> None:
    model, other = two_layers(), two_layers()
    one, two = optimiser_of(model), optimiser_of(other)
    give_gradients(model, 0)
    one.step()
    other.load_state_dict(model.state_dict())
    two.restore(one.tensors())
    for each, optimiser in ((model, one), (other, two)):
        give_gradients(each, 1)
        optimiser.step()  # the first must not change what the second remembers
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda tensors: tensors.update({"0.exp_avg": torch.zeros(4, 4)}), "parameter 0 has the shape"),
        (lambda tensors: tensors.update({"1.step": torch.zeros(1)}), "parameter 1 has the shape"),
        (lambda tensors: tensors.update({"6.step": torch.zeros(())}), "no parameter 6"),
        (lambda tensors: tensors.pop("2.step"), "2.step"),
    ],
)
def test_what_does_not_fit_is_refused(change: Callable[[dict[str, torch.Tensor]], object], error: str) -> None:
    model = two_layers()
    optimiser = optimiser_of(model)
    give_gradients(model, 0)
    optimiser.step()
    tensors = optimiser.tensors()
    change(tensors)
    with pytest.raises((ValueError, KeyError), match=error):
        optimiser_of(model).restore(tensors)


def test_the_first_step_is_corrected_for_bias() -> None:
    """By hand: m = 0.2 g / (1 - 0.8), v = 0.05 g² / (1 - 0.95), so the step is lr g / (|g| + ε)."""
    layer = nn.Linear(1, 1, bias=False)
    before = float(layer.weight.detach())
    layer.weight.grad = torch.tensor([[1e-6]])
    optimiser_of(layer).step()
    assert float(layer.weight.detach()) == pytest.approx(before - 0.01 * 0.5, abs=1e-6)


def test_weight_decay_spares_biases_and_norms() -> None:
    model = tiny_qa_model()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimiser = optimiser_of(model, weight_decay=0.1)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, parameter in model.named_parameters():
        spared = name.endswith("bias") or "norm" in name
        factor = 1.0 if spared else 1.0 - 0.01 * 0.1  # decoupled: by the learning rate times the decay
        torch.testing.assert_close(parameter.detach(), before[name] * factor, rtol=1e-6, atol=0)


def test_every_trainable_parameter_is_in_it_once() -> None:
    model = two_layers()
    frozen = next(model.parameters())
    frozen.requires_grad_(False)
    held = optimiser_of(model).parameters
    assert len(held) == len({id(each) for each in held}) == len(list(model.parameters())) - 1
    assert all(each is not frozen for each in held)


@pytest.mark.parametrize("bias", [True, False])
def test_a_model_of_one_kind_of_parameter(bias: bool) -> None:
    model = nn.Linear(2, 2, bias=bias)
    if bias:
        model.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    give_gradients(model, 0)
    model.weight.grad = None if bias else model.weight.grad
    optimiser_of(model).step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"bias" if bias else "weight"}


def test_nothing_moves_before_a_learning_rate_is_set() -> None:
    model = two_layers()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    give_gradients(model, 0)
    Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.1).step()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_layers_have_rates_of_their_own() -> None:
    """By hand, as one optimiser a layer: the rate falls from the head downwards, and nothing else changes."""
    model, alike = tiny_qa_model(), tiny_qa_model()
    optimiser = Adam(
        model, beta1=0.8, beta2=0.95, epsilon=1e-6, weight_decay=0.1, rate_factors=rate_factors(model, 0.5)
    )
    parts = {"head.": 1.0, "encoder.layers.1.": 0.5, "encoder.layers.0.": 0.25, "encoder.embeddings.": 0.125}
    plain = {name: optimiser_of(alike, weight_decay=0.1) for name in parts}
    for step in range(5):
        give_gradients(model, step)
        optimiser.learning_rate = 0.01 * (step + 1)
        optimiser.step()
        named = dict(alike.named_parameters())
        for part, factor in parts.items():
            give_gradients(alike, step)
            for name, parameter in named.items():
                if not name.startswith(part):
                    parameter.grad = None
            plain[part].learning_rate = optimiser.learning_rate * factor
            plain[part].step()
    for (name, ours), theirs in zip(model.named_parameters(), alike.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
        assert optimiser.rate_of(ours) == next(f for part, f in parts.items() if name.startswith(part)) * 0.05


def test_with_one_rate_for_all_the_optimiser_is_the_usual_one() -> None:
    model = tiny_qa_model()
    usual = optimiser_of(model)
    same = Adam(model, beta1=0.8, beta2=0.95, epsilon=1e-6, weight_decay=0.0, rate_factors=rate_factors(model, 1.0))
    assert [id(each) for each in same.parameters] == [id(each) for each in usual.parameters]
