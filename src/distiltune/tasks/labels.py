"""Labels: found in the training data, frozen in a model's config.json (``id2label``), and the head that they shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from distiltune.errors import DataError, ModelError
from distiltune.model.build import Dropouts, HeadDropout, LoadedModel, build_model
from distiltune.model.hf_keys import KeyRule
from distiltune.model.small_json import read_json
from distiltune.model.source import load_source, resolve_model

MAX_LABELS = 10_000
"""More than any sensible set of classes: a column of ids or of texts that was taken for labels has more."""


def output_rules(n_labels: int) -> tuple[KeyRule, KeyRule]:
    """The last layer's tensors, as both of the classifying heads of ``transformers`` call them."""
    return (
        KeyRule("head.output.weight", ("classifier.weight",), (n_labels, "hidden_size")),
        KeyRule("head.output.bias", ("classifier.bias",), (n_labels,)),
    )


def labels_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels that a model's config.json names, in the order of their ids; none if it names none."""
    names = config.get("id2label")
    if not isinstance(names, Mapping):
        n = config.get("num_labels")
        return tuple(f"LABEL_{i}" for i in range(n)) if type(n) is int and 0 < n <= MAX_LABELS else ()
    try:
        by_id = {int(key): str(value) for key, value in names.items()}
    except (TypeError, ValueError):
        by_id = {}
    if sorted(by_id) != list(range(len(by_id))) or len(set(by_id.values())) != len(by_id):
        raise ModelError(
            "The labels are not numbered from 0, each with a name of its own.",
            where="config.json: id2label",
            fix='write {"0": "one name", "1": "another name"}',
        )
    return tuple(by_id[i] for i in range(len(by_id)))


def labels_config(names: Sequence[str]) -> dict[str, object]:
    """The labels as config.json holds them."""
    return {"id2label": {str(i): name for i, name in enumerate(names)}, "label2id": {n: i for i, n in enumerate(names)}}


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Labels in the order of their ids: by value if all are whole numbers, else by name.

    Those of one value, such as "1" and "01", go by name: a set's own order is another in every process.

    Raises:
        DataError: if there are more than any set of classes has.

    """
    distinct = set(names)
    if len(distinct) > MAX_LABELS:
        raise DataError(
            f"There are {len(distinct):,} different labels.",
            fix="name the column that holds the labels: --columns label=...",
        )
    try:
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    except ValueError:
        return tuple(sorted(distinct))


def keep_labels_of(config: Mapping[str, Any], found: tuple[str, ...]) -> tuple[str, ...]:
    """The model's own labels if those found are all among them, so that its head goes on; else those found."""
    own = labels_of(config)
    return own if found and set(found) <= set(own) else found


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
