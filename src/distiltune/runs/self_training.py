"""Self-training: a first training on the labels, its labels for texts that have none, a second training on both.

A run of this kind holds two others, `first-training` and `second-training`, each of which goes on as any run does; so
what was stopped goes on within the stage that it was in, and comes to the same bytes. The model of the second is the
run's unless it is worse than the first (see `report.self_training.Verdict`); all results of that one are copied into
the run's own directory, where they lie as a run's do.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import tomli_w

from distiltune.errors import RecipeError, TrainingError
from distiltune.progress import counted, heard_by
from distiltune.recipe.choose_task import with_task_of_training
from distiltune.recipe.recipe import Recipe
from distiltune.report.page import with_section
from distiltune.report.self_training import SelfTraining, TextChoice, Verdict
from distiltune.runs import fine_tune as one_training
from distiltune.runs.coaching import resume_command
from distiltune.runs.directory import STAGES, RunDirectory, Stage
from distiltune.runs.fine_tune import FineTuned, GoOn
from distiltune.runs.provenance import versions
from distiltune.runs.resume import check_data, check_recipe
from distiltune.system.device import choose_device, keep_freed_memory, set_threads, usable_cores
from distiltune.system.durable import read_file, write_whole, writing_directory, writing_text
from distiltune.system.host import alone_in_training, restored
from distiltune.system.lock import RunLock
from distiltune.system.names import as_path
from distiltune.system.toml_text import parse_toml
from distiltune.tasks.own import NOTHING_OWN, Own
from distiltune.tasks.self_taught import SelfTaught, UnlabelledTexts
from distiltune.tasks.table import TASKS
from distiltune.training.distributed import processes
from distiltune.training.interruption import Interruption
from distiltune.training.loop import EpochReport, StepReport, Watcher
from distiltune.training.objective import TableColumn
from distiltune.training.plan import StepPlan
from distiltune.training.reporter import Quiet, Reporter
from distiltune.training.run_log import RunLog

_FIRST, _SECOND = STAGES
_TABLE: Final = "self_training"
"""Of recipe.toml."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for beside the recipe.

    Attributes:
        reporter: who shows the progress.
        callbacks: told of steps and epochs of both trainings.
        own: metrics of one's own.
        overwrite: replace a run that is there.
        resumed_with: go on with the run, with these settings; None: begin one.

    """

    reporter: Reporter
    callbacks: Sequence[Watcher] = ()
    own: Own = NOTHING_OWN
    overwrite: bool = False
    resumed_with: Mapping[str, Any] | None = None


def fine_tune(
    recipe: Recipe,
    output: str | Path,
    *,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    go_on: GoOn | None = None,
    callbacks: Sequence[Watcher] = (),
    own: Own = NOTHING_OWN,
) -> FineTuned:
    """Make a run: one training, or where the recipe names texts without labels two, the second of which reads these.

    Arguments and errors are those of `runs.fine_tune.fine_tune`.

    Raises:
        RecipeError: if texts without labels are given for what cannot learn from them.

    """
    recipe = recipe.with_changes(**own.settings)
    if not recipe.unlabelled:
        return one_training.fine_tune(
            recipe, output=output, overwrite=overwrite, reporter=reporter, go_on=go_on, callbacks=callbacks, own=own
        )
    if go_on is not None:
        raise RecipeError(
            "go_on and unlabelled exclude each other: there are two trainings.", where="go_on", fix="leave one out"
        )
    run, callbacks = RunDirectory(as_path(output, "output")), one_training.checked_callbacks(callbacks)
    run.check_free(overwrite=overwrite)
    return _in_stages(recipe, run, _Asked(reporter or Quiet(), callbacks, own, overwrite=overwrite))


def resume(
    run: str | Path,
    *,
    reporter: Reporter | None = None,
    callbacks: Sequence[Watcher] = (),
    own: Own = NOTHING_OWN,
    **settings: Any,
) -> FineTuned:
    """Go on with a run of either kind; that of a stage goes on as a whole.

    Arguments and errors are those of `runs.fine_tune.resume`.
    """
    directory = _whole(RunDirectory(as_path(run, "run")))
    if directory is None:
        return one_training.resume(run, reporter=reporter, callbacks=callbacks, own=own, **settings)
    begun = Recipe.from_toml(directory.recipe)
    recipe = begun.with_changes(**settings, **own.settings)
    check_recipe(begun.model_dump(mode="json"), recipe, directory)
    callbacks = one_training.checked_callbacks(callbacks)
    return _in_stages(recipe, directory, _Asked(reporter or Quiet(), callbacks, own, resumed_with=settings))


def _whole(run: RunDirectory) -> RunDirectory | None:
    """The run in stages that this one is, or is a stage of; None: it is neither."""
    above = RunDirectory(run.path.absolute().parent)
    for each in (run, above) if run.path.absolute().name in STAGES else (run,):
        if each.is_run() and Recipe.from_toml(each.recipe).unlabelled:
            return each
    return None


@restored()
@alone_in_training()
def _in_stages(recipe: Recipe, run: RunDirectory, asked: _Asked) -> FineTuned:
    """Begin a run, or go on with one."""
    if processes().world_size > 1:
        raise TrainingError(
            "Several processes cannot train in stages.", where="recipe: unlabelled", fix="train in one process"
        )
    lock = RunLock(run.path)
    try:
        with Interruption(), heard_by(asked.reporter.working):
            if run.path.exists():
                run.check_links()
                lock.acquire()
            keep_freed_memory()
            set_threads(recipe.threads or usable_cores())
            recipe = with_task_of_training(recipe)
            opened, texts = _opened(recipe)  # before anything is written: a typing error costs no last run
            if asked.resumed_with is None:
                run.make()
                lock.acquire()
                _begin(run, recipe, texts, asked)
            else:
                check_data(_begun_with(run), _data(texts), run)
            return _run(recipe, run, opened, texts, asked)
    except KeyboardInterrupt:
        asked.reporter.note(f"stopped; go on with: {resume_command(recipe, run)}")
        raise
    except OSError as error:
        raise TrainingError(
            f"The run directory cannot be written: {error.strerror or error}.",
            where=str(error.filename or run.path),
            fix=f"make room or rights there, then: distiltune train --resume {run.path}",
        ) from error
    finally:
        lock.release()
        asked.reporter.close()


def _opened(recipe: Recipe) -> tuple[SelfTaught, UnlabelledTexts]:
    """The training with its data read, and the texts without labels.

    Raises:
        RecipeError: if it cannot learn from these.
        DataError: if data cannot be read.

    """
    opened = TASKS[recipe.task](recipe).open_training(choose_device(recipe.device, 0))
    if not isinstance(opened, SelfTaught):
        raise RecipeError(
            f"The task {recipe.task} cannot learn from texts without labels.",
            where="recipe: unlabelled",
            fix="leave it out",
        )
    return opened, opened.unlabelled(recipe.unlabelled, recipe.encoding)


def _begin(run: RunDirectory, recipe: Recipe, texts: UnlabelledTexts, asked: _Asked) -> None:
    """Make the run's directory, with what it needs to go on."""
    table = {"versions": versions(), _TABLE: {"data": _data(texts)}}
    kept = run.create(overwrite=asked.overwrite, recipe=_toml(recipe, table))
    run.checkpoints.rmdir()  # those of its stages are in these
    with RunLog(run.log) as log:
        log.write("start", recipe=recipe.model_dump(), **table)
    if kept:
        asked.reporter.note(f"what no run writes stays in the run directory: {', '.join(kept)}")


def _toml(recipe: Recipe, tables: Mapping[str, Any]) -> str:
    return "[recipe]\n" + recipe.to_toml() + "\n" + tomli_w.dumps(tables)


def _data(texts: UnlabelledTexts) -> dict[str, dict[str, str]]:
    """What the data come to, as `check_data` compares it."""
    return {name: {"files": fingerprint} for name, fingerprint in texts.fingerprints.items()}


def _begun_with(run: RunDirectory) -> Mapping[str, Any]:
    """The same as it was when the run was begun.

    Raises:
        TrainingError: if the run does not say.

    """
    try:
        found = parse_toml(read_file(run.recipe).decode())[_TABLE]["data"]
        if isinstance(found, dict) and all(isinstance(each, dict) for each in found.values()):
            return found
    except (ValueError, KeyError, TypeError):
        pass
    raise TrainingError(
        "The run does not say which data it was begun with.",
        where=str(run.recipe),
        fix=f"begin again: distiltune train --recipe {run.recipe} --output {run.path} --overwrite",
    )


def _run(recipe: Recipe, run: RunDirectory, opened: SelfTaught, texts: UnlabelledTexts, asked: _Asked) -> FineTuned:
    """The stages, one after the other."""
    tell = asked.reporter.note
    tell("self-training, stage 1 of 3: a training on the labels alone")
    plain = _without(recipe)
    first = _train(plain, run.stage(_FIRST), asked)
    tell(f"self-training, stage 2 of 3: its labels for {len(texts.texts):,} texts that have none")
    choice = _choose(recipe, run, first, opened, texts)
    for line in choice.lines():
        tell(line)
    trained: dict[Stage, FineTuned] = {_FIRST: first}
    verdict = None
    if choice.n_kept:
        both = _with_own_labels(plain, run, choice, first.recipe.epochs)
        tell("self-training, stage 3 of 3: a training anew, on the texts that are kept and then on the labels")
        tell(
            f"{choice.n_kept:,} texts are read {counted(both.warm_up_epochs, 'time')}, then the "
            f"{choice.n_training:,} labelled ones {counted(first.recipe.epochs, 'time')}"
        )
        trained[_SECOND] = _train(both, run.stage(_SECOND), asked)
        verdict = Verdict.of(*(opened.rights(str(each.model)) for each in trained.values()))
    seconds: dict[str, float] = {
        name: sum((epoch.train_seconds for epoch in each.epochs), 0.0) for name, each in trained.items()
    }
    done = SelfTraining(choice, verdict, seconds)
    kept: Stage = _FIRST if verdict is None or not verdict.keeps_second else _SECOND
    fine_tuned = _publish(run, recipe, kept, trained[kept], done)
    for line in done.outcome():
        tell(line)
    return fine_tuned


def _without(recipe: Recipe) -> Recipe:
    """The recipe of a single training on the labels alone."""
    own = [name for name in Recipe.model_fields if name.startswith("unlabelled")]
    given = recipe.model_dump(exclude_unset=True)
    return Recipe.build({name: value for name, value in given.items() if name not in own})


def _train(recipe: Recipe, stage: RunDirectory, asked: _Asked) -> FineTuned:
    """One of the trainings, from its beginning or from where it was stopped."""
    reporter, settings = _OfAStage(asked.reporter), dict(asked.resumed_with or {})
    if asked.resumed_with is None or not stage.is_run():
        return one_training.fine_tune(
            recipe, output=stage, overwrite=True, reporter=reporter, callbacks=asked.callbacks, own=asked.own
        )
    changed = {name: value for name, value in settings.items() if not name.startswith("unlabelled")}
    if recipe.warm_up_data:  # which moves with the run
        changed["warm_up_data"] = recipe.warm_up_data
    return one_training.resume(stage, reporter=reporter, callbacks=asked.callbacks, own=asked.own, **changed)


@dataclass(frozen=True, slots=True)
class _OfAStage:
    """Tells a run's reporter of one of its trainings; it closes with the run."""

    whole: Reporter

    def note(self, message: str) -> None:
        self.whole.note(message)

    def working(self, stage: str, unit: str = "", n_done: int = 0, n_all: int | None = None) -> None:
        self.whole.working(stage, unit, n_done, n_all)

    def begin(self, columns: Sequence[TableColumn], plan: StepPlan) -> None:
        self.whole.begin(columns, plan)

    def step(self, report: StepReport) -> None:
        self.whole.step(report)

    def epoch(self, report: EpochReport, is_best: bool) -> None:
        self.whole.epoch(report, is_best)

    def close(self) -> None:
        pass


def _choose(
    recipe: Recipe, run: RunDirectory, first: FineTuned, opened: SelfTaught, texts: UnlabelledTexts
) -> TextChoice:
    """Which texts are learnt from, as was chosen before, or chosen now and written down."""
    if run.own_labels.is_file() and run.self_training.is_file():
        try:
            return TextChoice.from_json(json.loads(read_file(run.self_training)))
        except (ValueError, TypeError, KeyError, AttributeError):
            pass  # damaged: the same is chosen again
    most, confidence = recipe.unlabelled_most, recipe.unlabelled_confidence
    made = opened.own_labels(str(first.model), texts.texts, most, confidence)
    choice = TextChoice.of(texts, made, most, confidence)
    with writing_text(run.own_labels) as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in made.rows)
    write_whole(run.self_training, json.dumps(choice.as_json(), ensure_ascii=False, indent=1) + "\n")
    return choice


def _with_own_labels(recipe: Recipe, run: RunDirectory, choice: TextChoice, epochs: int) -> Recipe:
    """The recipe of a training on the texts that were kept, and then on the labels.

    So often that no more texts are read than labels, or once: what the first model got wrong shall not outweigh what is
    known, and be forgotten where the labels are learnt last.

    Args:
        recipe: of the training on the labels alone.
        run: whose texts these are.
        choice: how many there are.
        epochs: that the labels are read.

    """
    passes = min(epochs, max(1, epochs * choice.n_training // choice.n_kept))
    return recipe.with_changes(warm_up_data=(str(run.own_labels),), warm_up_epochs=passes)


def _publish(run: RunDirectory, recipe: Recipe, stage: Stage, trained: FineTuned, done: SelfTraining) -> FineTuned:
    """Copy a stage's results into the run's own directory, with what was done said in them."""
    source = run.stage(stage)
    for path in source.results():
        write_whole(run.path / path.name, read_file(path))
    write_whole(run.report, with_section(source.report.read_text(encoding="utf-8"), done.section()))
    for of_stage, place in ((source.model, run.model), (source.adapter, run.adapter)):
        if of_stage.is_dir():
            with writing_directory(place) as beside:
                shutil.copytree(of_stage, beside, dirs_exist_ok=True)
                card = beside / "README.md"
                if card.is_file():
                    write_whole(card, done.on_card(card.read_text(encoding="utf-8")))
    tables = {name: table for name, table in parse_toml(read_file(source.recipe).decode()).items() if name != "recipe"}
    recipe = recipe.with_changes(**{name: getattr(trained.recipe, name) for name in recipe.open})
    said = {"data": _begun_with(run), "kept": stage, **_no_none(done.as_json())}
    write_whole(run.recipe, _toml(recipe, {**tables, _TABLE: said}))
    *lines, _ = read_file(source.log).splitlines(keepends=True)  # the last says that it is done
    write_whole(run.log, b"".join(lines))
    with RunLog(run.log) as log:
        log.write("event", event="self_training", kept=stage, **done.as_json())
        log.write("end", outcome="done", best_epoch=trained.best_epoch)
    return replace(trained, directory=run.path, model=run.model, recipe=recipe, self_training=done.as_json())


def _no_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without those that are None, which TOML has no form for."""
    return {name: value for name, value in values.items() if value is not None}
