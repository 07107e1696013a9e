"""Runs side by side: what differs in their recipes, whether their scores really differ, which answers changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distiltune.errors import RecipeError, TrainingError
from distiltune.progress import counted
from distiltune.runs.record import RunRecord, read_run
from distiltune.system.names import as_path
from distiltune.tasks.analysis import ScoredAnswer

N_RESAMPLES = 10_000
_AT_ONCE = 1_000  # resamples, so that memory stays small for many distinct examples
SHOWN_CHANGES = 10
_EXACT = {
    "text-classification": "accuracy",
    "token-classification": "all marked right",
    "multiple-choice": "accuracy",
}
"""What the share of examples that are right as a whole is called, where it is not "exact match"."""
_OF_NO_CONSEQUENCE = frozenset({"device", "threads", "log_every", "evaluation_tokens"})

_BY_CONTENT = frozenset({"train", "validation"})
"""Settings that name data, which is the same by its content, not by its path."""

Sums = npt.NDArray[np.float64]
"""``(n_examples, 2)``: what each example adds to a score's numerator and to its denominator."""


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """How much better the second of two runs scored, in points, over the examples that both answered.

    Attributes:
        metric: "exact match", "accuracy", "F1" or "micro F1", each as the task's evaluation defines it; "all marked
            right" is the share of texts without a wrong entity.
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
    """The second run against the first.

    Attributes:
        first: name of the first.
        second: name of the second.
        scores: over the examples that both answered; none if there are no such.
        changed: their answers with another score, the largest change first.
        n_only_first: examples whose id only the first has.
        n_only_second: likewise.
        n_clashing: ids that both have, for another question or another right answer; these are not compared.

    """

    first: str
    second: str
    scores: tuple[ScoreDifference, ...]
    changed: tuple[ChangedAnswer, ...]
    n_only_first: int
    n_only_second: int
    n_clashing: int


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Several runs, each against the first.

    Attributes:
        runs: as read.
        differing: settings that are not the same everywhere: name → value in each run, as it was decided where the
            recipe leaves it open and every run tells.
        pairs: every further run against the first.
        notes: what makes the comparison less than fair.

    """

    runs: tuple[RunRecord, ...]
    differing: Mapping[str, tuple[Any, ...]]
    pairs: tuple[PairComparison, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        names = ", ".join(run.name for run in self.runs)
        return f"<RunComparison of {names}: {counted(len(self.differing), 'differing setting')}>"

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


def compare_runs(paths: Sequence[str | Path]) -> RunComparison:
    """Read runs and compare each further one with the first.

    Raises:
        RecipeError: if there are fewer than two.
        TrainingError: if one is no run with an epoch ended, or they are of different tasks.

    """
    if len(paths) < 2:
        raise RecipeError("There is only one run.", where="RUNS", fix="name two runs or more")
    runs = [read_run(as_path(path, "a run")) for path in paths]
    tasks = list(dict.fromkeys(run.task for run in runs))
    if len(tasks) > 1:
        raise TrainingError(
            f"The runs are of different tasks: {', '.join(tasks)}.", fix="compare runs of one task with each other"
        )
    all_tell = all(run.resolved for run in runs)
    settings = [run.as_run if all_tell else run.settings for run in runs]
    of_no_consequence = _OF_NO_CONSEQUENCE | {name for name in _BY_CONTENT if _is_same_data(runs, name)}
    keys = [key for key in dict.fromkeys(key for each in settings for key in each) if key not in of_no_consequence]
    differing = {key: tuple(each.get(key) for each in settings) for key in keys}
    differing = {key: values for key, values in differing.items() if any(value != values[0] for value in values)}
    pairs = tuple(compare_pair(runs[0], other) for other in runs[1:])
    first, *others = (Path(path).resolve() for path in paths)
    same = [f"{run.name} is compared with itself" for run, path in zip(runs[1:], others, strict=True) if path == first]
    return RunComparison(tuple(runs), differing, pairs, (*dict.fromkeys(same), *_notes(runs, pairs)))


def _is_same_data(runs: Sequence[RunRecord], name: str) -> bool:
    """Whether all runs read the same files there, whatever they called them."""
    found = {run.fingerprints.get(name) for run in runs}
    return len(found) == 1 and found.isdisjoint({None, ""})


def _notes(runs: Sequence[RunRecord], pairs: Sequence[PairComparison]) -> list[str]:
    notes = []
    if any(run.fingerprints.get("validation") != runs[0].fingerprints.get("validation") for run in runs):
        notes.append("the runs were validated on different data; only examples that they share are compared")
    if silent := [run.name for run in runs if not run.resolved]:
        notes.append(
            f"an earlier version of distiltune wrote {', '.join(silent)}; whether precision and dropouts were the same "
            "is not known where the recipes leave them open"
        )
    for pair in pairs:
        both = f"{pair.first} and {pair.second}"
        if pair.n_clashing:
            notes.append(
                f"{pair.n_clashing:,} ids stand in {both} for different examples (what was asked or wanted differs); "
                "these are not compared"
            )
        if not pair.scores:
            notes.append(f"{both} share no validation example, so nothing can be said about which is better")
    return notes


def compare_pair(first: RunRecord, second: RunRecord) -> PairComparison:
    """The second run against the first, over the examples that both answered."""
    with_both_ids = [id for id in first.answers if id in second.answers]
    both = [(first.answers[id], second.answers[id]) for id in with_both_ids]
    both = [(one, other) for one, other in both if _is_same_example(one, other)]
    changed = [
        ChangedAnswer(one.id, one.asked, one.wanted, one.given, other.given, other.f1 - one.f1)
        for one, other in both
        if one.f1 != other.f1 or one.exact != other.exact
    ]
    changed.sort(key=lambda each: -abs(each.f1_change))
    return PairComparison(
        first.name,
        second.name,
        tuple(_differences(first, second, both)) if both else (),
        tuple(changed),
        len(first.answers) - len(with_both_ids),
        len(second.answers) - len(with_both_ids),
        len(with_both_ids) - len(both),
    )


def _is_same_example(one: ScoredAnswer, other: ScoredAnswer) -> bool:
    """An id alone says little: many data sets count their rows from 0."""
    return one.asked == other.asked and set(one.wanted) == set(other.wanted)


def _differences(
    first: RunRecord, second: RunRecord, both: Sequence[tuple[ScoredAnswer, ScoredAnswer]]
) -> Iterator[ScoreDifference]:
    ones, others = zip(*both, strict=True)
    exact = means([each.exact for each in ones]), means([each.exact for each in others])
    yield paired_bootstrap(_EXACT.get(first.task, "exact match"), *exact)
    f1 = _f1(ones), _f1(others)
    if np.array_equal(exact, f1):  # an answer of one label is right or wrong
        return
    if (ones[0].counts is None) != (others[0].counts is None):
        raise TrainingError(
            "An earlier version of distiltune wrote one of the runs, in which the F1 is another figure.",
            where=f"{first.name}, {second.name}",
            fix="train that one again to compare it",
        )
    yield paired_bootstrap("micro F1" if "micro_f1" in first.best.validation else "F1", *f1)


def _f1(answers: Sequence[ScoredAnswer]) -> Sums:
    """As the task's evaluation has it: of all labels or entities together, or the mean of the examples' own."""
    counts = [each.counts for each in answers if each.counts is not None]
    if not counts:
        return means([each.f1 for each in answers])
    return np.array([(each.n_right, (each.n_given + each.n_wanted) / 2) for each in counts], dtype=np.float64)


def means(values: Sequence[float]) -> Sums:
    """Of a score that is the mean of the examples' own, ``(n_examples,)`` from 0 to 1."""
    return np.stack([np.asarray(values, dtype=np.float64), np.ones(len(values))], axis=1)


def paired_bootstrap(metric: str, first: Sums, second: Sums, seed: int = 0) -> ScoreDifference:
    """Whether two runs' scores on the same examples differ: these are drawn anew with replacement.

    Args:
        metric: its name.
        first: of one run; the score is the sum of the numerators over that of the denominators, 0 where that is 0.
        second: of the other, the same examples in the same order.
        seed: of the draws.

    """
    n = len(first)
    rows, counts = np.unique(np.concatenate([first, second], axis=1), axis=0, return_counts=True)
    # Drawing n examples with replacement is one multinomial draw over the distinct ones.
    draw = np.random.default_rng(seed)
    drawn = (draw.multinomial(n, counts / n, size=_AT_ONCE) for _ in range(0, N_RESAMPLES, _AT_ONCE))
    differences = np.concatenate([_difference(each @ rows) for each in drawn])
    low, high = np.percentile(differences, [2.5, 97.5])
    below, above = float((differences <= 0).mean()), float((differences >= 0).mean())
    return ScoreDifference(
        metric=metric,
        difference=float(_difference((counts @ rows)[None])[0]),
        low=float(low),
        high=float(high),
        p_value=min(1.0, 2 * max(min(below, above), 1 / N_RESAMPLES)),
        n=n,
    )


def _difference(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The second score less the first in points, ``(n_draws,)``, from both runs' sums, ``(n_draws, 4)``."""
    first, second = (np.divide(a, b, out=np.zeros_like(a), where=b > 0) for a, b in (sums[:, :2].T, sums[:, 2:].T))
    rounded: npt.NDArray[np.float64] = np.round(100 * (second - first), 9)  # so that equal scores stay equal
    return rounded
