"""Labels: found in the training data, frozen in a model's config.json (``id2label``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distiltune.errors import DataError, ModelError

MAX_LABELS = 10_000
"""More than any sensible set of classes: a column of ids or of texts that was taken for labels has more."""


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
