"""BERT checkpoints of DistilBERT's shape: the same network once the token-type embedding is folded away.

BERT (Devlin et al. 2019) adds an embedding of token type 0 or 1 to those of token and position; DistilBERT
(Sanh et al. 2019) has none. With type 0 for every token, which is all that DistilBERT can say, that
embedding is a constant and can be added to every position's embedding beforehand. The rest differs in names
only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from torch import Tensor

from distiltune.errors import ModelError
from distiltune.model.hf_keys import HF_PREFIX

_TYPES = "embeddings.token_type_embeddings.weight"
_POSITIONS = "embeddings.position_embeddings.weight"

_CONFIG_NAMES: Final = {  # BERT's name → DistilBERT's
    "vocab_size": "vocab_size",
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "max_position_embeddings": "max_position_embeddings",
    "hidden_act": "activation",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "initializer_range": "initializer_range",
    "pad_token_id": "pad_token_id",
}
# The one size in which the published BERT and DistilBERT differ, for a configuration that does not state it.
_BERT_DEFAULTS: Final = {"num_hidden_layers": 12}
_KEPT_CONFIG: Final = ("id2label", "label2id", "problem_type")

_FITTING: Final[dict[str, tuple[object, ...]]] = {  # name → values that fit, first BERT's default
    "hidden_act": ("gelu", "relu"),
    "position_embedding_type": ("absolute",),
    "layer_norm_eps": (1e-12,),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
}

_IN_LAYER: Final = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
_LAYER_NAME: Final = re.compile(r"encoder\.layer\.(?P<n>\d+)\.(?P<part>.+)\.(?P<what>weight|bias)")


def fold_bert(
    config: Mapping[str, object], tensors: Mapping[str, Tensor]
) -> tuple[dict[str, object], dict[str, Tensor], tuple[str, ...]]:
    """A BERT configuration and its float32 tensors as DistilBERT's, and notes for the user on what was done.

    Names may have the prefix ``bert.`` or not. The pooler is dropped; heads keep their names.

    Raises:
        ModelError: if the configuration asks for something that DistilBERT cannot do, or the embeddings to be
            folded are missing or do not fit each other.

    """
    _check_fits(config)
    bare = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}
    notes = [
        "BERT checkpoint: its token-type embedding 0 is folded into the position embeddings. Token type 1, "
        "which BERT gives the second of two texts, is lost: a head trained with it needs fine-tuning again."
    ]
    folded: dict[str, Tensor] = {}
    for name, tensor in bare.items():
        if name == _POSITIONS:
            folded[HF_PREFIX + name] = tensor + _token_type_0(bare, tensor)
        elif name != _TYPES and not name.startswith("pooler."):
            folded[_distilbert_name(name)] = tensor
    if any(name.startswith("pooler.") for name in bare):
        notes.append("BERT checkpoint: its pooler is dropped, since DistilBERT has none.")
    return _distilbert_config(config), folded, tuple(notes)


def _check_fits(config: Mapping[str, object]) -> None:
    for name, fitting in _FITTING.items():
        value = config.get(name, fitting[0])
        if value not in fitting:
            raise ModelError(
                f"This BERT has {name} = {value!r}, which DistilBERT's form cannot hold.",
                where=f"config.json: {name}",
                fix=f"use a model with {' or '.join(repr(value) for value in fitting)}.",
            )


def _token_type_0(bare: Mapping[str, Tensor], positions: Tensor) -> Tensor:
    """The embedding of token type 0, ``(hidden,)``; it must fit ``positions (n_positions, hidden)``."""
    types = bare.get(_TYPES)
    if types is None:
        raise ModelError(
            "The BERT weights have no token-type embeddings.",
            where=f"bert.{_TYPES}",
            fix="fetch or save the whole model again",
        )
    if types.ndim != 2 or positions.ndim != 2 or types.shape[0] < 1 or types.shape[1] != positions.shape[1]:
        raise ModelError(
            "The token-type and position embeddings do not fit each other.",
            where=f"bert.{_TYPES} {tuple(types.shape)}, bert.{_POSITIONS} {tuple(positions.shape)}",
            fix="fetch or save the whole model again",
        )
    return types[0]


def _distilbert_name(bare_name: str) -> str:
    """DistilBERT's name of a BERT tensor without prefix; heads and whatever else keep theirs."""
    if bare_name.startswith("embeddings."):
        return HF_PREFIX + bare_name
    match = _LAYER_NAME.fullmatch(bare_name)
    part = _IN_LAYER.get(match["part"]) if match else None
    if match is None or part is None:
        return bare_name
    return f"{HF_PREFIX}transformer.layer.{match['n']}.{part}.{match['what']}"


def _distilbert_config(config: Mapping[str, object]) -> dict[str, object]:
    given = {**_BERT_DEFAULTS, **config}
    sizes = {theirs: given[name] for name, theirs in _CONFIG_NAMES.items() if name in given}
    kept = {name: config[name] for name in _KEPT_CONFIG if name in config}
    return {"model_type": "distilbert", "sinusoidal_pos_embds": False, **sizes, **kept}
