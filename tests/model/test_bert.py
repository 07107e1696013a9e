from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distiltune.data.packing import PackedBatch
from distiltune.errors import ModelError
from distiltune.model.bert import fold_bert
from distiltune.model.encoder import Encoder
from distiltune.model.source import load_source
from tests.model.tiny_models import (
    HEAD_RULES,
    change_config,
    save_tiny,
    state,
    tiny_config,
    tiny_model,
)

LENGTHS = (9, 17, 1)


def packed(token_ids: torch.Tensor, lengths: tuple[int, ...]) -> PackedBatch:
    """Sequences laid end to end, without labels."""
    return PackedBatch(
        token_ids=token_ids,
        position_ids=torch.cat([torch.arange(length) for length in lengths]),
        cu_seqlens=torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32),
        lengths=lengths,
        max_length=max(lengths),
        labels=torch.zeros(len(lengths), 2, dtype=torch.int64),
        feature_ids=np.arange(len(lengths)),
    )


@torch.no_grad()
def reference_hidden(model: Any, token_ids: torch.Tensor, lengths: tuple[int, ...]) -> torch.Tensor:
    """What a transformers model gives for each sequence alone, end to end: (total_tokens, hidden)."""
    return torch.cat([model(row[None]).last_hidden_state[0] for row in torch.split(token_ids, list(lengths))])


@pytest.mark.parametrize("model_type", ["bert", "distilbert"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_hidden_states_equal_the_reference(tmp_path: Path, model_type: str, activation: str) -> None:
    name = {"bert": "hidden_act", "distilbert": "activation"}[model_type]
    model = tiny_model("bare", model_type, **{name: activation})
    source = load_source(str(save_tiny(tmp_path, model)))
    encoder = Encoder(source.config).eval()
    encoder.load_state_dict({key.removeprefix("encoder."): tensor for key, tensor in source.tensors.items()})
    token_ids = torch.randint(0, 100, (sum(LENGTHS),), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        found = encoder(packed(token_ids, LENGTHS))
    expected = reference_hidden(model, token_ids, LENGTHS)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_folded_weights_fit_the_reference_distilbert() -> None:
    bert = tiny_model("bare", "bert")
    config, tensors, _ = fold_bert(tiny_config("bert").to_dict(), state(bert))
    changes: dict[str, Any] = {name: value for name, value in config.items() if name != "model_type"}
    distilbert = tiny_model("bare", **changes)
    distilbert.load_state_dict({name.removeprefix("distilbert."): t for name, t in tensors.items()})
    token_ids = torch.randint(0, 100, (20,), generator=torch.Generator().manual_seed(3))
    found, expected = (reference_hidden(model, token_ids, (20,)) for model in (distilbert, bert))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_head_stays_the_pooler_goes_and_the_notes_say_so(tmp_path: Path) -> None:
    model = tiny_model("question answering", "bert")
    theirs = {**state(model), "bert.pooler.dense.weight": torch.zeros(16, 16)}
    config, tensors, notes = fold_bert(model.config.to_dict(), theirs)
    assert torch.equal(tensors["qa_outputs.weight"], theirs["qa_outputs.weight"])
    assert not any("pooler" in name or "token_type" in name for name in tensors)
    assert config["model_type"] == "distilbert"
    assert any("pooler" in note for note in notes)
    assert any("token-type" in note for note in notes)
    source = load_source(str(save_tiny(tmp_path, model)), HEAD_RULES)
    assert source.missing == ()
    assert source.unexpected == ()
    assert source.notes == notes[:1]


def test_names_may_lack_the_prefix() -> None:
    bert = tiny_model("bare", "bert")
    bare = state(bert)
    prefixed = {f"bert.{name}": tensor for name, tensor in bare.items()}
    config = bert.config.to_dict()
    first, second = fold_bert(config, bare)[1], fold_bert(config, prefixed)[1]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_input_is_left_alone() -> None:
    bert = tiny_model("bare", "bert")
    config, tensors = bert.config.to_dict(), state(bert)
    before = state(bert)
    fold_bert(config, tensors)
    assert all(torch.equal(tensors[name], before[name]) for name in before)
    assert config == bert.config.to_dict()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_act", "gelu_new"),
        ("position_embedding_type", "relative_key"),
        ("layer_norm_eps", 1e-5),
        ("is_decoder", True),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, name: str, value: object) -> None:
    save_tiny(tmp_path, tiny_model("bare", "bert"))
    change_config(tmp_path, **{name: value})
    with pytest.raises(ModelError, match=name):
        load_source(str(tmp_path))


@pytest.mark.parametrize("shape", [(2, 15), (0, 16), (16,), None])
def test_token_types_must_fit(shape: tuple[int, ...] | None) -> None:
    bert = tiny_model("bare", "bert")
    tensors = state(bert)
    key = "embeddings.token_type_embeddings.weight"
    if shape is None:
        del tensors[key]
    else:
        tensors[key] = torch.zeros(shape)
    with pytest.raises(ModelError, match="token-type"):
        fold_bert(bert.config.to_dict(), tensors)
