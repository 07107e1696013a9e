"""Hugging Face's names of DistilBERT's tensors and ours: one ordered table, read in both directions.

Three of theirs become one of ours where query, key and value are fused: concatenated along dimension 0 on
reading, split on writing. The names are those of ``transformers/models/distilbert/modeling_distilbert.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from distiltune.errors import ModelError
from distiltune.model.config import EncoderConfig

HF_PREFIX = "distilbert."
"""What stands before the encoder's names in a model with a head; a bare encoder may be saved without it."""

SizeName = Literal["vocab_size", "hidden_size", "intermediate_size", "max_position_embeddings"]
Shape = tuple[int | SizeName, ...]


@dataclass(frozen=True, slots=True)
class KeyRule:
    """One tensor of ours and the tensors of theirs that it is made of.

    Attributes:
        ours: our name; ``{n}`` stands for the number of the layer.
        theirs: their names as written, in the order of concatenation along dimension 0.
        shape: of each of theirs, in numbers and names of `EncoderConfig` fields; empty: not checked.

    """

    ours: str
    theirs: tuple[str, ...]
    shape: Shape = ()


def _pair(ours: str, theirs: Sequence[str], weight: Shape) -> tuple[KeyRule, KeyRule]:
    """The rules for a weight and the bias beside it, which is as long as the weight's first dimension."""
    return (
        KeyRule(f"{ours}.weight", tuple(f"{name}.weight" for name in theirs), weight),
        KeyRule(f"{ours}.bias", tuple(f"{name}.bias" for name in theirs), weight[:1]),
    )


_EMBEDDINGS = f"{HF_PREFIX}embeddings"
_LAYER = f"{HF_PREFIX}transformer.layer.{{n}}"

_BEFORE_LAYERS: tuple[KeyRule, ...] = (
    KeyRule(
        "encoder.embeddings.token.weight",
        (f"{_EMBEDDINGS}.word_embeddings.weight",),
        ("vocab_size", "hidden_size"),
    ),
    KeyRule(
        "encoder.embeddings.position.weight",
        (f"{_EMBEDDINGS}.position_embeddings.weight",),
        ("max_position_embeddings", "hidden_size"),
    ),
    *_pair("encoder.embeddings.norm", (f"{_EMBEDDINGS}.LayerNorm",), ("hidden_size",)),
)

_EACH_LAYER: tuple[KeyRule, ...] = (
    *_pair(
        "encoder.layers.{n}.attention.qkv",
        tuple(f"{_LAYER}.attention.{name}" for name in ("q_lin", "k_lin", "v_lin")),
        ("hidden_size", "hidden_size"),
    ),
    *_pair(
        "encoder.layers.{n}.attention.output",
        (f"{_LAYER}.attention.out_lin",),
        ("hidden_size", "hidden_size"),
    ),
    *_pair("encoder.layers.{n}.attention_norm", (f"{_LAYER}.sa_layer_norm",), ("hidden_size",)),
    *_pair("encoder.layers.{n}.feed_forward.up", (f"{_LAYER}.ffn.lin1",), ("intermediate_size", "hidden_size")),
    *_pair("encoder.layers.{n}.feed_forward.down", (f"{_LAYER}.ffn.lin2",), ("hidden_size", "intermediate_size")),
    *_pair("encoder.layers.{n}.feed_forward_norm", (f"{_LAYER}.output_layer_norm",), ("hidden_size",)),
)


def encoder_rules(n_layers: int) -> tuple[KeyRule, ...]:
    """The rules of an encoder with ``n_layers`` layers, in the order in which its tensors are used."""
    layers = (_in_layer(rule, n) for n in range(n_layers) for rule in _EACH_LAYER)
    return (*_BEFORE_LAYERS, *layers)


def _in_layer(rule: KeyRule, n: int) -> KeyRule:
    return replace(
        rule,
        ours=rule.ours.replace("{n}", str(n)),
        theirs=tuple(name.replace("{n}", str(n)) for name in rule.theirs),
    )


def from_hf(tensors: Mapping[str, Tensor], rules: Iterable[KeyRule]) -> dict[str, Tensor]:
    """Their tensors under our names, with or without the ``distilbert.`` prefix.

    Where any of the tensors that a rule needs is absent, ours is left out: see `missing_from_hf`.
    Tensors that no rule names are left out too: see `unexpected_in_hf`.
    """
    ours: dict[str, Tensor] = {}
    for rule in rules:
        names = [find_name(tensors, name) for name in rule.theirs]
        parts = [tensors[name] for name in names if name is not None]
        if len(parts) == len(rule.theirs):
            ours[rule.ours] = parts[0] if len(parts) == 1 else torch.cat(parts, dim=0)
    return ours


def to_hf(tensors: Mapping[str, Tensor], rules: Iterable[KeyRule]) -> dict[str, Tensor]:
    """Our tensors under their names, the encoder's with the ``distilbert.`` prefix; fused ones are split.

    The parts of a split tensor are views of it. Rules whose tensor is not among ``tensors`` are passed over.

    Raises:
        ModelError: if a tensor has no rule, so that nothing is lost on writing.

    """
    theirs: dict[str, Tensor] = {}
    left = set(tensors)
    for rule in rules:
        if rule.ours in tensors:
            left.discard(rule.ours)
            theirs.update(zip(rule.theirs, tensors[rule.ours].chunk(len(rule.theirs), dim=0), strict=True))
    if left:
        raise ModelError(
            "Some tensors have no Hugging Face name.",
            where=", ".join(sorted(left)),
            fix="give the rules of the head that these belong to, and an encoder with all of its layers.",
        )
    return theirs


def find_name(tensors: Mapping[str, Tensor], theirs: str) -> str | None:
    """The name under which ``theirs`` is present: as it is, or without the prefix; None if it is absent."""
    return next((name for name in (theirs, theirs.removeprefix(HF_PREFIX)) if name in tensors), None)


def missing_from_hf(tensors: Mapping[str, Tensor], rules: Iterable[KeyRule]) -> tuple[str, ...]:
    """Their names that the rules need and ``tensors`` lacks, in the rules' order."""
    return tuple(name for rule in rules for name in rule.theirs if find_name(tensors, name) is None)


def unexpected_in_hf(tensors: Mapping[str, Tensor], rules: Iterable[KeyRule]) -> tuple[str, ...]:
    """Names among ``tensors`` that no rule uses, in the order of ``tensors``."""
    used = {find_name(tensors, name) for rule in rules for name in rule.theirs}
    return tuple(name for name in tensors if name not in used)


def expected_shape(rule: KeyRule, config: EncoderConfig) -> tuple[int, ...]:
    """The shape that each of a rule's tensors must have in a model of this configuration; empty: any."""
    return tuple(size if isinstance(size, int) else int(getattr(config, size)) for size in rule.shape)
