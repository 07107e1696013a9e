"""Scores of labels and numbers, as scikit-learn and SciPy define them; pure functions on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One label's: how many texts have it, how many were given it, and how well the two agree (0 to 1)."""

    n: int
    n_given: int
    precision: float
    recall: float
    f1: float


def confusion(gold: Ints, given: Ints, n_labels: int) -> Ints:
    """How often each gold label (row) was given each label (column), ``(n_labels, n_labels)``."""
    counts = np.bincount(gold * n_labels + given, minlength=n_labels * n_labels)
    return counts.reshape(n_labels, n_labels).astype(np.int64)


def scores_of(right: Ints, n: Ints, n_given: Ints) -> list[ClassScores]:
    """Each label's scores from ``(n_labels,)`` counts: given rightly, in the gold, given; 0 where nothing is."""
    precision = right / np.maximum(n_given, 1)
    recall = right / np.maximum(n, 1)
    f1 = 2 * right / np.maximum(n + n_given, 1)
    return [
        ClassScores(int(a), int(b), float(p), float(r), float(f))
        for a, b, p, r, f in zip(n, n_given, precision, recall, f1, strict=True)
    ]


def macro(scores: Sequence[ClassScores], *, of_all: bool) -> tuple[float, float, float]:
    """Unweighted means of precision, recall and F1.

    Over all labels if texts may have several; else over those that occur in the gold or the given labels, as
    scikit-learn takes them.
    """
    counted = [each for each in scores if of_all or each.n or each.n_given]
    n = max(1, len(counted))
    return (
        sum(each.precision for each in counted) / n,
        sum(each.recall for each in counted) / n,
        sum(each.f1 for each in counted) / n,
    )


def label_metrics(gold: Ints, given: Ints, n_labels: int) -> tuple[dict[str, float], list[ClassScores]]:
    """Accuracy and macro scores of one label a text, ``(n,)`` ids each; and each label's scores."""
    table = confusion(gold, given, n_labels)
    scores = scores_of(np.diag(table), table.sum(axis=1), table.sum(axis=0))
    precision, recall, f1 = macro(scores, of_all=False)
    accuracy = float(np.diag(table).sum() / max(1, len(gold)))
    return {"accuracy": accuracy, "macro_f1": f1, "macro_precision": precision, "macro_recall": recall}, scores


def label_set_metrics(
    gold: npt.NDArray[np.bool_], given: npt.NDArray[np.bool_]
) -> tuple[dict[str, float], list[ClassScores]]:
    """The same for any number of labels a text, ``(n, n_labels)`` each; accuracy: all labels of a text right."""
    scores = scores_of((gold & given).sum(axis=0), gold.sum(axis=0), given.sum(axis=0))
    precision, recall, f1 = macro(scores, of_all=True)
    n_both = int((gold & given).sum())
    return {
        "accuracy": float((gold == given).all(axis=1).mean()) if len(gold) else 0.0,
        "macro_f1": f1,
        "micro_f1": 2 * n_both / max(1, int(gold.sum() + given.sum())),
        "macro_precision": precision,
        "macro_recall": recall,
    }, scores


def number_metrics(gold: Floats, given: Floats) -> dict[str, float]:
    """Correlations and errors of numbers, ``(n,)`` each; a correlation is 0 where one side never changes."""
    return {
        "pearson": _correlation(gold, given),
        "spearman": _correlation(_ranks(gold), _ranks(given)),
        "mean_absolute_error": float(np.abs(gold - given).mean()) if len(gold) else 0.0,
    }


def _correlation(a: Floats, b: Floats) -> float:
    if len(a) < 2:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0


def _ranks(values: Floats) -> Floats:
    """Ranks from 0; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = (ends - (counts + 1) / 2)[which]
    return ranks
