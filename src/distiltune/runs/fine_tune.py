"""The main job, from files to a model directory: everything that `distiltune train` does, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from distiltune.coach.sickness import Advice
from distiltune.coach.watching import Coach
from distiltune.errors import RecipeError, TrainingError, is_of_printing
from distiltune.progress import heard_by
from distiltune.recipe.recipe import Recipe, named_settings
from distiltune.report.short_html import advice_list, block, epochs_table, line, loss_curve
from distiltune.runs.coaching import resume_command, training_facts
from distiltune.runs.directory import RunDirectory
from distiltune.runs.keeper import Files, Follower, Judgement, RunKeeper
from distiltune.runs.prepare import PreparedRun, prepare, prepare_again, tell
from distiltune.runs.provenance import Provenance, write_run_start
from distiltune.runs.results import write_results
from distiltune.runs.resume import check_recipe, clear_leftovers, find_resumable, write_base
from distiltune.runs.safekeeping import make_again, make_bad_steps, tell_resumed
from distiltune.runs.setup import make_optimiser, training_setup, with_average
from distiltune.settings.engine import AUTO
from distiltune.system.device import check_trainable, choose_device
from distiltune.system.host import alone_in_training, restored
from distiltune.system.lock import RunLock
from distiltune.system.names import as_path
from distiltune.tasks.base import Paired
from distiltune.tasks.own import NOTHING_OWN, Own
from distiltune.training.checkpoint_writer import CheckpointFolder, CheckpointInterval, CheckpointWriter
from distiltune.training.distributed import joined, largest_of_all, processes
from distiltune.training.interruption import Interruption, Terminated
from distiltune.training.loop import EpochReport, Evaluate, Keeper, LoopState, Watcher, train
from distiltune.training.objective import TableColumn
from distiltune.training.optimiser import Adam
from distiltune.training.reporter import Quiet, Reporter
from distiltune.training.run_log import RunLog, plain_values
from distiltune.training.trackers import Tracked, check_installed, tracking

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
        columns: of the epoch table.
        self_training: where it learnt from texts without labels, which, and which of both models was kept; else None.

    """

    directory: Path
    model: Path
    epochs: tuple[EpochReport, ...]
    best_epoch: int
    recipe: Recipe
    scores: str = ""
    advice: tuple[Advice, ...] = ()
    columns: tuple[TableColumn, ...] = ()
    self_training: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        scores = f" ({self.scores})" if self.scores else ""
        return f"<FineTuned {self.directory}: best epoch {self.best_epoch} of {len(self.epochs)}{scores}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the scores, the epoch table, the curve of the loss, and what the coach says."""
        return block(
            (
                line(self.scores or "no validation data, so nothing was measured", bold=True),
                line(f"best epoch: {self.best_epoch} of {len(self.epochs)}, counted from 0", muted=True),
                epochs_table(self.columns, self.epochs, self.best_epoch),
                loss_curve(self.epochs),
                advice_list(self.advice),
                line(f"model: {self.model}; report: {self.directory / 'report.html'}", muted=True),
            )
        )

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
            **({} if self.self_training is None else {"self_training": dict(self.self_training)}),
        }


@restored()
def fine_tune(
    recipe: Recipe | str | Path | None = None,
    *,
    output: str | Path | RunDirectory,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    go_on: GoOn | None = None,
    callbacks: Sequence[Watcher] = (),
    own: Own = NOTHING_OWN,
    **settings: Any,
) -> FineTuned:
    """Fine-tune a model and write a run directory.

    Args:
        recipe: every setting, the name of a recipe (`auto`, `classic`), or a TOML file; by default `auto` on the
            starter data.
        output: the run directory to make.
        overwrite: replace a run that is already there.
        reporter: who shows the progress; by default nobody.
        go_on: asked after each epoch, when its report is written, whether to train on; in one process only.
        callbacks: told of steps and epochs, in the first process.
        own: metrics and a loss of one's own.
        **settings: settings that win over the recipe, such as ``train="train.json"``, ``epochs=2``.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.build(named_settings(recipe or AUTO))
    recipe = recipe.with_changes(**settings, **own.settings)
    run = output if isinstance(output, RunDirectory) else RunDirectory(as_path(output, "output"))
    if processes().writes:
        run.check_free(overwrite=overwrite)
    asked = _Asked(checked_callbacks(callbacks), own, go_on, overwrite=overwrite)
    return _fine_tune(recipe, run, reporter, asked)


@restored()
def resume(
    run: str | Path | RunDirectory,
    *,
    reporter: Reporter | None = None,
    callbacks: Sequence[Watcher] = (),
    own: Own = NOTHING_OWN,
    **settings: Any,
) -> FineTuned:
    """Go on with a run that was stopped, however that happened, as if it never had been.

    Args:
        run: its run directory.
        reporter: who shows the progress; by default nobody.
        callbacks: told of the steps and epochs from here on, in the first process.
        own: the metrics and the loss that the run was begun with.
        **settings: settings that may differ from then, such as ``threads`` or ``non_finite``; ``precision``, if it is
            named, does, and otherwise stays what it was, whatever `auto` is on this machine.

    Raises:
        DistiltuneError: if there is no run, it is being written, none of its checkpoints is whole, or recipe or data
            are others than it was begun with.

    """
    directory = run if isinstance(run, RunDirectory) else RunDirectory(as_path(run, "run"))
    if not directory.recipe.is_file():
        find_resumable(directory)  # which says so
    begun = Recipe.from_toml(directory.recipe)
    recipe = begun.with_changes(**settings, **own.settings)
    check_recipe(begun.model_dump(mode="json"), recipe, directory)
    asked = _Asked(checked_callbacks(callbacks), own, overwrite=True, resumed_with=settings)
    return _fine_tune(recipe, directory, reporter, asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for beside the recipe.

    Attributes:
        callbacks: told of steps and epochs.
        own: metrics and a loss of one's own.
        go_on: asked after each epoch whether to train on.
        overwrite: replace a run that is there.
        resumed_with: go on with the run, with these settings; None: begin one.

    """

    callbacks: tuple[Watcher, ...] = ()
    own: Own = NOTHING_OWN
    go_on: GoOn | None = None
    overwrite: bool = False
    resumed_with: Mapping[str, Any] | None = None


def checked_callbacks(callbacks: Sequence[Watcher]) -> tuple[Watcher, ...]:
    """The callbacks, each of which has the methods of a `Watcher`.

    Raises:
        RecipeError: naming the first that has not.

    """
    found = tuple(callbacks) if isinstance(callbacks, list | tuple) else (callbacks,)
    for each in found:
        missing = [name for name in ("on_step", "on_epoch") if not callable(getattr(each, name, None))]
        if missing or isinstance(each, type):
            what = "a class, and not one of its objects" if isinstance(each, type) else f"without {missing[0]}"
            raise RecipeError(
                f"A callback is {what}: {type(each).__name__ if not isinstance(each, type) else each.__name__}.",
                where="callbacks",
                fix="give objects with on_step(report) and on_epoch(report); distiltune.Watcher has both to inherit",
            )
    return found


@alone_in_training()
def _fine_tune(recipe: Recipe, run: RunDirectory, reporter: Reporter | None, asked: _Asked) -> FineTuned:
    """Begin a run, or go on with one."""
    here, resumed_with, go_on = processes(), asked.resumed_with, asked.go_on
    if go_on is not None and here.world_size > 1:
        raise TrainingError("Several processes cannot ask whether to go on.", where="go_on", fix="train in one process")
    reporter = reporter if reporter is not None and here.writes else Quiet()
    check_installed(recipe.tracker)
    check_trainable((resumed_with or {}).get("precision", recipe.precision))
    lock = RunLock(run.path)
    try:
        device = choose_device(recipe.device, here.local_rank)
        interruption = Interruption(lambda number: largest_of_all(here, number), here.world_size)
        with interruption, joined(here, device.type), heard_by(reporter.working):
            if here.writes and run.path.exists():
                run.check_links()
                lock.acquire()
            resumed = find_resumable(run) if resumed_with is not None else None
            # Before anything is written: a typing error costs no last run.
            if resumed is None:
                prepared = prepare(recipe, here, device, own=asked.own)
            else:
                named = (resumed_with or {}).get("precision", "")
                prepared = prepare_again(recipe, here, device, run, resumed, named, asked.own)
            if not here.writes:
                return _follow(prepared, run, interruption)
            if resumed is None:
                run.make()
                lock.acquire()
                if kept := run.create(overwrite=asked.overwrite, recipe=_provenance(prepared).as_toml()):
                    reporter.note(f"what no run writes stays in the run directory: {', '.join(kept)}")
            with RunLog(run.log, resumed.state["log_bytes"] if resumed is not None else None) as log:
                writing = _Writing(prepared, run, log, reporter, interruption, go_on or _always, asked.callbacks)
                return _logged_run(writing)
    finally:
        lock.release()
        reporter.close()


@dataclass(frozen=True, slots=True)
class _Writing:
    """A run in the process that writes: what was prepared for it, where it is kept, whom it tells, who may stop it."""

    prepared: PreparedRun
    run: RunDirectory
    log: RunLog
    reporter: Reporter
    interruption: Interruption
    go_on: GoOn
    callbacks: tuple[Watcher, ...] = ()


def _always(report: EpochReport) -> bool:
    """Train on."""
    return True


def _logged_run(writing: _Writing) -> FineTuned:
    """The run; however it ends, its log says so."""
    try:
        return _run(writing)
    except BaseException as error:
        outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(TrainingError):  # a full disk has been said already
            writing.log.write("end", outcome=outcome, error=str(error))
        if isinstance(error, OSError) and not is_of_printing(error):
            raise TrainingError(
                f"The run directory cannot be written: {error.strerror or error}.",
                where=str(error.filename or writing.run.path),
                fix=f"make room or rights there, then: distiltune train --resume {writing.run.path}",
            ) from error
        raise


def _run(writing: _Writing) -> FineTuned:
    """Set up, train, write the results."""
    prepared, run, log, reporter = writing.prepared, writing.run, writing.log, writing.reporter
    _begin(writing)
    model, resumed = prepared.loaded.model, prepared.resumed
    optimiser = with_average(make_optimiser(prepared.recipe, model, prepared.lesson.head_rate), prepared.recipe)
    coach = Coach(training_facts(prepared, run), model, optimiser, log, reporter.note)
    checkpoints = _checkpoints(writing, optimiser)
    keeper = _keeper(writing, checkpoints, coach)
    if resumed is None:
        coach.begin()
    else:
        keeper.remember(resumed.state)
        coach.remember(keeper.steps, keeper.epochs, resumed.state["coach"])
        _put_back(prepared, optimiser)
    if keeper.is_finished or len(keeper.epochs) == prepared.recipe.epochs:
        reporter.note("this training was finished already; nothing is left to train, and its results are written again")
    reporter.begin(prepared.table, prepared.plan)
    try:
        with _events(writing) as events:
            if not keeper.is_finished:
                with writing.interruption.deferred():
                    watchers = (*events, coach, *writing.callbacks)
                    _train(prepared, optimiser, partial(_evaluate, writing, coach), keeper, watchers)
            checkpoints.wait()
    except KeyboardInterrupt as stopped:
        if run.stage_of is None:  # else its whole says so
            reporter.note(f"stopped; go on with: {resume_command(prepared.recipe, run)}")
        if keeper.has_best and not isinstance(stopped, Terminated):
            write_results(run, prepared, keeper, coach, may_probe=False)
            reporter.note(
                f"interrupted; {run.model} holds epoch {keeper.best_epoch()}, the best of {len(keeper.epochs)}"
            )
        raise
    fine_tuned = _finish(writing, keeper, coach)
    checkpoints.tidy(fine_tuned.best_epoch)
    return fine_tuned


def _begin(writing: _Writing) -> None:
    """Write what a run begins with, or say where it goes on; and what the user should know before the first step."""
    prepared, run, log, reporter = writing.prepared, writing.run, writing.log, writing.reporter
    resumed = prepared.resumed
    if resumed is None:
        write_run_start(run, log, _provenance(prepared), prepared.loaded)
        write_base(run, prepared.loaded)
    reporter.note(f"run: {run.path}")
    tell(reporter, prepared)
    if resumed is not None:
        tell_resumed(reporter, log, resumed, prepared.resolved, prepared.surroundings)
        clear_leftovers(run, resumed)


def _checkpoints(writing: _Writing, optimiser: Adam) -> CheckpointWriter:
    prepared, run, resumed = writing.prepared, writing.run, writing.prepared.resumed
    return CheckpointWriter(
        CheckpointFolder(
            run.checkpoints,
            before_writing=writing.log.sync,
            make_again=lambda: make_again(run, _provenance(prepared).as_toml(), prepared.loaded),
        ),
        prepared.loaded.model,
        optimiser,
        CheckpointInterval(prepared.recipe.checkpoint_steps, prepared.recipe.checkpoint_minutes),
        came_from=resumed.came_from if resumed is not None else None,
    )


def _keeper(writing: _Writing, checkpoints: CheckpointWriter, coach: Coach) -> RunKeeper:
    prepared, recipe = writing.prepared, writing.prepared.recipe

    def more_state() -> Mapping[str, Any]:
        return {
            **prepared.surroundings,
            "coach": coach.memory(),
            "seconds": time.perf_counter() - prepared.began,
        }

    return RunKeeper(
        Files(writing.run, writing.log, checkpoints),
        writing.reporter,
        prepared.choice,
        Judgement(recipe.monitor, recipe.patience, writing.go_on),
        writing.interruption,
        make_bad_steps(prepared.lesson, recipe.non_finite == "skip", str(writing.run.log)),
        more_state,
    )


@contextmanager
def _events(writing: _Writing) -> Iterator[tuple[Watcher, ...]]:
    """The trackers that were asked for."""
    prepared, run = writing.prepared, writing.run
    resumed, settings = prepared.resumed, prepared.recipe.model_dump(mode="json", include=set(prepared.recipe.names))
    steps_done = resumed.position.steps_done if resumed is not None else 0
    tracked = Tracked(run.events, run.path.resolve().name, settings, steps_done)
    with tracking(prepared.recipe.tracker, tracked, writing.reporter.note) as watchers:
        yield watchers


def _evaluate(writing: _Writing, coach: Coach) -> Mapping[str, float]:
    """The validation metrics, with the predictions beside the run's; none without validation data.

    The coach is told each example's loss, where the task knows it.
    """
    prepared, run, data = writing.prepared, writing.run, writing.prepared.validation
    if data is None:
        return {}
    run.new_predictions.mkdir(exist_ok=True)

    def on_progress(n_done: int) -> None:
        writing.reporter.working("evaluating", "examples", n_done, data.n_examples)

    with writing.interruption.at_once():  # a signal may break it off anywhere: it has no state to save
        found = prepared.task.evaluate(prepared.loaded.model, data, run.new_predictions, on_progress)
        figures = prepared.own.figures(found)
    coach.on_losses(found.losses if isinstance(found, Paired) else None)
    return figures


def _finish(writing: _Writing, keeper: RunKeeper, coach: Coach) -> FineTuned:
    """Write the best epoch's model and all results, and close the log."""
    prepared, run, log = writing.prepared, writing.run, writing.log
    findings = write_results(run, prepared, keeper, coach)
    best = keeper.best_epoch()
    log.write("event", event="model_written", epoch=best, why=keeper.why_best())
    log.write("end", outcome="done", best_epoch=best, seconds=round(time.perf_counter() - prepared.began, 3))
    metrics = keeper.epochs[best].validation
    guide = prepared.task.guide(metrics)
    for decision in guide.decisions:
        writing.reporter.note(decision)
    return FineTuned(
        directory=run.path,
        model=run.model,
        epochs=tuple(keeper.epochs),
        best_epoch=best,
        recipe=prepared.recipe,
        scores=guide.scores(metrics),
        advice=findings.advice,
        columns=prepared.task.table,
    )


def _follow(prepared: PreparedRun, run: RunDirectory, interruption: Interruption) -> FineTuned:
    """What every process but the first does: the same training, and nothing written."""
    recipe, task, model = prepared.recipe, prepared.task, prepared.loaded.model
    bad_steps = make_bad_steps(prepared.lesson, recipe.non_finite == "skip", str(run.log))
    follower = Follower(prepared.choice, Judgement(recipe.monitor, recipe.patience), interruption, bad_steps)
    if prepared.resumed is not None:
        follower.remember(prepared.resumed.state)

    def evaluate() -> Mapping[str, float]:
        if prepared.validation is None:
            return {}
        with interruption.at_once():
            return prepared.own.figures(task.evaluate(model, prepared.validation))

    if not follower.is_finished:
        optimiser = with_average(make_optimiser(recipe, model, prepared.lesson.head_rate), recipe)
        _put_back(prepared, optimiser)
        with interruption.deferred():
            _train(prepared, optimiser, evaluate, follower)
    return FineTuned(run.path, run.model, tuple(follower.epochs), follower.best.epoch, recipe, columns=task.table)


def _train(
    prepared: PreparedRun, optimiser: Adam, evaluate: Evaluate, keeper: Keeper, watchers: Sequence[Watcher] = ()
) -> None:
    """Train from the beginning, or from where the run that is resumed stood."""
    start = prepared.resumed.loop if prepared.resumed is not None else LoopState()
    train(training_setup(prepared, optimiser), evaluate, keeper, watchers, start)


def _put_back(prepared: PreparedRun, optimiser: Adam) -> None:
    if prepared.resumed is not None:
        prepared.resumed.put_back(prepared.loaded.model, optimiser, prepared.recipe.seed, prepared.here.rank)


def _provenance(prepared: PreparedRun) -> Provenance:
    return Provenance(
        recipe=prepared.recipe,
        chosen=prepared.chosen,
        resolved=prepared.resolved,
        sets=prepared.lesson.sets,
        machine=prepared.machine,
    )
