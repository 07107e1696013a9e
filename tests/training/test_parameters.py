from __future__ import annotations

import pytest
import torch

from distiltune.errors import RecipeError
from distiltune.training.parameters import depth_of, freeze, rate_factors
from distiltune.training.vitals import frozen_share, still_parts
from tests.helpers import tiny_qa_model


@pytest.mark.parametrize(
    ("what", "still"),
    [
        ("", ()),
        ("embeddings", ("encoder.embeddings",)),
        ("1", ("encoder.embeddings", "encoder.layers.0")),
        ("2", ("encoder.embeddings", "encoder.layers.0", "encoder.layers.1")),
        ("encoder", ("encoder.embeddings", "encoder.layers.0", "encoder.layers.1")),
    ],
)
def test_what_is_frozen(what: str, still: tuple[str, ...]) -> None:
    model = tiny_qa_model()
    sentence = freeze(model, what)
    frozen = {name for name, each in model.named_parameters() if not each.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if name.startswith(still or "nothing")}
    assert still_parts(model) == still
    n_still = sum(each.numel() for name, each in model.named_parameters() if name in frozen)
    assert (f" {n_still:,} of " in sentence) == bool(what)
    assert frozen_share(model) == pytest.approx(n_still / sum(each.numel() for each in model.parameters()))


def test_more_layers_than_there_are() -> None:
    with pytest.raises(RecipeError, match="The first 3 layers are to be frozen, and the model has 2"):
        freeze(tiny_qa_model(), "3")


def test_depths_and_factors() -> None:
    assert [depth_of(f"encoder.{name}", 12) for name in ("embeddings.norm.bias", "layers.0.x", "layers.11.y.z")] == [
        *(0, 1, 12)
    ]
    assert depth_of("head.output.bias", 12) == 13
    model = tiny_qa_model()
    factors = rate_factors(model, 0.5)
    by_name = {name: factors[parameter] for name, parameter in model.named_parameters()}
    assert by_name["head.output.weight"] == 1.0
    assert by_name["encoder.layers.1.attention.qkv.weight"] == 0.5
    assert by_name["encoder.layers.0.attention.qkv.weight"] == 0.25
    assert by_name["encoder.embeddings.token.weight"] == 0.125
    assert len(by_name) == len(list(model.parameters()))
    quick = rate_factors(model, 0.5, 10.0)
    assert {quick[parameter] for name, parameter in model.named_parameters() if name.startswith("head.")} == {10.0}
    assert all(quick[parameter] == factors[parameter] for name, parameter in model.named_parameters() if name[0] == "e")
    assert all(isinstance(each, torch.nn.Parameter) for each in factors)
