"""What the windows and the vocabulary make of a data set, whatever the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from distiltune.checks.concerns import Case, Cases, Concern, concern_of
from distiltune.checks.cost import Work
from distiltune.data.feature_set import FeatureSet

_TOKENS_AT_ONCE = 1 << 24


def spread(values: Sequence[int] | npt.NDArray[np.int64]) -> dict[str, float]:
    """Middle, 95th percentile and largest of some counts."""
    if not len(values):
        return {"median": 0, "p95": 0, "max": 0}
    return {
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "max": float(np.max(values)),
    }


def spread_text(figures: dict[str, float]) -> str:
    """A `spread` for a terminal."""
    return "{median:.0f} / {p95:.0f} / {max:.0f}".format(**figures)


def unknown_shares(features: FeatureSet, tokenizer: Tokenizer) -> npt.NDArray[np.float64]:
    """``(n_features,)`` share of each one's tokens that the vocabulary does not know."""
    unknown = tokenizer.token_to_id("[UNK]")
    if unknown is None or len(features) == 0:
        return np.zeros(len(features))
    bounds = features.offsets
    places = [
        first + np.flatnonzero(features.token_ids[first : first + _TOKENS_AT_ONCE] == unknown)
        for first in range(0, len(features.token_ids), _TOKENS_AT_ONCE)
    ]
    of = np.searchsorted(bounds, np.concatenate(places), side="right") - 1
    return np.asarray(np.bincount(of, minlength=len(features)) / features.lengths)


def unknown_of_examples(features: FeatureSet, n_examples: int, tokenizer: Tokenizer) -> npt.NDArray[np.float64]:
    """``(n_examples,)`` the largest of these shares among each example's windows."""
    unknown = np.zeros(n_examples)
    np.maximum.at(unknown, features.example_of, unknown_shares(features, tokenizer))
    return unknown


def window_statistics(features: FeatureSet, n_examples: int, tokenizer: Tokenizer, example: str) -> dict[str, Any]:
    """Figures on windows and tokens; ``example`` is what the task calls one, as in ``windows_a_question``."""
    windows = np.bincount(features.example_of, minlength=n_examples)
    lengths = features.lengths
    return {
        "windows": len(features),
        f"windows_a_{example}": spread(windows),
        "tokens": int(lengths.sum()),
        "tokens_a_window": spread(lengths),
        "unknown_token_share": round(float(np.average(unknown_shares(features, tokenizer), weights=lengths)), 5),
    }


def window_line(figures: dict[str, Any], example: str) -> str:
    """The same for a terminal."""
    return (
        f"windows: {figures['windows']:,} ({spread_text(figures[f'windows_a_{example}'])} a {example}), "
        f"tokens {spread_text(figures['tokens_a_window'])}, {figures['unknown_token_share']:.2%} [UNK]"
    )


def work_of(features: FeatureSet, n_validation_tokens: int) -> Work:
    """What a training on these features has to do an epoch."""
    lengths = features.lengths
    return Work(int(lengths.sum()), n_validation_tokens, len(features), int(lengths.max()))


def hardly_covered(cases: Sequence[Case], of: int) -> list[Concern]:
    """The concern about texts that the vocabulary hardly covers, empty if there is none."""
    return concern_of(
        "error" if (cases.n_all if isinstance(cases, Cases) else len(cases)) > 0.5 * of else "warning",
        "hardly_covered",
        "the model's vocabulary hardly covers the text",
        cases,
        of,
        "use a model of the text's language, or remove these rows",
    )
