"""Made-up evidence of runs, from the few figures that a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from distiltune.coach.evidence import Evidence, TrainingFacts
from distiltune.training.loop import EpochReport, StepReport
from distiltune.training.vitals import PartVitals, Vitals

FACTS = TrainingFacts(
    planned_epochs=3,
    steps_per_epoch=100,
    learning_rate=2e-5,
    dropout=0.1,
    n_train=1600,
    n_validation=1000,
    uniform_loss=4.5,
    blind_loss=4.5,
)


def epoch(number: int, train: float, validation: float | None, **metrics: float) -> EpochReport:
    measured = {} if validation is None else {"loss": validation, **metrics}
    return EpochReport(number, {"loss": train}, measured, 1e-5, 1.0, 1.0, 100, 1000)


def vitals(ratio: float, *, still: str = "") -> tuple[Vitals, ...]:
    names = ("encoder.embeddings", "encoder.layers.0", "encoder.layers.1", "head.output")
    parts = tuple(PartVitals(name, 10.0, 1.0, 0.0 if still and name.startswith(still) else ratio) for name in names)
    return (Vitals(50, parts),)


def evidence(
    train: Sequence[float],
    validation: Sequence[float | None],
    *,
    ratio: float = 4e-4,
    still: str = "",
    facts: dict[str, Any] | None = None,
    **changes: Any,
) -> Evidence:
    """A run with these losses by epoch, its updates of this size."""
    epochs = tuple(epoch(i, t, v) for i, (t, v) in enumerate(zip(train, validation, strict=True)))
    steps = tuple(StepReport(i, 100 * i + 99, 100 * len(train), loss, 1e-5, 900.0) for i, loss in enumerate(train))
    made = Evidence(replace(FACTS, **(facts or {})), epochs=epochs, steps=steps, vitals=vitals(ratio, still=still))
    return replace(made, **changes)
