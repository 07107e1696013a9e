"""Runs side by side: what differs in their recipes, whether their scores really differ, which answers changed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distiltune.errors import TrainingError
from distiltune.run_directory import RunDirectory
from distiltune.tasks.analysis import ScoredAnswer
from distiltune.tasks.choose import USUAL
from distiltune.training.loop import EpochReport, StepReport

N_RESAMPLES = 10_000
SHOWN_CHANGES = 10
_OF_NO_CONSEQUENCE = frozenset({"device", "threads", "log_every", "evaluation_tokens"})


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


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """How much better the second of two runs scored, in points, over the examples that both answered.

    Attributes:
        metric: "exact match" or "F1".
        difference: second minus first.
        low: lower end of the interval that holds it with 95 %, by the paired bootstrap (Efron & Tibshirani 1993).
        high: upper end.
        p_value: how likely a difference at least so far from 0 is by chance, two-sided.
        n: examples.

    """

    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    n: int

    @property
    def is_real(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class ChangedAnswer:
    """An example that two runs answer with different scores."""

    id: str
    asked: str
    wanted: tuple[str, ...]
    first: str
    second: str
    f1_change: float


@dataclass(frozen=True, slots=True)
class PairComparison:
    """The second run against the first."""

    first: str
    second: str
    scores: tuple[ScoreDifference, ...]
    changed: tuple[ChangedAnswer, ...]
    n_only_first: int
    n_only_second: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several runs, each against the first.

    Attributes:
        runs: as read.
        differing: settings that are not the same everywhere: name → value in each run.
        pairs: every further run against the first.
        notes: what makes the comparison less than fair.

    """

    runs: tuple[RunRecord, ...]
    differing: Mapping[str, tuple[Any, ...]]
    pairs: tuple[PairComparison, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The comparison as plain values; every changed answer."""
        return {
            "runs": [
                {
                    "name": run.name,
                    "best_epoch": run.best_epoch,
                    "train": dict(run.best.train),
                    "validation": dict(run.best.validation),
                    "train_seconds": sum(epoch.train_seconds for epoch in run.epochs),
                }
                for run in self.runs
            ],
            "differing": {name: list(values) for name, values in self.differing.items()},
            "pairs": [asdict(pair) for pair in self.pairs],
            "notes": list(self.notes),
        }


def compare_runs(paths: Sequence[str | Path]) -> Comparison:
    """Read runs and compare each further one with the first.

    Raises:
        TrainingError: if there are fewer than two, or one is no run with an epoch ended.

    """
    if len(paths) < 2:
        raise TrainingError("There is only one run.", fix="name two runs or more")
    runs = [read_run(Path(path)) for path in paths]
    tasks = list(dict.fromkeys(run.task for run in runs))
    if len(tasks) > 1:
        raise TrainingError(
            f"The runs are of different tasks: {', '.join(tasks)}.", fix="compare runs of one task with each other"
        )
    names = [run.settings for run in runs]
    keys = [key for key in dict.fromkeys(key for each in names for key in each) if key not in _OF_NO_CONSEQUENCE]
    differing = {key: tuple(each.get(key) for each in names) for key in keys}
    differing = {key: values for key, values in differing.items() if any(value != values[0] for value in values)}
    pairs = tuple(compare_pair(runs[0], other) for other in runs[1:])
    return Comparison(tuple(runs), differing, pairs, tuple(_notes(runs, pairs)))


def _notes(runs: Sequence[RunRecord], pairs: Sequence[PairComparison]) -> list[str]:
    notes = []
    if any(run.fingerprints.get("validation") != runs[0].fingerprints.get("validation") for run in runs):
        notes.append("the runs were validated on different data; only examples that they share are compared")
    for pair in pairs:
        if not pair.scores:
            notes.append(f"{pair.first} and {pair.second} share no validation example, so their scores say little")
    return notes


def compare_pair(first: RunRecord, second: RunRecord) -> PairComparison:
    """The second run against the first, over the examples that both answered."""
    shared = [id for id in first.answers if id in second.answers]
    scores: list[ScoreDifference] = []
    changed: list[ChangedAnswer] = []
    if shared:
        exact = _of_both(first, second, shared, "exact")
        partial = _of_both(first, second, shared, "f1")
        scores.append(paired_bootstrap("exact match", *exact))
        if not np.array_equal(exact, partial):  # an answer of one label is right or wrong
            scores.append(paired_bootstrap("F1", *partial))
        for id in shared:
            one, other = first.answers[id], second.answers[id]
            if one.f1 != other.f1 or one.exact != other.exact:
                changed.append(ChangedAnswer(id, one.asked, one.wanted, one.given, other.given, other.f1 - one.f1))
    changed.sort(key=lambda each: -abs(each.f1_change))
    return PairComparison(
        first.name,
        second.name,
        tuple(scores),
        tuple(changed),
        len(first.answers) - len(shared),
        len(second.answers) - len(shared),
    )


def _of_both(
    first: RunRecord, second: RunRecord, ids: Sequence[str], score: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    one, other = (np.array([getattr(run.answers[id], score) for id in ids]) for run in (first, second))
    return one, other


def paired_bootstrap(
    metric: str, first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], seed: int = 0
) -> ScoreDifference:
    """Whether two runs' scores on the same examples differ: these are drawn anew with replacement.

    Args:
        metric: its name.
        first: ``(n_examples,)`` from 0 to 1.
        second: the same examples in the same order.
        seed: of the draws.

    """
    n = len(first)
    values, counts = np.unique(second - first, return_counts=True)
    # Drawing n examples with replacement is one multinomial draw over the distinct differences.
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=N_RESAMPLES)
    means = 100 * (drawn @ values) / n
    low, high = np.percentile(means, [2.5, 97.5])
    below, above = float((means <= 0).mean()), float((means >= 0).mean())
    return ScoreDifference(
        metric=metric,
        difference=float(100 * (second - first).mean()),
        low=float(low),
        high=float(high),
        p_value=min(1.0, 2 * max(min(below, above), 1 / N_RESAMPLES)),
        n=n,
    )


def read_run(path: Path) -> RunRecord:
    """Read a run directory.

    Raises:
        TrainingError: if it is no run, or no epoch has ended in it.

    """
    run = RunDirectory(path)
    try:
        surroundings = tomllib.loads(run.recipe.read_text(encoding="utf-8"))
        lines = [json.loads(line) for line in run.log.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"This is no run that can be read: {error}.", where=str(path), fix="give a run directory"
        ) from error
    epochs = tuple(_as_epoch(line) for line in lines if line["kind"] == "epoch")
    if not epochs:
        raise TrainingError("No epoch has ended in this run.", where=str(path), fix="let it train, then compare")
    best = [line["epoch"] for line in lines if line["kind"] == "epoch" and line.get("best")]
    return RunRecord(
        name=path.resolve().name,
        settings=surroundings.get("recipe", {}),
        fingerprints={name: data.get("fingerprint", "") for name, data in surroundings.get("data", {}).items()},
        epochs=epochs,
        steps=tuple(_as_step(line) for line in lines if line["kind"] == "step"),
        best_epoch=best[-1] if best else epochs[-1].epoch,
        answers=_read_answers(run.answers),
    )


def _read_answers(path: Path) -> dict[str, ScoredAnswer]:
    if not path.is_file():
        return {}
    answers = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        value = json.loads(line)
        answers[value["id"]] = ScoredAnswer(**{**value, "wanted": tuple(value["wanted"])})
    return answers


def _as_epoch(line: Mapping[str, Any]) -> EpochReport:
    return EpochReport(**{name: _numbers(line[name]) for name in EpochReport.__dataclass_fields__})


def _as_step(line: Mapping[str, Any]) -> StepReport:
    return StepReport(**{name: _numbers(line[name]) for name in StepReport.__dataclass_fields__})


def _numbers(value: Any) -> Any:
    """A logged value; null is what the log has for a number that is none."""
    if value is None:
        return float("nan")
    return {key: _numbers(item) for key, item in value.items()} if isinstance(value, dict) else value
