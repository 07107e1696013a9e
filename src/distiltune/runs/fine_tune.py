"""The main job, from files to a model directory: everything that `distiltune train` does, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from distiltune.coach.advice import Advice
from distiltune.coach.watching import CoachedWatcher
from distiltune.errors import TrainingError
from distiltune.model.encoder import model_device
from distiltune.progress import heard_by
from distiltune.recipe.recipe import Recipe
from distiltune.runs.coaching import training_facts
from distiltune.runs.directory import RunDirectory, recipe_as_run, write_run_start
from distiltune.runs.keeper import Asking, Follower, Keeper
from distiltune.runs.prepare import Prepared, prepare, prepare_again, tell
from distiltune.runs.results import write_results
from distiltune.runs.resume import (
    check_recipe,
    clear_leftovers,
    find_resumable,
    write_base,
)
from distiltune.runs.safekeeping import at_once, make_again, make_bad_steps, tell_resumed
from distiltune.system.device import choose_device
from distiltune.system.host import restored
from distiltune.system.lock import RunLock
from distiltune.training.checkpoint_writer import Checkpointer, Interval
from distiltune.training.distributed import Summed, joined, largest_of_all, processes
from distiltune.training.early_stopping import BestEpoch
from distiltune.training.gradients import make_gradients
from distiltune.training.interruption import Interruption, Terminated
from distiltune.training.loop import EpochReport, Guard, LoopSettings, LoopState, Watcher, train
from distiltune.training.optimiser import Adam
from distiltune.training.reporter import Quiet, Reporter
from distiltune.training.run_log import RunLog, plain_values
from distiltune.training.schedule import PolynomialDecay
from distiltune.training.tensorboard import EventsWatcher, open_events

GoOn = Callable[[EpochReport], bool]
"""Asked after an epoch whether to train on."""


@dataclass(frozen=True, slots=True)
class FineTuned:
    """What a run came to.

    Attributes:
        directory: the run directory.
        model: the model directory inside it, which holds the best epoch.
        epochs: one report an epoch.
        best_epoch: which of them ``model`` holds.
        recipe: the recipe as run.
        scores: the best epoch's main scores in words, empty without validation data.
        advice: what the coach says, the first thing to do first.

    """

    directory: Path
    model: Path
    epochs: tuple[EpochReport, ...]
    best_epoch: int
    recipe: Recipe
    scores: str = ""
    advice: tuple[Advice, ...] = ()

    @property
    def best(self) -> EpochReport:
        """The report of the best epoch."""
        return self.epochs[self.best_epoch]

    def as_json(self) -> dict[str, Any]:
        """The run as plain values: the metrics are the validation's of the best epoch, None for what is no number."""
        return {
            "directory": str(self.directory),
            "model": str(self.model),
            "best_epoch": self.best_epoch,
            "epochs_done": len(self.epochs),
            "metrics": plain_values(self.best.validation),
            "outcome": "done",
        }


@restored()
def fine_tune(
    recipe: Recipe | None = None,
    *,
    output: str | Path,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    go_on: GoOn | None = None,
    **settings: Any,
) -> FineTuned:
    """Fine-tune a model and write a run directory.

    Args:
        recipe: every setting; by default `classic` on the starter data.
        output: the run directory to make.
        overwrite: replace a run that is already there.
        reporter: who shows the progress; by default nobody.
        go_on: asked after each epoch, when its report is written, whether to train on; in one process only.
        **settings: settings that win over the recipe, such as ``train="train.json"``, ``epochs=2``.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    recipe = (recipe or Recipe()).with_changes(**settings)
    run = RunDirectory(Path(output))
    if processes().writes:
        run.check_free(overwrite=overwrite)
    return _fine_tune(recipe, run, reporter, overwrite=overwrite, resumed_with=None, go_on=go_on)


@restored()
def resume(run: str | Path, *, reporter: Reporter | None = None, **settings: Any) -> FineTuned:
    """Go on with a run that was stopped, however that happened, as if it never had been.

    Args:
        run: its run directory.
        reporter: who shows the progress; by default nobody.
        **settings: settings that may differ from then, such as ``threads`` or ``non_finite``; ``precision``, if it is
            named, does, and otherwise stays what it was, whatever `auto` is on this machine.

    Raises:
        DistiltuneError: if there is no run, it is being written, none of its checkpoints is whole, or recipe or data
            are others than it was begun with.

    """
    directory = RunDirectory(Path(run))
    if not directory.recipe.is_file():
        find_resumable(directory)  # which says so
    begun = Recipe.from_toml(directory.recipe)
    recipe = begun.with_changes(**settings)
    check_recipe(begun.model_dump(mode="json"), recipe, directory)
    return _fine_tune(recipe, directory, reporter, overwrite=True, resumed_with=settings)


def _fine_tune(
    recipe: Recipe,
    run: RunDirectory,
    reporter: Reporter | None,
    *,
    overwrite: bool,
    resumed_with: Mapping[str, Any] | None,
    go_on: GoOn | None = None,
) -> FineTuned:
    """Begin a run, or go on with one ``resumed_with`` these settings."""
    here = processes()
    if go_on is not None and here.count > 1:
        raise TrainingError("Several processes cannot ask whether to go on.", where="go_on", fix="train in one process")
    reporter = reporter if reporter is not None and here.writes else Quiet()
    lock = RunLock(run.path)
    try:
        device = choose_device(recipe.device, here.place_here)
        interruption = Interruption(lambda number: largest_of_all(here, number), here.count)
        with interruption, joined(here, device.type), heard_by(reporter.working):
            if here.writes and run.path.exists():
                lock.acquire()
            resumed = find_resumable(run) if resumed_with is not None else None
            # Before anything is written: a typing error costs no last run.
            if resumed is None:
                prepared = prepare(recipe, here, device)
            else:
                named = (resumed_with or {}).get("precision", "")
                prepared = prepare_again(recipe, here, device, run, resumed, named)
            if not here.writes:
                return _follow(prepared, run, interruption)
            if resumed is None:
                run.make()
                lock.acquire()
                if kept := run.create(overwrite=overwrite, recipe=_recipe_as_run(prepared)):
                    reporter.note(f"what no run writes stays in the run directory: {', '.join(kept)}")
            with RunLog(run.log, resumed.state["log_bytes"] if resumed is not None else None) as log:
                return _logged_run(prepared, run, log, reporter, interruption, go_on)
    finally:
        lock.release()
        reporter.close()


def _logged_run(
    prepared: Prepared,
    run: RunDirectory,
    log: RunLog,
    reporter: Reporter,
    interruption: Interruption,
    go_on: GoOn | None,
) -> FineTuned:
    try:
        return _run(prepared, run, log, reporter, interruption, go_on)
    except BaseException as error:
        outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(TrainingError):  # a full disk has been said already
            log.write("end", outcome=outcome, error=str(error))
        if isinstance(error, OSError):
            raise TrainingError(
                f"The run directory cannot be written: {error.strerror or error}.",
                where=str(error.filename or run.path),
                fix=f"make room or rights there, then: distiltune train --resume {run.path}",
            ) from error
        raise


def _run(
    prepared: Prepared,
    run: RunDirectory,
    log: RunLog,
    reporter: Reporter,
    interruption: Interruption,
    go_on: GoOn | None,
) -> FineTuned:
    recipe, resumed = prepared.recipe, prepared.resumed
    if resumed is None:
        write_run_start(
            run,
            log,
            recipe,
            prepared.resolved,
            prepared.loaded,
            prepared.training,
            prepared.validation,
            prepared.machine,
        )
        write_base(run, prepared.loaded)
    reporter.note(f"run: {run.path}")
    tell(reporter, prepared)
    if resumed is not None:
        tell_resumed(reporter, log, resumed, prepared.resolved, prepared.surroundings)
        clear_leftovers(run, resumed)

    model, task = prepared.loaded.model, prepared.task
    optimiser = _optimiser(recipe, model)

    checkpointer = _checkpointer(prepared, run, log, optimiser)
    keeper = _keeper(prepared, run, log, reporter, checkpointer, interruption, lambda: {"coach": coached.memory()})
    steps_done = resumed.place.steps_done if resumed is not None else 0
    events = open_events(run.events, steps_done) if recipe.tensorboard else None
    facts = training_facts(prepared, run)
    coached = CoachedWatcher(
        EventsWatcher(keeper, events) if events is not None else keeper, facts, model, optimiser, log, reporter.note
    )
    if resumed is None:
        coached.begin()
    else:
        keeper.remember(resumed.state)
        coached.remember(keeper.steps, keeper.epochs, resumed.state["coach"])
    watcher = Asking(coached, go_on) if go_on is not None else coached
    reporter.begin(task.table, recipe.epochs, prepared.steps_per_epoch)
    try:
        _put_back(prepared, optimiser)
        if not keeper.is_finished:
            evaluate = at_once(lambda: _evaluate(prepared, run, reporter), interruption)
            _train(prepared, optimiser, evaluate, watcher, keeper, interruption)
        checkpointer.wait()
    except KeyboardInterrupt as stopped:
        reporter.note(f"stopped; go on with: distiltune train --resume {run.path}")
        if keeper.has_best and not isinstance(stopped, Terminated):
            write_results(run, prepared, keeper, coached, may_probe=False)
            reporter.note(
                f"interrupted; {run.model} holds epoch {keeper.best_epoch()}, the best of {len(keeper.epochs)}"
            )
        raise
    finally:
        if events is not None:
            events.close()
    fine_tuned = _finish(prepared, run, log, keeper, coached)
    checkpointer.tidy(fine_tuned.best_epoch)
    return fine_tuned


def _checkpointer(prepared: Prepared, run: RunDirectory, log: RunLog, optimiser: Adam) -> Checkpointer:
    recipe, resumed = prepared.recipe, prepared.resumed
    return Checkpointer(
        run.checkpoints,
        prepared.loaded.model,
        optimiser,
        Interval(recipe.checkpoint_steps, recipe.checkpoint_minutes),
        came_from=resumed.came_from if resumed is not None else None,
        before_writing=log.sync,
        make_again=lambda: make_again(run, _recipe_as_run(prepared), prepared.loaded),
    )


def _keeper(
    prepared: Prepared,
    run: RunDirectory,
    log: RunLog,
    reporter: Reporter,
    checkpointer: Checkpointer,
    interruption: Interruption,
    more_state: Callable[[], Mapping[str, object]],
) -> Keeper:
    recipe = prepared.recipe
    return Keeper(
        run,
        log,
        reporter,
        checkpointer,
        prepared.choice,
        monitor=recipe.monitor,
        patience=recipe.patience,
        steps_per_epoch=prepared.steps_per_epoch,
        interruption=interruption,
        bad_steps=make_bad_steps(prepared.training, recipe.non_finite == "skip", str(run.log)),
        more_state=lambda: {
            **prepared.surroundings,
            **more_state(),
            "seconds": time.perf_counter() - prepared.began,
        },
    )


def _evaluate(prepared: Prepared, run: RunDirectory, reporter: Reporter) -> Mapping[str, float]:
    """The validation metrics, with the predictions beside the run's; none without validation data."""
    data = prepared.validation
    if data is None:
        return {}
    run.new_predictions.mkdir(exist_ok=True)

    def on_progress(n_done: int) -> None:
        reporter.working("evaluating", "examples", n_done, data.n_examples)

    return prepared.task.evaluate(prepared.loaded.model, data, run.new_predictions, on_progress).metrics


def _finish(prepared: Prepared, run: RunDirectory, log: RunLog, keeper: Keeper, coached: CoachedWatcher) -> FineTuned:
    """Write the best epoch's model and all results, and close the log."""
    findings = write_results(run, prepared, keeper, coached)
    best = keeper.best_epoch()
    log.write("event", event="model_written", epoch=best, why=keeper.why_best())
    log.write("end", outcome="done", best_epoch=best, seconds=round(time.perf_counter() - prepared.began, 3))
    metrics = keeper.epochs[best].validation
    scores = prepared.task.guide(metrics).scores(metrics)
    return FineTuned(run.path, run.model, tuple(keeper.epochs), best, prepared.recipe, scores, findings.advice)


def _recipe_as_run(prepared: Prepared) -> str:
    return recipe_as_run(prepared.recipe, prepared.resolved, prepared.training, prepared.validation, prepared.machine)


def _follow(prepared: Prepared, run: RunDirectory, interruption: Interruption) -> FineTuned:
    """What every process but the first does: the same training, and nothing written."""
    recipe, task, model = prepared.recipe, prepared.task, prepared.loaded.model
    bad_steps = make_bad_steps(prepared.training, recipe.non_finite == "skip", str(run.log))
    follower = Follower(prepared.choice, recipe.monitor, recipe.patience, interruption, bad_steps)
    if prepared.resumed is not None:
        follower.best = BestEpoch(**prepared.resumed.state["best"])
        follower.epochs = [EpochReport(**report) for report in prepared.resumed.state["epochs"]]

    def evaluate() -> Mapping[str, float]:
        return task.evaluate(model, prepared.validation).metrics if prepared.validation is not None else {}

    if not follower.best.should_stop(recipe.patience):
        optimiser = _optimiser(recipe, model)
        _put_back(prepared, optimiser)
        _train(prepared, optimiser, at_once(evaluate, interruption), follower, follower, interruption)
    return FineTuned(run.path, run.model, tuple(follower.epochs), follower.best.epoch, recipe)


def _put_back(prepared: Prepared, optimiser: Adam) -> None:
    if prepared.resumed is not None:
        prepared.resumed.put_back(prepared.loaded.model, optimiser, prepared.recipe.seed, prepared.here.place)


def _train(
    prepared: Prepared,
    optimiser: Adam,
    evaluate: Callable[[], Mapping[str, float]],
    watcher: Watcher,
    guard: Guard,
    interruption: Interruption,
) -> None:
    recipe, task, model, here = prepared.recipe, prepared.task, prepared.loaded.model, prepared.here
    with (
        interruption.deferred(),
        make_gradients(
            model,
            prepared.lesson.objective,
            prepared.precision,
            max_length=int(prepared.lesson.features.lengths.max()),
            place=here.place,
            n_places=here.count,
        ) as gradients,
    ):
        train(
            model,
            prepared.lesson.features,
            gradients if here.count == 1 else Summed(gradients, model, len(task.metric_names)),
            task.metric_names,
            optimiser,
            _schedule(recipe, prepared.steps_per_epoch * recipe.epochs),
            _loop_settings(recipe),
            evaluate,
            watcher,
            model_device(model),
            here.place,
            here.count,
            prepared.resumed.loop if prepared.resumed is not None else LoopState(),
            guard,
        )


def _optimiser(recipe: Recipe, model: torch.nn.Module) -> Adam:
    return Adam(
        model,
        beta1=recipe.adam_beta1,
        beta2=recipe.adam_beta2,
        epsilon=recipe.adam_epsilon,
        weight_decay=recipe.weight_decay,
    )


def _schedule(recipe: Recipe, n_steps: int) -> PolynomialDecay:
    return PolynomialDecay(
        start=recipe.learning_rate,
        end=recipe.end_learning_rate,
        power=recipe.decay_power,
        warmup_steps=recipe.warmup_steps or int(recipe.warmup_share * n_steps),
        total_steps=n_steps,
    )


def _loop_settings(recipe: Recipe) -> LoopSettings:
    return LoopSettings(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        accumulation_steps=recipe.accumulation_steps,
        max_gradient_norm=recipe.max_gradient_norm,
        seed=recipe.seed,
        log_every=recipe.log_every,
    )
