"""Scores of entities, as ``seqeval`` defines them: right only if label, first and last word all are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from distiltune.tasks.token_classification.examples import Entity


@dataclass(frozen=True, slots=True)
class EntityScores:
    """One label's: how many entities there are, how many were marked, and how well the two agree (0 to 1)."""

    n: int
    n_given: int
    precision: float
    recall: float
    f1: float


@dataclass(slots=True)
class EntityCounts:
    """Entities counted by label, sentence by sentence."""

    gold: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)

    def add(self, gold: Iterable[Entity], given: Iterable[Entity]) -> None:
        """Count one sentence."""
        gold, given = set(gold), set(given)
        self.gold.update(entity.label for entity in gold)
        self.given.update(entity.label for entity in given)
        self.right.update(entity.label for entity in gold & given)

    def by_label(self) -> dict[str, EntityScores]:
        """Each label's scores, in the order of their names."""
        labels = sorted({*self.gold, *self.given})
        return {label: scores_of(self.right[label], self.gold[label], self.given[label]) for label in labels}

    def metrics(self) -> Mapping[str, float]:
        """Over all entities, and the mean F1 over the labels."""
        all_ = scores_of(self.right.total(), self.gold.total(), self.given.total())
        by_label = self.by_label().values()
        return {
            "f1": all_.f1,
            "precision": all_.precision,
            "recall": all_.recall,
            "macro_f1": sum(each.f1 for each in by_label) / max(1, len(by_label)),
            "n_entities": float(all_.n),
        }


def scores_of(n_right: int, n: int, n_given: int) -> EntityScores:
    """Precision, recall and F1; 0 where nothing is."""
    return EntityScores(n, n_given, n_right / max(1, n_given), n_right / max(1, n), 2 * n_right / max(1, n + n_given))
