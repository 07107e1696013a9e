from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distiltune.model.build import Dropouts, HeadDropout, LoadedModel, load_model, with_dropouts
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import Encoder
from distiltune.model.source import load_source
from distiltune.tasks.question_answering.head import SpanHead
from tests.helpers import bytes_of_tensors
from tests.model.tiny_models import HEAD_RULES, change_config, save_tiny, tiny_model

CPU = torch.device("cpu")


def load(directory: Path | str, dropouts: Dropouts = Dropouts(), seed: int = 0) -> LoadedModel:  # noqa: B008 (frozen)
    torch.manual_seed(seed)
    return load_model(str(directory), HEAD_RULES, SpanHead, CPU, dropouts, HeadDropout("qa_dropout", 0.1))


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "whole", tiny_model())


@pytest.fixture
def headless(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "headless", tiny_model("bare"))


def test_every_weight_of_a_whole_model_is_loaded(whole: Path) -> None:
    loaded = load(whole)
    state, tensors = loaded.model.state_dict(), load_source(str(whole), HEAD_RULES).tensors
    assert state.keys() == tensors.keys()
    assert all(torch.equal(state[name], tensors[name]) for name in state)
    assert loaded.tokenizer.token_to_id("[CLS]") == 2


def test_only_the_head_of_a_bare_model_is_random_and_the_seed_says_how(headless: Path) -> None:
    first, same, other = load(headless), load(headless), load(headless, seed=1)
    assert first.source.missing == ("head.output.weight", "head.output.bias")
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, same.model.state_dict()[name])
        assert torch.equal(value, other.model.state_dict()[name]) == (name != "head.output.weight")
    head = first.model.state_dict()["head.output.weight"]
    assert float(head.abs().max()) < 5 * first.source.config.initializer_range
    assert float(head.std()) > 0.5 * first.source.config.initializer_range
    assert not first.model.state_dict()["head.output.bias"].any()


@pytest.mark.parametrize("name", ["starter-qa", "whole", "headless"])
def test_a_loaded_model_has_its_weights_once(name: str, request: pytest.FixtureRequest) -> None:
    directory = name if name == "starter-qa" else request.getfixturevalue(name)
    before = bytes_of_tensors()
    loaded = load(directory)
    n_bytes = sum(tensor.nbytes for tensor in loaded.model.state_dict().values())
    assert bytes_of_tensors() - before == n_bytes
    assert loaded.source.tensors == {}
    assert not loaded.source.is_untrained


def dropouts_in(loaded: LoadedModel) -> set[tuple[str, float]]:
    """Every dropout that some part of the model has, by the part's name without numbers."""
    return {
        (".".join(part for part in name.split(".") if not part.isdigit()), module.dropout)
        for name, module in loaded.model.named_modules()
        if hasattr(module, "dropout")
    }


def test_dropout_is_that_of_the_config_unless_said_otherwise(whole: Path) -> None:
    change_config(whole, dropout=0.2, attention_dropout=0.3, qa_dropout=0.4)
    assert dropouts_in(load(whole)) == {
        ("encoder.embeddings", 0.2),
        ("encoder.layers.feed_forward", 0.2),
        ("encoder.layers.attention", 0.3),
        ("head", 0.4),
    }
    loaded = load(whole, Dropouts(0.0, 0.05, 0.15))
    assert dropouts_in(loaded) == {
        ("encoder.embeddings", 0.0),
        ("encoder.layers.feed_forward", 0.0),
        ("encoder.layers.attention", 0.05),
        ("head", 0.15),
    }
    assert (loaded.source.config.dropout, loaded.source.config.attention_dropout) == (0.0, 0.05)


@pytest.mark.parametrize("written", [None, "a word"])
def test_a_config_that_says_nothing_of_the_heads_dropout(whole: Path, written: object) -> None:
    change_config(whole, qa_dropout=written)
    assert ("head", 0.1) in dropouts_in(load(whole))


def test_replaced_dropouts_leave_the_rest_of_the_shape() -> None:
    config = EncoderConfig(hidden_size=24, n_heads=2)
    changed = with_dropouts(config, Dropouts(hidden=0.5))
    assert (changed.dropout, changed.attention_dropout, changed.hidden_size) == (0.5, 0.1, 24)
    assert with_dropouts(config, Dropouts()) == config


def test_the_model_is_on_the_device_asked_for(whole: Path) -> None:
    model = load_model(str(whole), HEAD_RULES, SpanHead, torch.device("meta")).model
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert isinstance(model.encoder, Encoder)
