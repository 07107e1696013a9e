"""`distiltune tune`: training after training with other settings, chosen by Optuna, until enough were tried.

Every trial is a run of its own under ``trials/``. What was tried lies in ``study.log``, from which a search goes on
where it was broken off.
"""

from __future__ import annotations

import gc
import json
import math
import shutil
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distiltune.errors import DivergedError, RecipeError, TrainingError, install_extra
from distiltune.recipe.choose_task import with_task_of_training
from distiltune.recipe.recipe import Recipe
from distiltune.runs.fine_tune import FineTuned, fine_tune
from distiltune.runs.prepare import prepare
from distiltune.studies.journal import JOURNAL, mend_journal
from distiltune.studies.search import Search, Trial
from distiltune.studies.search_space import Range, SearchSpace
from distiltune.system import lock
from distiltune.system.device import choose_device, is_out_of_memory
from distiltune.system.durable import find_link, write_whole, writing_set, writing_to
from distiltune.system.host import restored
from distiltune.system.lock import RunLock
from distiltune.training.distributed import Processes
from distiltune.training.early_stopping import monitored
from distiltune.training.loop import EpochReport
from distiltune.training.reporter import Quiet, Reporter

if TYPE_CHECKING:
    import optuna

_WRITTEN = frozenset({lock.NAME, JOURNAL, "trials"})
"""What a search goes on writing, or removes from, in its directory; its other files are replaced by name."""

_GO_ON = "make room or rights there, then give the same command again: the search goes on where it stopped"

N_WITHOUT_PRUNING = 4
"""Trials of as many epochs that must have run to their end before one is stopped for being behind them."""


@contextmanager
def _optuna_says_little() -> Iterator[None]:
    """Within it, Optuna logs warnings only."""
    try:
        import optuna
    except ImportError:  # which `_open_study` says
        yield
        return
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


@_optuna_says_little()
@restored()
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
        DistiltuneError: if Optuna is missing, no trial is asked for, the directory holds another search or one that is
            under way, a training cannot begin for a reason that holds for all of them, or every trial failed.

    """
    if n_trials < 1:
        raise RecipeError(f"{n_trials} trials try nothing.", where="--trials", fix="give 1 or more")
    if not recipe.validation and recipe.validation_share == 0:
        raise RecipeError(
            "A search needs validation data to judge by.", where="recipe: validation", fix="name --validation data"
        )
    recipe = _judged_alike(with_task_of_training(recipe))
    with writing_to(output, TrainingError):
        output.mkdir(parents=True, exist_ok=True)
        _check_links(output)
    held = RunLock(output)
    held.acquire()
    try:
        with writing_to(output, TrainingError, what="The search's journal", fix=_GO_ON):
            for note in mend_journal(output / JOURNAL):
                make_reporter().note(note)
            study = _open_study(recipe, space, output)
        _keep_best_model(study, recipe, output)
        while len(_trials(study)) < n_trials:
            with writing_to(output, TrainingError, what="The search", fix=_GO_ON):
                _run_trial(study, recipe, space, output, make_reporter())
            _keep_best_model(study, recipe, output)
    finally:
        held.release()
    search = _search(study, recipe)
    if search.trials and all(each.outcome == "failed" for each in search.trials):
        raise TrainingError(
            f"All {len(search.trials)} trials failed; the last one: {search.trials[-1].why}",
            where=str(output),
            fix="search other settings into another --output; if memory ran out, a smaller batch_size or max_length",
        )
    return search


def _check_links(output: Path) -> None:
    """Check that nothing that a search goes on writing, or removes from, leads out of its directory.

    Raises:
        TrainingError: if there is a link among it, or what is neither a file nor a folder.
        OSError: if it cannot be listed.

    """
    if (link := find_link(output, _WRITTEN.__contains__)) is not None:
        raise TrainingError(
            "There is a link where a search writes: what lies elsewhere would be changed or removed."
            if link.is_symlink()
            else "There is a pipe or a device where a search writes.",
            where=str(link),
            fix="remove it, or choose another --output",
        )


def _judged_alike(recipe: Recipe) -> Recipe:
    """The recipe with the monitor and the epochs that a rule would choose, so that all trials have the same.

    The learning rate and what else it chooses are left to each trial, since they follow from what is tried.
    """
    if {"monitor", "epochs"}.isdisjoint(recipe.open):
        return recipe
    settled = prepare(recipe, Processes(), choose_device(recipe.device)).recipe
    return recipe.with_changes(monitor=settled.monitor, epochs=settled.epochs)


def _open_study(recipe: Recipe, space: SearchSpace, output: Path) -> optuna.Study:
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise TrainingError(
            "A search needs Optuna, which is not installed.", where="tune", fix=f"install it: {install_extra('tune')}"
        ) from error
    study = optuna.create_study(
        study_name="distiltune",
        storage=JournalStorage(JournalFileBackend(str(output / JOURNAL))),
        direction="minimize" if recipe.better == "lower" else "maximize",
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
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):  # killed
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _run_trial(study: optuna.Study, recipe: Recipe, space: SearchSpace, output: Path, reporter: Reporter) -> None:
    """Try one more; what goes wrong for its settings alone is its outcome, and everything else is raised."""
    import optuna

    # A sampler per trial, so that a search that went on and one that was never broken off try the same settings. By
    # its number, which counts those that were killed too: what the system kills for its memory must not come again.
    seed = recipe.seed + len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=6)
    trial = study.ask()
    settings = {part.name: _suggest(trial, part) for part in space}
    n_epochs = settings.get("epochs", recipe.epochs)
    values: list[float] = []
    pruned = False

    def go_on(report: EpochReport) -> bool:
        nonlocal pruned
        value = monitored(report, recipe.monitor)
        if math.isfinite(value):
            trial.report(value, report.epoch)
            values.append(value)
            pruned = report.epoch + 1 < n_epochs and _is_behind(study, recipe, values, report.epoch, n_epochs)
        return not pruned

    directory = _directory(output, trial.number)
    reporter.note(f"trial {trial.number}: " + ", ".join(f"{name} {_shown(value)}" for name, value in settings.items()))
    done: FineTuned | None = None
    why = ""
    try:
        changed = recipe.with_changes(**settings)
        done = fine_tune(changed, output=directory, overwrite=True, reporter=reporter, go_on=go_on)
        outcome = "pruned" if pruned else "done"
    except BaseException as error:
        outcome, why = _went_wrong(error)
        if not outcome:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            if isinstance(error, KeyboardInterrupt):
                reporter.note("the search goes on with the same command, and with another trial in place of this one")
            raise
        reporter.note(f"trial {trial.number} {outcome}: {why}")
    if outcome == "failed":
        gc.collect()  # of the model and its tensors, which the error's traceback held
    trial.set_user_attr("outcome", outcome)
    trial.set_user_attr("why", why)
    trial.set_user_attr("value", monitored(done.best, recipe.monitor) if done is not None else None)
    trial.set_user_attr("epochs_done", len(done.epochs) if done is not None else len(values))
    if outcome == "done" and done is not None:
        study.tell(trial, monitored(done.best, recipe.monitor))
    else:  # which the sampler takes for a bad result: it looks elsewhere
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def _went_wrong(error: BaseException) -> tuple[str, str]:
    """The outcome of a trial that ended so, and why; empty if the error says nothing about its settings."""
    if isinstance(error, DivergedError):
        return "diverged", error.what
    if isinstance(error, RecipeError):
        return "failed", error.what
    if is_out_of_memory(error):
        return "failed", f"memory ran out ({str(error).strip().split(chr(10))[0] or type(error).__name__})"
    return "", ""


def _is_behind(study: optuna.Study, recipe: Recipe, values: Sequence[float], epoch: int, n_epochs: int) -> bool:
    """Whether the best value so far is worse than the middle of the values that others had after this epoch.

    The others are the finished trials of as many epochs: the learning rate falls to 0 over a trial's own epochs, so
    that after any of them a shorter training is further on than a longer one that ends better.
    """
    import optuna

    others = [
        each.intermediate_values[epoch]
        for each in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        if each.params.get("epochs", recipe.epochs) == n_epochs and epoch in each.intermediate_values
    ]
    if len(others) < N_WITHOUT_PRUNING:
        return False
    sign = _sign(recipe.better)
    middle: float = statistics.median(sign * value for value in others)
    return min(sign * value for value in values) > middle


def _directory(output: Path, number: int) -> Path:
    return output / "trials" / f"{number:03d}"


def _sign(better: str) -> float:
    """What makes less of a value always better."""
    return 1.0 if better == "lower" else -1.0


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
            found.append(
                Trial(trial.number, known["outcome"], settings, known["value"], known["epochs_done"], known["why"])
            )
    return found


def _search(study: optuna.Study, recipe: Recipe) -> Search:
    trials = _trials(study)
    n_done = sum(each.outcome == "done" for each in trials)
    best = _best(trials, recipe)
    return Search(recipe.monitor, recipe.better, tuple(trials), best, _importances(study, n_done), recipe)


def _best(trials: Sequence[Trial], recipe: Recipe) -> Trial | None:
    done = [each for each in trials if each.outcome == "done" and each.value is not None]
    sign = _sign(recipe.better)
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


def _keep_best_model(study: optuna.Study, recipe: Recipe, output: Path) -> None:
    """Checkpoints go, and every model but the best one's: a search would fill the disk.

    Checkpoints go also where a trial was broken off; a model that it has is left, since a person may have gone on
    with it by hand.
    """
    trials = _trials(study)
    best = _best(trials, recipe)
    for each in study.get_trials(deepcopy=False):
        shutil.rmtree(_directory(output, each.number) / "checkpoints", ignore_errors=True)
    for trial in trials:
        if trial is not best:
            shutil.rmtree(_directory(output, trial.number) / "model", ignore_errors=True)


def write_search(search: Search, output: Path) -> list[Path]:
    """Write ``search.json``, the picture, and the best recipe as ``best.toml``; returns what was written.

    Raises:
        TrainingError: if that cannot be done.

    """
    from distiltune.studies.search_picture import draw_search

    data, picture, best = output / "search.json", output / "search.svg", output / "best.toml"
    written = [data]
    with (
        writing_to(output, TrainingError),
        writing_set(output, (data.name, picture.name, best.name)) as beside,
    ):
        write_whole(beside / data.name, json.dumps(search.as_json(), indent=1) + "\n")
        if (recipe := search.best_recipe) is not None:
            write_whole(beside / best.name, recipe.to_toml())
            draw_search(search, beside / picture.name)
            written += [picture, best]
    return written


def search_lines(search: Search) -> list[str]:
    """The search for a terminal: the best trials, and what mattered."""
    sign = _sign(search.better)
    ordered = sorted(search.trials, key=lambda each: (each.value is None, sign * (each.value or 0.0)))
    outcomes = [each.outcome for each in search.trials]
    lines = [f"{len(search.trials)} trials: " + ", ".join(f"{outcomes.count(o)} {o}" for o in dict.fromkeys(outcomes))]
    for each in ordered[:10]:
        value = f"{each.value:.4f}" if each.value is not None else "no number"
        settings = "  ".join(f"{name} {_shown(setting)}" for name, setting in each.settings.items())
        lines.append(f"  trial {each.number:>3}  {search.monitor} {value}  {each.outcome:<8}  {settings}")
    reasons = [each.why for each in search.trials if each.outcome == "failed"]
    lines += [f"{reasons.count(why)} failed: {why}" for why in dict.fromkeys(reasons)]
    if search.importances:
        lines.append("what mattered: " + ", ".join(f"{name} {share:.0%}" for name, share in search.importances.items()))
    if search.best is None:
        lines.append("no trial ran to its end, so there is no best one")
    return lines
