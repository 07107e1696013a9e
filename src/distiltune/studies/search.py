"""What a search tried and found, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distiltune.progress import counted
from distiltune.recipe.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a search.

    Attributes:
        number: counted from 0.
        outcome: "done", "pruned" (stopped since others were better by then), "diverged" (came to numbers that are
            none) or "failed" (memory ran out, or the settings exclude each other).
        settings: what was tried.
        value: of the monitored metric in the best epoch, None if there is no number.
        epochs_done: how many were run.
        why: it diverged or failed; else empty.

    """

    number: int
    outcome: str
    settings: Mapping[str, Any]
    value: float | None
    epochs_done: int
    why: str = ""

    def __repr__(self) -> str:
        tried = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        return f"<Trial {self.number}: {tried}: {self.outcome}, {self.value}>"


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found.

    Attributes:
        monitor: the metric by which trials are judged.
        better: "lower" or "higher".
        trials: in order; those that were broken off are left out.
        best: the best of them that ran to its end, None if none did.
        importances: setting → share of the spread of the values that goes back to it; empty for few trials.
        default: the recipe that the search began from.

    """

    monitor: str
    better: str
    trials: tuple[Trial, ...]
    best: Trial | None
    importances: Mapping[str, float]
    default: Recipe

    @property
    def best_recipe(self) -> Recipe | None:
        """The recipe of the best trial."""
        return self.default.with_changes(**self.best.settings) if self.best is not None else None

    def __repr__(self) -> str:
        best = "none ran to its end" if self.best is None else f"{self.monitor} {self.best.value} in {self.best!r}"
        return f"<Search of {counted(len(self.trials), 'trial')}: {best}>"

    def as_json(self) -> dict[str, Any]:
        """The search as plain values."""
        trials = [
            {
                "number": each.number,
                "outcome": each.outcome,
                "value": each.value,
                "epochs_done": each.epochs_done,
                "settings": dict(each.settings),
                "why": each.why,
            }
            for each in self.trials
        ]
        return {
            "monitor": self.monitor,
            "better": self.better,
            "best": self.best.number if self.best is not None else None,
            "importances": dict(self.importances),
            "trials": trials,
        }
