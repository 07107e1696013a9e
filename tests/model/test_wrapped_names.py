"""Weights that a training loop saved under names of its own are found, or the message shows what is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from distiltune.errors import ModelError
from distiltune.model.source import load_source
from distiltune.model.wrapped_names import without_wrapper
from tests.model.tiny_models import HEAD_RULES, save_tiny, tiny_model

Weights = dict[str, Tensor]


def before(prefix: str) -> Callable[[Weights], Weights]:
    return lambda tensors: {f"{prefix}{name}": tensor.clone() for name, tensor in tensors.items()}


def class_of_ones_own(prefix: str) -> Callable[[Weights], Weights]:
    """An encoder in a class that has a head of its own beside it."""
    return lambda tensors: {
        f"{prefix}encoder.{name.removeprefix('distilbert.')}" if "qa_outputs" not in name else f"{prefix}{name}": tensor
        for name, tensor in tensors.items()
    }


WRAPPED: dict[str, Callable[[Weights], Weights]] = {
    "module.": before("module."),
    "model.": before("model."),
    "model.module.": before("model.module."),
    "_orig_mod.": before("_orig_mod."),
    "encoder.": class_of_ones_own(""),
    "net.encoder.": class_of_ones_own("net."),
    "bert.": lambda tensors: {name.replace("distilbert.", "bert."): tensor for name, tensor in tensors.items()},
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "model", tiny_model())


def tensors_of(model: Path) -> Weights:
    return load_file(model / "model.safetensors")


@pytest.mark.parametrize("prefix", WRAPPED)
def test_names_of_something_around_the_model(model: Path, prefix: str) -> None:
    plain = load_source(str(model), HEAD_RULES)
    save_file(WRAPPED[prefix](tensors_of(model)), model / "model.safetensors")
    found = load_source(str(model), HEAD_RULES)
    assert found.missing == ()
    assert found.tensors.keys() == plain.tensors.keys()
    assert all(torch.equal(found.tensors[name], plain.tensors[name]) for name in plain.tensors)
    assert any(f"'{prefix}'" in note for note in found.notes)


def test_a_bert_too(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "bert", tiny_model(model_type="bert"))
    plain = load_source(str(model), HEAD_RULES)
    save_file(before("model.")(tensors_of(model)), model / "model.safetensors")
    found = load_source(str(model), HEAD_RULES)
    assert all(torch.equal(found.tensors[name], plain.tensors[name]) for name in plain.tensors)
    assert found.missing == ()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: {"state_dict": weights, "epoch": 3, "optimizer_states": [{}]},
        lambda weights: {"model_state_dict": weights, "optimizer_state_dict": {"step": torch.ones(3)}},
        lambda weights: {"model": weights, "ema": weights, "step": torch.tensor(3)},
        lambda weights: {"net": weights, "epoch": 3},
        lambda weights: {"state_dict": before("model.")(weights)},
    ],
)
def test_a_checkpoint_of_a_training_loop(model: Path, wrap: Callable[[Weights], dict[str, Any]]) -> None:
    plain = load_source(str(model), HEAD_RULES)
    torch.save(wrap(tensors_of(model)), model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()
    found = load_source(str(model), HEAD_RULES)
    assert found.missing == ()
    assert all(torch.equal(found.tensors[name], plain.tensors[name]) for name in plain.tensors)


@pytest.mark.parametrize("held", [{"ours": {"a": torch.ones(2)}, "theirs": {"a": torch.ones(2)}}, {"epoch": 3}, {}])
def test_a_checkpoint_that_does_not_say_which(model: Path, held: dict[str, Any]) -> None:
    torch.save(held, model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()
    with pytest.raises(ModelError) as caught:
        load_source(str(model))
    assert (", ".join(held) or "nothing") in caught.value.where


def test_several_encoders_are_named(model: Path) -> None:
    plain = tensors_of(model)
    save_file({**before("student.")(plain), **before("teacher.")(plain)}, model / "model.safetensors")
    with pytest.raises(ModelError, match=r"student\., teacher\."):
        load_source(str(model))


def test_a_whole_model_with_something_beside_it_is_that_model(model: Path) -> None:
    plain = tensors_of(model)
    tensors, prefix = without_wrapper({**plain, **before("teacher.")(plain)}, "")
    assert prefix == ""
    assert plain.keys() <= tensors.keys()


def test_names_that_are_none_of_these_are_shown(model: Path) -> None:
    save_file(
        {f"layers.{i}.weight": tensor for i, tensor in enumerate(tensors_of(model).values())},
        model / "model.safetensors",
    )
    with pytest.raises(ModelError) as caught:
        load_source(str(model))
    assert "layers.0.weight" in caught.value.where


def test_a_head_of_another_width_is_told_as_it_is(model: Path) -> None:
    tensors = tensors_of(model)
    tensors["qa_outputs.weight"], tensors["qa_outputs.bias"] = torch.ones(3, 16), torch.ones(3)
    save_file(tensors, model / "model.safetensors")
    with pytest.raises(ModelError, match=r"head has 3 outputs .* and this task needs 2") as caught:
        load_source(str(model), HEAD_RULES)
    assert "config.json makes" not in str(caught.value)
