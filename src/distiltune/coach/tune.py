"""`distiltune tune`: training after training with other settings, chosen by Optuna, until enough were tried.

Every trial is a run of its own under ``trials/``. What was tried lies in ``study.log``, from which a search goes on
where it was broken off.
"""

from __future__ import annotations

import json
import math
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distiltune.coach.search_space import Range, SearchSpace
from distiltune.errors import RecipeError, TrainingError, install_extra
from distiltune.fine_tuning import FineTuned, fine_tune
from distiltune.recipe import MONITORS, Recipe
from distiltune.tasks.choose import with_task_of_training
from distiltune.training.early_stopping import monitored
from distiltune.training.loop import EpochReport
from distiltune.training.reporter import Quiet, Reporter

if TYPE_CHECKING:
    import optuna

N_WITHOUT_PRUNING = 4
"""Trials that always run to their end, so that there is something to compare with."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a search.

    Attributes:
        number: counted from 0.
        outcome: "done", "pruned" (stopped since others were better by then) or "diverged".
        settings: what was tried.
        value: of the monitored metric in the best epoch, None if there is no number.
        epochs_done: how many were run.

    """

    number: int
    outcome: str
    settings: Mapping[str, Any]
    value: float | None
    epochs_done: int


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

    def as_json(self) -> dict[str, Any]:
        """The search as plain values."""
        trials = [
            {
                "number": each.number,
                "outcome": each.outcome,
                "value": each.value,
                "epochs_done": each.epochs_done,
                "settings": dict(each.settings),
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


def tune(
    recipe: Recipe,
    space: SearchSpace,
    output: Path,
    *,
    n_trials: int = 20,
    make_reporter: Callable[[], Reporter] = Quiet,
) -> Search:
    """Try settings until ``n_trials`` were tried, those of an earlier search in ``output`` included.

    Raises:
        DistiltuneError: if Optuna is missing, the directory holds another search, or a training cannot begin.

    """
    if not recipe.validation and recipe.validation_share == 0:
        raise RecipeError(
            "A search needs validation data to judge by.", where="recipe: validation", fix="name --validation data"
        )
    recipe = with_task_of_training(recipe)
    study = _open_study(recipe, space, output)
    while len(trials := _trials(study)) < n_trials:
        _run_trial(study, recipe, space, output, make_reporter(), seed=recipe.seed + len(trials))
        _keep_best_model(_trials(study), recipe, output)
    return _search(study, recipe)


def _open_study(recipe: Recipe, space: SearchSpace, output: Path) -> optuna.Study:
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise TrainingError(
            "A search needs Optuna, which is not installed.", where="tune", fix=f"install it: {install_extra('tune')}"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    output.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name="distiltune",
        storage=JournalStorage(JournalFileBackend(str(output / "study.log"))),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=N_WITHOUT_PRUNING, n_warmup_steps=0),
        direction="minimize" if MONITORS[recipe.monitor] == "lower" else "maximize",
        load_if_exists=True,
    )
    asked = {"recipe": recipe.model_dump(mode="json"), "space": [part.as_json() for part in space]}
    known = study.user_attrs.get("asked")
    if known is not None and known != json.loads(json.dumps(asked)):
        raise TrainingError(
            "The output directory holds a search of other settings or with another recipe.",
            where=str(output),
            fix="choose another --output, or repeat the settings of that search to go on with it",
        )
    study.set_user_attr("asked", asked)
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):  # broken off: to be tried again
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _run_trial(
    study: optuna.Study, recipe: Recipe, space: SearchSpace, output: Path, reporter: Reporter, seed: int
) -> None:
    import optuna

    # A sampler per trial, so that a search that went on and one that was never broken off try the same settings.
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=6)
    trial = study.ask()
    settings = {part.name: _suggest(trial, part) for part in space}
    pruned = False

    def go_on(report: EpochReport) -> bool:
        nonlocal pruned
        value = monitored(report, recipe.monitor)
        if math.isfinite(value):
            trial.report(value, report.epoch)
            pruned = trial.should_prune() and report.epoch + 1 < changed.epochs
        return not pruned

    changed = recipe.with_changes(**settings)
    directory = output / "trials" / f"{trial.number:03d}"
    reporter.note(f"trial {trial.number}: " + ", ".join(f"{name} {_shown(value)}" for name, value in settings.items()))
    done: FineTuned | None = None
    try:
        done = fine_tune(changed, output=directory, overwrite=True, reporter=reporter, go_on=go_on)
    except TrainingError as error:
        if not error.what.startswith("No epoch has"):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
    except BaseException:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        raise
    value = monitored(done.best, recipe.monitor) if done is not None else None
    trial.set_user_attr("outcome", "diverged" if done is None else "pruned" if pruned else "done")
    trial.set_user_attr("value", value)
    trial.set_user_attr("epochs_done", len(done.epochs) if done is not None else 0)
    if done is None or pruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, value)


def _suggest(trial: optuna.Trial, part: Any) -> Any:
    if not isinstance(part, Range):
        return trial.suggest_categorical(part.name, part.values)
    if part.whole:
        return trial.suggest_int(part.name, int(part.low), int(part.high), log=part.log)
    return trial.suggest_float(part.name, part.low, part.high, log=part.log)


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _trials(study: optuna.Study) -> list[Trial]:
    """What was tried, without what was broken off."""
    found = []
    for trial in study.get_trials(deepcopy=False):
        known = trial.user_attrs
        if "outcome" in known and trial.state.is_finished() and trial.state.name != "FAIL":
            settings = {name: trial.params[name] for name in trial.params}
            found.append(Trial(trial.number, known["outcome"], settings, known["value"], known["epochs_done"]))
    return found


def _search(study: optuna.Study, recipe: Recipe) -> Search:
    trials = _trials(study)
    n_done = sum(each.outcome == "done" for each in trials)
    best = _best(trials, recipe)
    return Search(recipe.monitor, MONITORS[recipe.monitor], tuple(trials), best, _importances(study, n_done), recipe)


def _best(trials: Sequence[Trial], recipe: Recipe) -> Trial | None:
    done = [each for each in trials if each.outcome == "done" and each.value is not None]
    sign = 1.0 if MONITORS[recipe.monitor] == "lower" else -1.0
    return min(done, key=lambda each: sign * (each.value or 0.0), default=None)


def _importances(study: optuna.Study, n_done: int) -> dict[str, float]:
    """PED-ANOVA (Watanabe et al. 2023): what tells the best quarter of the trials from all."""
    if n_done < 6:
        return {}
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    with warnings.catch_warnings():  # the evaluator is new in Optuna, and few trials are no reason to warn the user
        warnings.simplefilter("ignore")
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=0.25))
    return {name: round(float(value), 4) for name, value in found.items()}


def _keep_best_model(trials: Sequence[Trial], recipe: Recipe, output: Path) -> None:
    """Checkpoints go, and every model but the best one's: a search would fill the disk."""
    best = _best(trials, recipe)
    for each in trials:
        directory = output / "trials" / f"{each.number:03d}"
        shutil.rmtree(directory / "checkpoints", ignore_errors=True)
        if each is not best:
            shutil.rmtree(directory / "model", ignore_errors=True)


def write_search(search: Search, output: Path) -> list[Path]:
    """Write ``search.json``, the picture, and the best recipe as ``best.toml``; returns what was written."""
    from distiltune.report.search_picture import draw_search

    data, picture, best = output / "search.json", output / "search.svg", output / "best.toml"
    data.write_text(json.dumps(search.as_json(), indent=1) + "\n", encoding="utf-8")
    written = [data]
    if (recipe := search.best_recipe) is not None:
        best.write_text(recipe.to_toml(), encoding="utf-8")
        draw_search(search, picture)
        written += [picture, best]
    return written


def search_lines(search: Search) -> list[str]:
    """The search for a terminal: the best trials, and what mattered."""
    sign = 1.0 if search.better == "lower" else -1.0
    ordered = sorted(search.trials, key=lambda each: (each.value is None, sign * (each.value or 0.0)))
    outcomes = [each.outcome for each in search.trials]
    lines = [f"{len(search.trials)} trials: " + ", ".join(f"{outcomes.count(o)} {o}" for o in dict.fromkeys(outcomes))]
    for each in ordered[:10]:
        value = f"{each.value:.4f}" if each.value is not None else "no number"
        settings = "  ".join(f"{name} {_shown(setting)}" for name, setting in each.settings.items())
        lines.append(f"  trial {each.number:>3}  {search.monitor} {value}  {each.outcome:<8}  {settings}")
    if search.importances:
        lines.append("what mattered: " + ", ".join(f"{name} {share:.0%}" for name, share in search.importances.items()))
    if search.best is None:
        lines.append("no trial ran to its end, so there is no best one")
    return lines
