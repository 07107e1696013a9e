"""What is wrong with data that a training has seen before: looked into once, then read from the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Protocol

import numpy as np
from tokenizers import Tokenizer

from distiltune.checks.concerns import Case, Concern
from distiltune.data.cache import Arrays, fingerprint_of, load_or_make
from distiltune.tasks.base import D, D_contra, Dataset


class Checking(Protocol[D_contra]):
    """The part of a task that is asked here."""

    def concerns(self, training: D_contra, validation: D_contra | None, tokenizer: Tokenizer) -> tuple[Concern, ...]:
        """What is wrong with the data, ranked."""


def concerns_of(
    task: Checking[D],
    training: D,
    validation: D | None,
    tokenizer: Tokenizer,
    settings: Mapping[str, object],
) -> tuple[Concern, ...]:
    """What the task finds wrong with these data, ranked. Of 40,000 questions it takes three seconds the first time.

    Args:
        task: whose checks are made.
        training: what is trained on.
        validation: what the training data should share nothing with.
        tokenizer: the model's.
        settings: what the checks depend on beside the data.

    """

    def find() -> Arrays:
        found = [asdict(concern) for concern in task.concerns(training, validation, tokenizer)]
        return {"concerns": np.frombuffer(json.dumps(found).encode(), dtype=np.uint8)}

    parts = {
        "task": type(task).__qualname__,
        "training": _content(training),
        "validation": _content(validation) if validation is not None else "",
        "tokenizer": fingerprint_of([tokenizer.to_str()]),
        "settings": dict(settings),
    }
    arrays, _ = load_or_make(parts, find, code=(type(task).__module__,))
    return tuple(
        Concern(**{**concern, "cases": tuple(Case(**case) for case in concern["cases"])})
        for concern in json.loads(arrays["concerns"].tobytes())
    )


def _content(data: Dataset) -> str:
    """Hash of the files, of what was noticed in reading them, and of the features made of what is left."""
    digest = hashlib.sha256(f"{data.fingerprint} {data.findings.n_rows}".encode())
    for finding in data.findings.items:
        digest.update(json.dumps(finding.as_json(), sort_keys=True, default=str).encode())
    digest.update(data.features.fingerprint().encode())
    digest.update(np.ascontiguousarray(data.features.example_of).tobytes())
    return digest.hexdigest()
