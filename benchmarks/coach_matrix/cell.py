"""One training of the matrix: its rows drawn and spoilt, trained, and what the coach said held against its kind."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.coach_matrix.kinds import Kind, kinds_of
from benchmarks.coach_matrix.rows import HALVES, Row, rows_of
from distiltune.coach.advice import advise
from distiltune.coach.evidence import Evidence
from distiltune.recipe.auto import fitting_rate
from distiltune.recipe.recipe import Recipe
from distiltune.runs import fine_tune as fine_tuning
from distiltune.runs import results

Line = dict[str, Any]
CHOSEN = ("epochs", "warmup_share", "max_gradient_norm")
"""What the recipe `auto` chooses, with the rate."""
DIVERGED = "is not a finite number"
COMMANDS: dict[str, Any] = {
    "find_lr": "distiltune find-lr --recipe RUN/recipe.toml",
    "check": "distiltune check TRAIN --recipe RUN/recipe.toml",
    "again": "distiltune train --recipe RUN/recipe.toml --output RUN-2",
}
"""As a run in a directory of that name has them."""


@dataclass(frozen=True)
class Cell:
    """One training: a kind of a task, on a half of the texts, with a seed."""

    task: str
    kind: str
    half: str
    seed: int

    @property
    def how(self) -> Kind:
        """What is done in it."""
        return next(kind for kind in kinds_of(self.task) if kind.name == self.kind)

    def as_json(self) -> Line:
        """What its line begins with."""
        return {"task": self.task, "kind": self.kind, "half": self.half, "seed": self.seed}


def draw(kind: Kind, data: Path, half: str, seed: int) -> tuple[list[Row], list[Row]]:
    """The rows of one training, spoilt as its kind has it."""
    train, validation = rows_of(kind.source, data, half)
    rng = random.Random(_drawn_by(half, seed))
    if kind.n_train:
        train = rng.sample(train, min(kind.n_train, len(train)))
    if kind.n_validation:
        validation = rng.sample(validation, min(kind.n_validation, len(validation)))
    return kind.change((train, validation), rng)


def _drawn_by(half: str, seed: int) -> int:
    """Other numbers for the other half, whose rows are the same where these are too few to be parted."""
    return seed + 1_000 * list(HALVES).index(half)


def run(cell: Cell, shared: Path, device: str) -> tuple[Line, Evidence | None]:
    """Train; what the coach says about it, and what it goes by."""
    began, kind = time.process_time(), cell.how
    known: list[Evidence] = []
    error = ""
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(cell, shared, Path(folder)) | {"device": device}
        with _overheard(kind, known):
            try:
                fine_tuning.fine_tune(Recipe.build(settings), output=Path(folder) / "run")
            except Exception as raised:  # a training that stops with an error is told by that
                error = f"{type(raised).__name__}: {raised}"
    # Of the processor, not of the clock: of them a crowded machine takes no more.
    line = {**cell.as_json(), "seconds": round(time.process_time() - began, 1)}
    if not known:
        is_right = DIVERGED in error and "learning_rate_too_high" in kind.expected
        told = error.splitlines()[0]
        return {**line, "expected": list(kind.expected), "first": told, "live": [], "right": is_right}, None
    evidence = replace(known[-1], facts=replace(known[-1].facts, **COMMANDS))
    return {**line, **judge(kind, evidence)}, evidence


def _settings(cell: Cell, shared: Path, folder: Path) -> dict[str, Any]:
    """The recipe's, with the rows written into ``folder``."""
    kind, files = cell.how, []
    for name, rows in zip(("train", "validation"), draw(kind, shared / "data", cell.half, cell.seed), strict=True):
        files.append(folder / f"{name}.jsonl")
        files[-1].write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    settings = {
        "seed": _drawn_by(cell.half, cell.seed),
        "threads": 1,
        "log_every": 2,
        "max_rejected_share": 0.3,
        **kind.settings,
        "model": kind.model if kind.model == "starter" else str(shared / "models" / kind.model),
        "train": (str(files[0]),),
        "validation": (str(files[1]),),
    }
    return {name: value for name, value in settings.items() if kind.rate is not None or name not in CHOSEN}


@contextmanager
def _overheard(kind: Kind, known: list[Evidence]) -> Iterator[None]:
    """Within it, trainings have the kind's rate and still parts, and what their coach goes by is put into ``known``."""
    prepare, sum_up = fine_tuning.prepare, results.sum_up_run  # type: ignore[attr-defined]

    def prepared(*arguments: Any, **more: Any) -> Any:
        ready = prepare(*arguments, **more)
        if kind.still:
            getattr(ready.loaded.model, kind.still).requires_grad_(False)
        if kind.rate is None:
            return ready
        n_steps = ready.plan.n_steps
        fitting = fitting_rate(ready.task.name, ready.loaded.source.config.hidden_size, n_steps)
        return replace(ready, recipe=ready.recipe.with_changes(learning_rate=min(1.0, kind.rate * fitting)))

    def kept(*arguments: Any) -> Any:
        findings = sum_up(*arguments)
        known.append(arguments[3].evidence)
        return findings

    fine_tuning.prepare, results.sum_up_run = prepared, kept  # type: ignore[attr-defined, assignment]
    try:
        yield
    finally:
        fine_tuning.prepare, results.sum_up_run = prepare, sum_up  # type: ignore[attr-defined]


def said_live(evidence: Evidence) -> list[str]:
    """The sicknesses that the coach told of while the training went on, in the order in which it did."""
    said: list[str] = []
    for n in range(len(evidence.epochs) + 1):
        last = evidence.epochs[n - 1].epoch if n else -1
        steps = tuple(step for step in evidence.steps if step.epoch <= last)
        then = replace(
            evidence,
            epochs=evidence.epochs[:n],
            changes=evidence.changes[:n],
            steps=steps,
            vitals=tuple(look for look in evidence.vitals if steps and look.step <= steps[-1].step),
            answers={},
            probe=None,
            ended=False,
        )
        said += [each.sickness for each in advise(then) if each.severity != "note" and each.sickness not in said]
    return said


def judge(kind: Kind, evidence: Evidence) -> Line:
    """What the coach says about a training, and whether that is right.

    A sick training is told of if the first advice above a note, at the end, is one of those expected, and nothing was
    said on the way that is neither expected nor still said at the end. A healthy one is accused if there is any advice
    above a note, at the end or on the way.
    """
    found, live = advise(evidence), said_live(evidence)
    severe = [advice for advice in found if advice.severity != "note"]
    first = severe[0].sickness if severe else "none"
    if severe and severe[0].severity == "error" and not evidence.has_learned:
        live = [sickness for sickness in live if sickness != "not_learning"]  # the end says why, too
    taken_back = set(live) - {advice.sickness for advice in severe} - set(kind.expected)
    return {
        "expected": list(kind.expected),
        "first": first,
        "live": live,
        "right": (first in kind.expected if kind.expected else first == "none") and not taken_back,
        "all": [f"{advice.severity} {advice.sickness}" for advice in found],
        "evidence": severe[0].evidence if severe else "",
        "command": severe[0].command if severe else "",
        "blind_loss": round(evidence.facts.blind_loss, 4),
        "train_losses": [round(epoch.train["loss"], 4) for epoch in evidence.epochs],
        "validation_losses": [round(epoch.validation["loss"], 4) for epoch in evidence.epochs],
        "scores": {
            blind.metric: [round(epoch.validation.get(blind.metric, 0.0), 4) for epoch in evidence.epochs]
            for blind in evidence.facts.blind_scores
        },
    }
