"""A run as its directory tells of it: recipe, log and answers, read back for whoever looks at runs later."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from distiltune.errors import TrainingError
from distiltune.recipe.choose_task import USUAL
from distiltune.runs.directory import RunDirectory
from distiltune.system.durable import read_file
from distiltune.system.names import did_you_mean, names_beside
from distiltune.system.toml_text import parse_toml
from distiltune.tasks.analysis import Counts, ScoredAnswer
from distiltune.training.loop import EpochReport, StepReport

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as its directory tells of it.

    Attributes:
        name: of its directory.
        settings: its recipe's.
        fingerprints: of the data, by set.
        epochs: one report each.
        steps: those that were logged.
        best_epoch: which epoch its model is from.
        answers: each validation example's, by id.
        resolved: what was decided where the recipe leaves it open; empty of a run of an early version.

    """

    name: str
    settings: Mapping[str, Any]
    fingerprints: Mapping[str, str]
    epochs: tuple[EpochReport, ...]
    steps: tuple[StepReport, ...]
    best_epoch: int
    answers: Mapping[str, ScoredAnswer]
    resolved: Mapping[str, Any] = field(default_factory=dict)

    @property
    def as_run(self) -> Mapping[str, Any]:
        """The settings, with what was decided in place of what the recipe leaves open."""
        return {**self.settings, **self.resolved}

    @property
    def task(self) -> str:
        """What it was trained for; runs of early versions do not say."""
        return str(self.settings.get("task", USUAL))

    @property
    def best(self) -> EpochReport:
        """The epoch that the model is from."""
        return next(epoch for epoch in self.epochs if epoch.epoch == self.best_epoch)


def read_run(path: Path) -> RunRecord:
    """Read a run directory.

    Raises:
        TrainingError: if it is no run, one of its files is damaged, or no epoch has ended in it.

    """
    run = RunDirectory(path)
    try:
        surroundings = parse_toml(read_file(run.recipe).decode())
        data = surroundings.get("data", {})
        fingerprints = {name: each.get("fingerprint", "") for name, each in data.items()}
    except (OSError, ValueError, AttributeError) as error:  # the last where a table is none
        if isinstance(error, FileNotFoundError) and not os.path.lexists(path):
            near = did_you_mean(names_beside(path))
            raise TrainingError("There is no such run.", where=str(path), fix=f"{near}give a run directory") from error
        raise TrainingError(
            f"This is no run that can be read: {error}.", where=str(path), fix="give a run directory"
        ) from error
    # A run that is killed as it writes, or that is still writing, leaves the log's last line half-written.
    lines = _read_lines(run.log, _as_logged, may_end_early=True)
    epochs = tuple(line.report for line in lines if isinstance(line.report, EpochReport))
    if not epochs:
        raise TrainingError("No epoch has ended in this run.", where=str(path), fix="let it train, then compare")
    best = [line.report.epoch for line in lines if line.is_best and isinstance(line.report, EpochReport)]
    return RunRecord(
        name=path.resolve().name,
        settings=surroundings.get("recipe", {}),
        fingerprints=fingerprints,
        epochs=epochs,
        steps=tuple(line.report for line in lines if isinstance(line.report, StepReport)),
        best_epoch=best[-1] if best else epochs[-1].epoch,
        answers={each.id: each for each in _read_lines(run.answers, _as_answer)} if run.answers.is_file() else {},
        resolved=_one_after_another([line.resolved for line in lines]),
    )


def _one_after_another(resolved: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was decided at the start and each time that the run was resumed: what changed in words."""
    found: dict[str, list[Any]] = {}
    for each in resolved:
        for name, value in each.items():
            values = found.setdefault(name, [])
            if value not in values[-1:]:
                values.append(value)
    return {name: values[0] if len(values) == 1 else ", then ".join(map(str, values)) for name, values in found.items()}


def _read_lines(path: Path, read: Callable[[dict[str, Any]], R], *, may_end_early: bool = False) -> list[R]:
    """Each JSON object of a file, one a line, as ``read`` makes it.

    Raises:
        TrainingError: naming the line that is none, unless it is the last and unfinished, and that ``may_end_early``.

    """
    try:
        # Not str.splitlines: texts may hold other line separators, which JSON leaves as they are.
        *lines, unfinished = read_file(path).split(b"\n")
    except OSError as error:
        raise TrainingError(
            f"The file cannot be read: {error.strerror}.", where=str(path), fix="give a run directory that is whole"
        ) from error
    if unfinished and not may_end_early:
        lines.append(unfinished)
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(read(json.loads(line)))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise TrainingError(
                f"The run's {path.name} is damaged, or of another version of distiltune.",
                where=f"{path}, line {number}",
                fix="copy the run again, or train it again",
            ) from error
    return found


def _as_answer(line: dict[str, Any]) -> ScoredAnswer:
    counts = line.get("counts")
    counted = Counts(**counts) if counts is not None else None
    return ScoredAnswer(**{**line, "wanted": tuple(line["wanted"]), "counts": counted})


@dataclass(frozen=True, slots=True)
class _Logged:
    """What is read of a line of the log: the report of an epoch or of steps, if it was the best; what was decided."""

    report: EpochReport | StepReport | None
    is_best: bool
    resolved: Mapping[str, Any]


def _as_logged(line: dict[str, Any]) -> _Logged:
    reports: dict[str, type[EpochReport | StepReport]] = {"epoch": EpochReport, "step": StepReport}
    report = reports.get(line["kind"])
    if report is None:
        return _Logged(None, False, dict(line.get("resolved", {})))
    values = {name: _numbers(line[name]) for name in report.__dataclass_fields__}
    return _Logged(report(**values), bool(line.get("best")), {})


def _numbers(value: Any) -> Any:
    """A logged value; null is what the log has for a number that is none."""
    if value is None:
        return float("nan")
    return {key: _numbers(item) for key, item in value.items()} if isinstance(value, dict) else value
