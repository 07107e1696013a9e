from __future__ import annotations

import pytest
import torch

from distiltune.errors import ModelError
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import Encoder
from distiltune.model.hf_keys import (
    KeyRule,
    encoder_rules,
    expected_shape,
    from_hf,
    missing_from_hf,
    to_hf,
    unexpected_in_hf,
)
from tests.model.tiny_models import HEAD_RULES, N_LAYERS, state, tiny_config, tiny_model

RULES = (*encoder_rules(N_LAYERS), *HEAD_RULES)


def test_every_name_of_the_reference_has_exactly_one_rule() -> None:
    theirs = [name for rule in RULES for name in rule.theirs]
    assert sorted(theirs) == sorted(state(tiny_model()))


def test_every_name_of_our_encoder_has_a_rule() -> None:
    config = EncoderConfig.from_hf(tiny_config().to_dict())
    ours = {f"encoder.{name}": tensor for name, tensor in Encoder(config).state_dict().items()}
    assert [rule.ours for rule in encoder_rules(N_LAYERS)] == list(ours)
    for rule in encoder_rules(N_LAYERS):
        first, *rest = expected_shape(rule, config)
        assert tuple(ours[rule.ours].shape) == (len(rule.theirs) * first, *rest)


def test_round_trip() -> None:
    theirs = state(tiny_model())
    back = to_hf(from_hf(theirs, RULES), RULES)
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[name], theirs[name]) for name in theirs)


def test_query_key_and_value_are_fused_in_that_order() -> None:
    theirs = state(tiny_model())
    fused = from_hf(theirs, RULES)["encoder.layers.1.attention.qkv.weight"]
    for i, name in enumerate(("q_lin", "k_lin", "v_lin")):
        part = theirs[f"distilbert.transformer.layer.1.attention.{name}.weight"]
        assert torch.equal(fused[16 * i : 16 * (i + 1)], part)


def test_the_prefix_may_be_absent_on_reading_and_is_written() -> None:
    bare = state(tiny_model("bare"))
    assert "embeddings.word_embeddings.weight" in bare
    encoder = encoder_rules(N_LAYERS)
    written = to_hf(from_hf(bare, encoder), encoder)
    assert set(written) == {f"distilbert.{name}" for name in bare}


def test_a_fused_tensor_that_lacks_a_part_is_left_out_and_missing() -> None:
    theirs = state(tiny_model())
    key = "distilbert.transformer.layer.0.attention.k_lin.bias"
    del theirs[key]
    assert missing_from_hf(theirs, RULES) == (key,)
    assert "encoder.layers.0.attention.qkv.bias" not in from_hf(theirs, RULES)


def test_unexpected_names_are_listed_in_order() -> None:
    theirs = {"vocab_transform.weight": torch.zeros(1), **state(tiny_model()), "x": torch.zeros(1)}
    assert unexpected_in_hf(theirs, RULES) == ("vocab_transform.weight", "x")


def test_a_layer_beyond_the_configuration_is_unexpected() -> None:
    theirs = state(tiny_model(n_layers=3))
    left = unexpected_in_hf(theirs, RULES)
    assert len(left) == 16
    assert all(name.startswith("distilbert.transformer.layer.2.") for name in left)


def test_writing_loses_nothing() -> None:
    with pytest.raises(ModelError, match=r"head\.output\.bias"):
        to_hf({"head.output.bias": torch.zeros(2)}, encoder_rules(1))


def test_shapes_may_be_unchecked() -> None:
    assert expected_shape(KeyRule("a", ("b",)), EncoderConfig()) == ()
