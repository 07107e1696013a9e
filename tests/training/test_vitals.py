from __future__ import annotations

import pytest
import torch
from torch import nn

from distiltune.training.optimiser import Adam
from distiltune.training.vitals import part_name, take_vitals


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 4)
        self.head = nn.Linear(4, 2)


def step(model: Model, optimiser: Adam) -> dict[str, torch.Tensor]:
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    model.zero_grad()
    model.head(model.encoder(torch.randn(8, 4))).square().mean().backward()
    optimiser.step()
    return {name: value.detach() - before[name] for name, value in model.named_parameters()}


def test_the_update_ratio_is_that_of_the_step_that_was_made() -> None:
    torch.manual_seed(0)
    model = Model()
    optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    optimiser.learning_rate = 1e-3
    for _ in range(3):
        moved = step(model, optimiser)
    vitals = take_vitals(model, optimiser, 2)
    by_name = {part.name: part for part in vitals.parts}
    for part in ("encoder", "head"):
        update = torch.cat([value.flatten() for name, value in moved.items() if name.startswith(part)]).norm()
        weight = torch.cat(
            [value.flatten() for name, value in model.named_parameters() if name.startswith(part)]
        ).norm()
        assert by_name[part].update_ratio == pytest.approx(float(update / weight.detach()), rel=1e-3)
        assert by_name[part].gradient_norm > 0


def test_what_is_not_trained_has_no_update() -> None:
    model = Model()
    model.encoder.requires_grad_(False)
    optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    optimiser.learning_rate = 1e-3
    step(model, optimiser)
    by_name = {part.name: part for part in take_vitals(model, optimiser, 0).parts}
    assert by_name["encoder"].update_ratio == 0.0
    assert by_name["head"].update_ratio > 0.0


@pytest.mark.parametrize(
    ("parameter", "part"),
    [
        ("encoder.layers.3.attention.query.weight", "encoder.layers.3"),
        ("encoder.embeddings.words.weight", "encoder.embeddings"),
        ("head.output.bias", "head.output"),
        ("head.bias", "head"),
        ("weight", "weight"),
    ],
)
def test_the_parts_of_a_model(parameter: str, part: str) -> None:
    assert part_name(parameter) == part
