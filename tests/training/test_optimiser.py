from __future__ import annotations

import pytest
import torch
from torch import nn

from distiltune.training.optimiser import make_optimiser, set_learning_rate
from tests.helpers import tiny_qa_model


def two_layers() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 3))


def optimiser_of(model: nn.Module, weight_decay: float = 0.0) -> torch.optim.Optimizer:
    optimiser = make_optimiser(model, beta1=0.8, beta2=0.95, epsilon=1e-6, weight_decay=weight_decay)
    set_learning_rate(optimiser, 0.01)
    return optimiser


def give_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_without_decay_it_is_adam() -> None:
    ours, theirs = two_layers(), two_layers()
    pairs = [
        (ours, optimiser_of(ours)),
        (theirs, torch.optim.Adam(theirs.parameters(), lr=0.01, betas=(0.8, 0.95), eps=1e-6)),
    ]
    for step in range(30):
        for model, optimiser in pairs:
            give_gradients(model, step)
            optimiser.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


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
    held = [parameter for group in optimiser_of(model).param_groups for parameter in group["params"]]
    assert len(held) == len({id(each) for each in held}) == len(list(model.parameters())) - 1
    assert all(each is not frozen for each in held)


@pytest.mark.parametrize("bias", [True, False])
def test_a_model_of_one_kind_of_parameter(bias: bool) -> None:
    model = nn.Linear(2, 2, bias=bias)
    if bias:
        model.weight.requires_grad_(False)
    assert [len(group["params"]) for group in optimiser_of(model).param_groups] == [1]


def test_the_learning_rate_is_that_of_every_group_and_0_before_it_is_set() -> None:
    optimiser = make_optimiser(two_layers(), beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.1)
    assert [group["lr"] for group in optimiser.param_groups] == [0.0, 0.0]
    set_learning_rate(optimiser, 0.25)
    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.25]
