"""A set of examples as it was read, and which examples are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from distiltune.data.file_form import AS_USUAL, FileForm
from distiltune.data.row_findings import RowFindings

E = TypeVar("E")


@dataclass(frozen=True)
class ExampleSet(Generic[E]):
    """The examples of one split, everything noticed while reading them, and where they are from.

    ``findings.n_rows`` is the number of examples plus the number of rejected and left out findings. ``fingerprint`` is
    the SHA-256 of the files' contents; ``sources`` are as the user named them. The examples are a tuple, or, where they
    are many, on disk (`distiltune.data.stored`).
    """

    examples: Sequence[E]
    findings: RowFindings
    fingerprint: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Which examples, read how; the recipe says what each means."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    validation_share: float
    columns: str
    max_rejected_share: float
    n_train: int
    n_validation: int
    sample_seed: int
    form: FileForm = AS_USUAL
    n_folds: int = 0
    fold: int = 0
