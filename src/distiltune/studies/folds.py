"""Cross-validation: a training for each part of the data, which is left out of it and evaluated on after it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from distiltune.errors import TrainingError
from distiltune.recipe.recipe import Recipe
from distiltune.runs.directory import RunDirectory
from distiltune.runs.fine_tune import FineTuned, fine_tune, resume
from distiltune.system.durable import write_whole, writing_set, writing_text
from distiltune.tasks.analysis import Interval
from distiltune.tasks.own import NOTHING_OWN, Own
from distiltune.tasks.table import TASKS
from distiltune.training.distributed import processes
from distiltune.training.loop import Watcher
from distiltune.training.reporter import Quiet, Reporter
from distiltune.training.run_log import plain_values

SUMMARY: Final = "folds.json"
USUAL_FOLDS: Final = 5
_RECIPE: Final = "recipe.toml"
_T95: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""The quantile 0.975 of Student's t by degrees of freedom, from 1; beyond, the last, which is a little too wide."""


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """What a cross-validation came to.

    Attributes:
        directory: where its runs are, ``fold-0`` and on.
        folds: the runs, one for each part.
        metrics: each figure's mean over the parts and the interval that holds it with a confidence of 95 %, if the
            parts were independent; since they share their training data, it is rather too narrow.
        predictions: the files of what was said of each example by the model that had not seen it.

    """

    directory: Path
    folds: tuple[FineTuned, ...]
    metrics: Mapping[str, Interval]
    predictions: tuple[Path, ...]

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {each.value:.4f}" for name, each in self.metrics.items())
        return f"<CrossValidated {self.directory}, {len(self.folds)} folds: {figures}>"

    def as_json(self) -> dict[str, Any]:
        """The record as plain values."""
        return {
            "directory": str(self.directory),
            "folds": [fold.as_json() for fold in self.folds],
            "metrics": {
                name: plain_values({"mean": each.value, "low": each.low, "high": each.high})
                for name, each in self.metrics.items()
            },
            "predictions": [str(path) for path in self.predictions],
        }


def cross_validate(
    recipe: Recipe,
    output: Path,
    *,
    overwrite: bool = False,
    make_reporter: Callable[[], Reporter] = Quiet,
    callbacks: Sequence[Watcher] = (),
    own: Own = NOTHING_OWN,
) -> CrossValidated:
    """Train once for each of the recipe's ``folds``; a cross-validation of that recipe that was stopped goes on.

    Args:
        recipe: of every one of the trainings.
        output: the directory for their runs, what they come to, and the predictions.
        overwrite: begin anew where runs are already there.
        make_reporter: gives who shows a training's progress; by default nobody.
        callbacks: told of steps and epochs of all of them.
        own: metrics and a loss of one's own.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    if processes().world_size > 1:
        raise TrainingError(
            "Several processes train one fold together, and not all of them in a row.",
            where="recipe: folds",
            fix="run one command for each: --fold 0, --fold 1, ...",
        )
    recipe = recipe.with_changes(**own.settings)
    folds = []
    for fold in range(recipe.folds):
        run, reporter = output / f"fold-{fold}", make_reporter()
        reporter.note(f"fold {fold}, of {recipe.folds}")
        this = recipe.with_changes(fold=fold)
        if RunDirectory(run).is_run() and not overwrite:
            folds.append(resume(run, reporter=reporter, callbacks=callbacks, own=own, **_as_asked(this, run)))
            continue
        folds.append(fine_tune(this, output=run, overwrite=overwrite, reporter=reporter, callbacks=callbacks, own=own))
    return _summed_up(output, recipe, folds)


def _as_asked(recipe: Recipe, run: Path) -> dict[str, Any]:
    """What was asked for, which must be as the run was begun; what a rule chose there stays."""
    asked = recipe.model_dump(exclude_unset=True)
    begun = Recipe.from_toml(RunDirectory(run).recipe)
    return {name: value for name, value in asked.items() if getattr(begun, name) != value}


def _summed_up(output: Path, recipe: Recipe, folds: Sequence[FineTuned]) -> CrossValidated:
    """Write what all of them come to."""
    metrics = dict(_means([fold.best.validation for fold in folds]))
    names = _prediction_names(folds)
    with writing_set(output, (*names, _RECIPE, SUMMARY)) as beside:
        written = tuple(output / name for name in _write_predictions(beside, folds, names))
        found = CrossValidated(output, tuple(folds), metrics, written)
        write_whole(beside / _RECIPE, recipe.to_toml().encode())
        write_whole(beside / SUMMARY, json.dumps(found.as_json(), indent=1).encode() + b"\n")
    return found


def _prediction_names(folds: Sequence[FineTuned]) -> tuple[str, ...]:
    return (*TASKS[folds[0].recipe.task].prediction_files, "answers.jsonl")


def _means(validations: Sequence[Mapping[str, float]]) -> Iterator[tuple[str, Interval]]:
    """Of the figures that every part gives."""
    for name in validations[0]:
        values = [each[name] for each in validations if name in each]
        if len(values) == len(validations):
            yield name, t_interval(values)


def t_interval(values: Sequence[float]) -> Interval:
    """The mean of values and its interval by Student's t; without an end for a single one."""
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, -math.inf, math.inf)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    margin = _T95[min(n - 1, len(_T95)) - 1] * deviation / math.sqrt(n)
    return Interval(mean, mean - margin, mean + margin)


def _write_predictions(output: Path, folds: Sequence[FineTuned], names: Sequence[str]) -> tuple[str, ...]:
    """The runs' predictions end to end: lines with the number of their fold, or one object of all answers.

    Returns:
        the names of the files.

    """
    written = []
    for name in names:
        paths = [fold.directory / name for fold in folds]
        if not all(path.is_file() for path in paths):
            continue
        if name.endswith(".jsonl"):
            with writing_text(output / name) as file:
                for number, path in enumerate(paths):
                    for line in path.read_bytes().split(b"\n"):
                        if line:
                            row = {"fold": number, **json.loads(line)}
                            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        elif name == "predictions.json":
            answers: dict[str, str] = {}
            for path in paths:
                answers |= json.loads(path.read_text(encoding="utf-8"))
            write_whole(output / name, json.dumps(answers, ensure_ascii=False, indent=0) + "\n")
        else:  # a picture or a table of one part
            continue
        written.append(name)
    return tuple(written)


def folds_lines(found: CrossValidated) -> Iterator[str]:
    """What there is to say of it, line by line."""
    task = TASKS[found.folds[0].recipe.task]
    names = [name.removeprefix("validation_") for name in task.watchable]
    names += [name for name in found.folds[0].recipe.metrics if name not in names]
    yield f"mean of {len(found.folds)} folds, and its interval of 95 % (rather too narrow, since folds share data)"
    for name in names:
        if name in found.metrics:
            each = found.metrics[name]
            values = ", ".join(f"{fold.best.validation[name]:.4f}" for fold in found.folds)
            yield f"  {name.replace('_', ' '):<28} {each.value:.4f}  ({each.low:.4f} to {each.high:.4f})  of {values}"


def is_cross_validation(path: Path) -> bool:
    """Whether a directory is of a cross-validation, finished or not."""
    return RunDirectory(path / "fold-0").is_run() and not RunDirectory(path).is_run()


def begun_recipe(path: Path) -> Recipe:
    """The recipe of a cross-validation that was begun.

    Raises:
        TrainingError: if there is none.

    """
    if not is_cross_validation(path):
        raise TrainingError("There is no cross-validation here.", where=str(path), fix="give its directory")
    recipe = Recipe.from_toml(RunDirectory(path / "fold-0").recipe)
    return Recipe.build({**recipe.model_dump(exclude_unset=True), "fold": None})
