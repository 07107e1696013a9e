"""A model with a head for labels: its own if it is for these, else a new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn

from distiltune.model.build import Dropouts, HeadDropout, LoadedModel, build_model
from distiltune.model.hf_keys import KeyRule
from distiltune.model.small_json import read_json
from distiltune.model.source import load_source, resolve_model
from distiltune.tasks.labels import labels_of

HEAD_DROPOUT = HeadDropout("seq_classif_dropout", 0.2)
"""Of the heads that read a sequence as a whole."""

INNER_RULES = (
    KeyRule("head.inner.weight", ("pre_classifier.weight",), ("hidden_size", "hidden_size")),
    KeyRule("head.inner.bias", ("pre_classifier.bias",), ("hidden_size",)),
)
"""The first layer's tensors of such a head."""


def output_rules(n_labels: int) -> tuple[KeyRule, KeyRule]:
    """The last layer's tensors, as both of the classifying heads of ``transformers`` call them."""
    return (
        KeyRule("head.output.weight", ("classifier.weight",), (n_labels, "hidden_size")),
        KeyRule("head.output.bias", ("classifier.bias",), (n_labels,)),
    )


def load_labelled_model(
    name: str,
    labels: tuple[str, ...],
    rules: Sequence[KeyRule],
    make_head: Callable[[int, float], nn.Module],
    device: torch.device,
    dropouts: Dropouts,
    head_dropout: HeadDropout,
) -> LoadedModel:
    """The model with its head if that has these labels, else with a new one.

    Raises:
        ModelError: if the source cannot be read or does not fit.
        HubError: if a hub name cannot be fetched.

    """
    directory = resolve_model(name)
    is_for_them = labels_of(read_json(directory / "config.json")) == labels
    source = load_source(str(directory), rules if is_for_them else ())
    if not is_for_them:
        has_head = any(key.startswith("classifier") for key in source.unexpected)
        note = ("The model's head is for other labels; a new one is trained.",) if has_head else ()
        source = replace(source, missing=tuple(rule.ours for rule in rules), notes=(*source.notes, *note))
    return build_model(source, make_head, device, dropouts, head_dropout)
