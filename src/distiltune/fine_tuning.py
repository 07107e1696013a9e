"""The main job, from files to a model directory: everything that `distiltune train` does, stage by stage."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from distiltune.device import choose_device, describe_machine, keep_freed_memory, seed_everything, set_threads
from distiltune.errors import TrainingError
from distiltune.model.build import Dropouts, LoadedModel, load_model
from distiltune.model.encoder import count_parameters
from distiltune.model.save import write_model_directory
from distiltune.recipe import MONITORS, Recipe
from distiltune.run_directory import RunDirectory, versions, write_run_start
from distiltune.tasks.table import TASKS
from distiltune.tasks.base import Dataset, Task
from distiltune.training.checkpoint import Place, read_weights, write_checkpoint
from distiltune.training.early_stopping import BestEpoch
from distiltune.training.loop import EpochReport, LoopSettings, StepReport, count_steps, train
from distiltune.training.optimiser import make_optimiser
from distiltune.training.reporter import Quiet, Reporter
from distiltune.training.run_log import RunLog
from distiltune.training.schedule import PolynomialDecay


@dataclass(frozen=True, slots=True)
class FineTuned:
    """What a run came to.

    Attributes:
        directory: the run directory.
        model: the model directory inside it, which holds the best epoch.
        epochs: one report an epoch.
        best_epoch: which of them ``model`` holds.
        recipe: the recipe as run.

    """

    directory: Path
    model: Path
    epochs: tuple[EpochReport, ...]
    best_epoch: int
    recipe: Recipe

    @property
    def best(self) -> EpochReport:
        """The report of the best epoch."""
        return self.epochs[self.best_epoch]


def fine_tune(
    recipe: Recipe | None = None,
    *,
    output: str | Path,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    **settings: Any,
) -> FineTuned:
    """Fine-tune a model and write a run directory.

    Args:
        recipe: every setting; by default `classic` on the starter data.
        output: the run directory to make.
        overwrite: replace a run that is already there.
        reporter: who shows the progress; by default nobody.
        **settings: settings that win over the recipe, such as ``train="train.json"``, ``epochs=2``.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    recipe = _with_settings(recipe or Recipe(), settings)
    reporter = reporter or Quiet()
    run = RunDirectory.create(Path(output), overwrite=overwrite)
    with RunLog(run.log) as log:
        try:
            fine_tuned = _run(recipe, run, log, reporter)
        except BaseException as error:
            log.write("end", outcome="interrupted" if isinstance(error, KeyboardInterrupt) else "failed", error=str(error))
            raise
        finally:
            reporter.close()
    return fine_tuned


def _with_settings(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    changes = dict(settings)
    for name in ("train", "validation"):
        if isinstance(changes.get(name), str | Path):
            changes[name] = (str(changes[name]),)
    return recipe.with_changes(**changes) if changes else recipe


def _run(recipe: Recipe, run: RunDirectory, log: RunLog, reporter: Reporter) -> FineTuned:
    began = time.perf_counter()
    device = choose_device(recipe.device)
    keep_freed_memory()
    set_threads(recipe.threads)
    seed_everything(recipe.seed)
    task = TASKS[recipe.task](recipe)

    dropouts = Dropouts(recipe.dropout, recipe.attention_dropout, recipe.head_dropout)
    loaded = load_model(recipe.model, task.head_rules, task.make_head, device, dropouts)
    training_set, validation_set = task.load_training(loaded.tokenizer)
    _check_can_train(recipe, loaded, training_set, validation_set)
    write_run_start(run, log, recipe, loaded, training_set, validation_set, describe_machine(device))
    _tell(reporter, loaded, training_set, validation_set)

    steps_per_epoch = count_steps(len(training_set.features), recipe.batch_size, recipe.accumulation_steps)
    optimiser = make_optimiser(
        loaded.model,
        beta1=recipe.adam_beta1,
        beta2=recipe.adam_beta2,
        epsilon=recipe.adam_epsilon,
        weight_decay=recipe.weight_decay,
    )
    keeper = _Keeper(recipe, run, log, reporter, task, loaded, optimiser, steps_per_epoch)
    reporter.begin(task.table, recipe.epochs, steps_per_epoch)
    train(
        loaded.model,
        training_set.features,
        task.objective,
        task.metric_names,
        optimiser,
        _schedule(recipe, steps_per_epoch * recipe.epochs),
        _loop_settings(recipe),
        lambda: keeper.evaluate(validation_set),
        keeper,
        device,
    )
    keeper.write_model()
    log.write(
        "end", outcome="done", best_epoch=keeper.best.epoch, seconds=round(time.perf_counter() - began, 3)
    )
    return FineTuned(run.path, run.model, tuple(keeper.reports), keeper.best.epoch, recipe)


class _Keeper:
    """Watches the loop: logs each report, keeps the last and the best epoch, decides when to stop."""

    def __init__(
        self,
        recipe: Recipe,
        run: RunDirectory,
        log: RunLog,
        reporter: Reporter,
        task: Task,
        loaded: LoadedModel,
        optimiser: torch.optim.Optimizer,
        steps_per_epoch: int,
    ) -> None:
        self.recipe, self.run, self.log, self.reporter = recipe, run, log, reporter
        self.task, self.loaded, self.optimiser = task, loaded, optimiser
        self.steps_per_epoch = steps_per_epoch
        self.reports: list[EpochReport] = []
        self.steps: list[StepReport] = []
        better = MONITORS[recipe.monitor]
        self.best = BestEpoch("lower" if better == "lower" else "higher", recipe.min_change)

    def evaluate(self, validation: Dataset | None) -> Mapping[str, float]:
        """Evaluate on the validation set, with the answers written aside until it is known whether they are the best."""
        if validation is None:
            return {}
        self.reporter.evaluating(len(validation.features))
        self.run.new_predictions.mkdir(exist_ok=True)
        metrics = self.task.evaluate(self.loaded.model, validation, self.run.new_predictions).metrics
        self.log.write("evaluation", epoch=len(self.reports), metrics=dict(metrics))
        return metrics

    def on_step(self, report: StepReport) -> None:
        """Log it and show it."""
        self.steps.append(report)
        self.log.write("step", **asdict(report))
        self.reporter.step(report)

    def on_epoch(self, report: EpochReport) -> bool:
        """Log it, keep the checkpoint, and say whether to go on."""
        self.reports.append(report)
        self.best = self._best_after(report)
        is_best = self.best.epoch == report.epoch
        self.log.write("epoch", **asdict(report), best=is_best)
        place = Place(epochs_done=report.epoch + 1, steps_done=(report.epoch + 1) * self.steps_per_epoch)
        state = {"best_epoch": self.best.epoch, "best_value": self.best.value, "recipe": self.recipe.model_dump()}
        write_checkpoint(self.run.last_checkpoint, self.loaded.model, self.optimiser, place, state)
        if is_best:
            write_checkpoint(self.run.best_checkpoint, self.loaded.model, None, place, state)
            self.run.keep_predictions()
        self.reporter.epoch(report, is_best)
        if self.best.should_stop(self.recipe.patience):
            message = (
                f"stopped after epoch {report.epoch}: {self.recipe.monitor} has not improved for "
                f"{self.best.n_since} epoch(s); epoch {self.best.epoch} is the best"
            )
            self.log.write("event", event="early_stop", message=message)
            self.reporter.note(message)
            return False
        return True

    def _best_after(self, report: EpochReport) -> BestEpoch:
        """Without validation data the last epoch counts as the best."""
        if not report.validation:
            return BestEpoch(self.best.better, epoch=report.epoch, value=report.train["loss"])
        return self.best.after(report.epoch, report.validation[self.recipe.monitor.removeprefix("validation_")])

    def write_model(self) -> None:
        """Write ``model/`` from the best epoch's checkpoint."""
        if self.best.epoch < 0:
            raise TrainingError(
                f"no epoch has a {self.recipe.monitor} that is a number, so there is no best model",
                where=str(self.run.log),
                fix="lower --learning-rate",
            )
        write_model_directory(
            self.run.model,
            config=self.loaded.source.config,
            tensors=read_weights(self.run.best_checkpoint),
            tokenizer=self.loaded.tokenizer,
            head_rules=self.task.head_rules,
            architectures=(self.task.architecture,),
        )
        why = f"best {self.recipe.monitor}" if self.reports[-1].validation else "the last; there is no validation data"
        self.log.write(
            "event", event="model_written", epoch=self.best.epoch, monitor=self.recipe.monitor, value=self.best.value, why=why
        )
        shutil.rmtree(self.run.new_predictions, ignore_errors=True)


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


def _check_can_train(recipe: Recipe, loaded: LoadedModel, training: Dataset, validation: Dataset | None) -> None:
    limit = loaded.source.config.max_position_embeddings
    if recipe.max_length > limit:
        raise TrainingError(
            f"max_length is {recipe.max_length}, and the model has positions for {limit} tokens",
            where="recipe: max_length",
            fix=f"use --max-length {limit} or less",
        )
    if validation is None and (recipe.patience or recipe.monitor != "validation_loss"):
        raise TrainingError(
            f"there is no validation data, so {recipe.monitor} cannot be watched",
            where="recipe: monitor, patience",
            fix="name validation data, or leave --patience and --monitor out",
        )
    if recipe.warmup_steps >= recipe.epochs * count_steps(
        len(training.features), recipe.batch_size, recipe.accumulation_steps
    ):
        raise TrainingError(
            f"the warm-up of {recipe.warmup_steps} steps is as long as the run",
            where="recipe: warmup_steps",
            fix="shorten it, or use --warmup-share 0.1",
        )


def _tell(reporter: Reporter, loaded: LoadedModel, training: Dataset, validation: Dataset | None) -> None:
    source = loaded.source
    reporter.note(f"model: {source.directory.name}, {count_parameters(loaded.model) / 1e6:.1f} M parameters")
    for note in source.notes:
        reporter.note(note)
    if source.missing:
        reporter.note(f"started from random weights: {', '.join(source.missing)}")
    for name, data in (("train", training), ("validation", validation)):
        if data is None:
            reporter.note("no validation data: the last epoch is kept")
            continue
        reporter.note(
            f"{name}: {data.n_examples:,} examples, {len(data.features):,} features, "
            f"{data.features.lengths.mean():.0f} tokens on average"
        )
        for kind, count in data.findings.counts().items():
            reporter.note(f"{name}: {count:,} rows {kind.replace('/', ', ')}")
        for note in data.notes:
            reporter.note(note)


__all__ = ["FineTuned", "fine_tune", "versions"]
