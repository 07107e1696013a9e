from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import DistilBertConfig

from distiltune.errors import ModelError
from distiltune.model.config import MAX_SIZES, EncoderConfig

# The largest of them has 1.9 thousand million parameters, and 2 are allowed.
CONFIGS = st.builds(
    EncoderConfig,
    vocab_size=st.integers(1, 200_000),
    hidden_size=st.integers(1, 100).map(lambda n: 12 * n),
    n_layers=st.integers(1, 200),
    n_heads=st.sampled_from([1, 2, 3, 12]),
    intermediate_size=st.integers(1, 1000),
    max_position_embeddings=st.integers(1, 5000),
    activation=st.sampled_from(["gelu", "relu"]),
    dropout=st.floats(0, 0.99),
    attention_dropout=st.floats(0, 0.99),
    sinusoidal_position_embeddings=st.booleans(),
)


@given(CONFIGS)
def test_round_trip(config: EncoderConfig) -> None:
    assert EncoderConfig.from_hf(config.to_hf()) == config


def test_the_names_are_those_of_transformers() -> None:
    theirs = DistilBertConfig().to_dict()
    for name, value in EncoderConfig().to_hf().items():
        assert theirs[name] == value, name


def test_what_is_absent_takes_the_published_values() -> None:
    assert EncoderConfig.from_hf({}) == EncoderConfig()
    assert EncoderConfig().head_size == 64


@pytest.mark.parametrize("name", MAX_SIZES)
@pytest.mark.parametrize("value", [0, -1, 2.0, "8", None, True, 10**9])
def test_sizes_that_are_nonsense_are_refused(name: str, value: object) -> None:
    with pytest.raises(ModelError, match=f"{name} is ") as caught:
        EncoderConfig.from_hf({name: value})
    assert repr(value) in str(caught.value)
    assert name in caught.value.where


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"dim": 30, "n_heads": 4}, "30 is not divisible by 4"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"attention_dropout": -0.1}, "attention_dropout is -0.1"),
        ({"dropout": "0.1"}, "dropout is '0.1'"),
        ({"dropout": True}, "dropout is True"),
        ({"activation": "silu"}, "'silu'"),
        ({"activation": ["gelu"]}, "gelu"),
        ({"initializer_range": {}}, "initializer_range"),
    ],
)
def test_other_nonsense_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        EncoderConfig.from_hf(config)


def test_numbers_may_be_null() -> None:
    assert EncoderConfig.from_hf({"dropout": None, "pad_token_id": None}) == EncoderConfig()
