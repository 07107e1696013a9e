"""A run as its directory tells of it: recipe, log and answers, read back for whoever looks at runs later."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from distiltune.errors import TrainingError
from distiltune.run_directory import RunDirectory
from distiltune.tasks.analysis import Counts, ScoredAnswer
from distiltune.tasks.choose import USUAL
from distiltune.training.loop import EpochReport, StepReport

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as its directory tells of it."""

    name: str
    settings: Mapping[str, Any]
    fingerprints: Mapping[str, str]
    epochs: tuple[EpochReport, ...]
    steps: tuple[StepReport, ...]
    best_epoch: int
    answers: Mapping[str, ScoredAnswer]

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
        surroundings = tomllib.loads(run.recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"This is no run that can be read: {error}.", where=str(path), fix="give a run directory"
        ) from error
    # A run that is killed as it writes, or that is still writing, leaves the log's last line half-written.
    lines = _read_lines(run.log, _as_logged, may_end_early=True)
    epochs = tuple(report for _, report in lines if isinstance(report, EpochReport))
    if not epochs:
        raise TrainingError("No epoch has ended in this run.", where=str(path), fix="let it train, then compare")
    best = [report.epoch for is_best, report in lines if is_best and isinstance(report, EpochReport)]
    return RunRecord(
        name=path.resolve().name,
        settings=surroundings.get("recipe", {}),
        fingerprints={name: data.get("fingerprint", "") for name, data in surroundings.get("data", {}).items()},
        epochs=epochs,
        steps=tuple(report for _, report in lines if isinstance(report, StepReport)),
        best_epoch=best[-1] if best else epochs[-1].epoch,
        answers={each.id: each for each in _read_lines(run.answers, _as_answer)} if run.answers.is_file() else {},
    )


def _read_lines(path: Path, read: Callable[[dict[str, Any]], R], *, may_end_early: bool = False) -> list[R]:
    """Each JSON object of a file, one a line, as ``read`` makes it.

    Raises:
        TrainingError: naming the line that is none, unless it is the last and unfinished, and that ``may_end_early``.

    """
    try:
        # Not str.splitlines: texts may hold other line separators, which JSON leaves as they are.
        *lines, unfinished = path.read_bytes().split(b"\n")
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
        except (ValueError, LookupError, TypeError, AttributeError) as error:
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


def _as_logged(line: dict[str, Any]) -> tuple[bool, EpochReport | StepReport | None]:
    """Whether it was the best so far, and the report of an epoch or of steps; None for all other lines."""
    reports: dict[str, type[EpochReport | StepReport]] = {"epoch": EpochReport, "step": StepReport}
    report = reports.get(line["kind"])
    if report is None:
        return False, None
    values = {name: _numbers(line[name]) for name in report.__dataclass_fields__}
    return bool(line.get("best")), report(**values)


def _numbers(value: Any) -> Any:
    """A logged value; null is what the log has for a number that is none."""
    if value is None:
        return float("nan")
    return {key: _numbers(item) for key, item in value.items()} if isinstance(value, dict) else value
