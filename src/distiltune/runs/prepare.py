"""What a training needs before its first step: machine, model and data, and what the user should know of them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from distiltune.data.feature_set import FeatureSet
from distiltune.data.warm_up import WarmUp
from distiltune.errors import DataError, RecipeError
from distiltune.model.attention import can_drop
from distiltune.model.build import Dropouts, LoadedModel, check_window
from distiltune.model.encoder import count_parameters, model_device
from distiltune.model.lora import adapt
from distiltune.recipe.auto import Chosen, Situation, fitted
from distiltune.recipe.choose_task import with_task_of_training
from distiltune.recipe.recipe import Recipe
from distiltune.runs.directory import RunDirectory
from distiltune.runs.lora import lora_settings
from distiltune.runs.resume import (
    BEGAN_FROM,
    BY_CONTENT,
    MAY_CHANGE,
    Resumed,
    as_in_the_run,
    check_data,
    check_recipe,
    fingerprints,
    precision_of,
    surroundings,
)
from distiltune.runs.stages import loop_settings, stages
from distiltune.runs.teaching import Teaching, with_teacher
from distiltune.runs.warming import warm_up_of, with_warm_up
from distiltune.settings.stored import stored_settings
from distiltune.system.device import (
    Machine,
    Precision,
    allow_tf32,
    check_trainable,
    choose_precision,
    describe_machine,
    give_back_freed_memory,
    keep_freed_memory,
    seed_dropout,
    seed_everything,
    set_threads,
    usable_cores,
)
from distiltune.tasks.base import Coached, Dataset, Lesson, Task
from distiltune.tasks.labels import labels_of
from distiltune.tasks.own import NOTHING_OWN, Own
from distiltune.tasks.table import TASKS
from distiltune.training.distributed import Processes, check_same, in_turn
from distiltune.training.early_stopping import BestEpoch, Spread
from distiltune.training.objective import TableColumn
from distiltune.training.parameters import freeze
from distiltune.training.plan import StepPlan
from distiltune.training.reporter import Reporter
from distiltune.training.setup import count_steps, step_plan


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """All that is ready before the first step.

    ``lesson`` is what the training goes by: task, data and loss, with a teacher in them if there is one. ``began`` is
    when the run began on ``time.perf_counter()``; where it was resumed, what it had taken until the checkpoint is
    counted as if there had been no pause. ``plan`` is how many steps each epoch has, and ``warm_up`` which features
    are not the training data's and when they are read.
    """

    began: float
    here: Processes
    precision: Precision
    recipe: Recipe
    loaded: LoadedModel
    machine: Machine
    plan: StepPlan
    lesson: Lesson[Any]
    surroundings: Mapping[str, Any]
    chosen: Chosen
    choice: BestEpoch
    warm_up: WarmUp | None = None
    resumed: Resumed | None = None
    own: Own = NOTHING_OWN

    @property
    def task(self) -> Task[Any]:
        """What the model is to do."""
        return self.lesson.task

    @property
    def training(self) -> Dataset:
        """What it is trained on."""
        training: Dataset = self.lesson.training
        return training

    @property
    def validation(self) -> Dataset | None:
        """What it is evaluated on after each epoch, None if there is nothing."""
        return self.lesson.validation

    @property
    def table(self) -> tuple[TableColumn, ...]:
        """The epoch table's columns after the epoch's number, those of the user's own metrics last."""
        return (*self.task.table, *self.own.columns)

    @property
    def resolved(self) -> dict[str, Any]:
        """What was decided where the recipe leaves it open, under the names of the settings.

        Device, threads, precision and dropouts, ``attention_dropout`` 0 where none is applied; and of how texts are
        read what the task worked out.
        """
        recipe, config, device = self.recipe, self.loaded.source.config, model_device(self.loaded.model)
        values: dict[str, Any] = {
            "device": str(device),
            "threads": self.machine.n_threads,
            "precision": self.precision,
            "dropout": config.dropout,
            "attention_dropout": config.attention_dropout if _drops_attention(device, self.precision) else 0.0,
        }
        if self.task.head_rules:  # else the head is no model's
            values["head_dropout"] = self.loaded.head_dropout
        stored = stored_settings(self.task.model_config(self.loaded.head_dropout, {}), Recipe)
        return values | {name: value for name, value in stored.items() if value != getattr(recipe, name)}


def prepare(
    recipe: Recipe,
    here: Processes,
    device: torch.device,
    model: str = "",
    precision_name: str = "",
    own: Own = NOTHING_OWN,
) -> PreparedRun:
    """Machine, model, data, in this order; the seed is set before the head's first weights are drawn.

    ``model`` and ``precision_name``, if given, stand in place of the recipe's; ``own`` are the functions that it names.
    """
    began = time.perf_counter()
    check_trainable(precision_name or recipe.precision)
    own.check(recipe.metrics, recipe.loss)
    recipe = _on_this_machine(recipe, here)
    spec = TASKS[recipe.task](recipe.with_changes(model=model) if model else recipe)
    opened = spec.open_training(device)
    dropouts = Dropouts(recipe.dropout, recipe.attention_dropout, recipe.head_dropout)
    loaded = opened.load_model(model or recipe.model, dropouts)
    give_back_freed_memory()  # the files' tensors, which the model has copies of
    loaded = _trained_in_part(loaded, recipe)
    precision = choose_precision(precision_name or recipe.precision, device, loaded.source.config.hidden_size)
    allow_tf32(precision == "tf32")
    loaded = _with_note(loaded, device, precision)
    check_window(recipe.max_length, loaded.source.config)
    with in_turn(here):  # the first process on a machine fills the cache that the others read
        lesson = _with_others(own.lesson(opened.lesson(loaded)), recipe, loaded, device)
    _check_weights(lesson.features)
    seed_dropout(device, recipe.seed, here.rank)
    spreads = spreads_of(lesson)
    recipe, chosen = fitted(recipe, _situation(recipe, loaded, lesson, spreads))
    warm_up = warm_up_of(recipe, lesson)
    plan = step_plan(loop_settings(recipe), len(lesson.features), warm_up)
    _check_warmup(recipe, min(stages(plan, warm_up, recipe)))
    around = surroundings(
        recipe,
        fingerprints(lesson),
        loaded,
        torch.get_num_threads(),
        here.world_size,
        precision,
    )
    check_same(here, _facts(around, loaded, lesson.task.model_config(loaded.head_dropout, {})))
    return PreparedRun(
        began,
        here,
        precision,
        recipe,
        loaded,
        describe_machine(device),
        plan,
        lesson,
        around,
        chosen,
        _choice(recipe, spreads),
        warm_up,
        own=own,
    )


def _with_others(lesson: Lesson[Any], recipe: Recipe, loaded: LoadedModel, device: torch.device) -> Lesson[Any]:
    """The lesson with the warm-up data behind its own, and with a teacher, as far as the recipe names them."""
    if recipe.warm_up_data:
        lesson = with_warm_up(lesson, recipe.warm_up_data, recipe.warm_up_weight, loaded.tokenizer)
    teaching = _teaching(recipe)
    if teaching is not None and lesson.features.targets is None:  # else the task asked its teacher itself
        lesson = with_teacher(lesson, teaching, loaded.tokenizer, device)
    return lesson


def _on_this_machine(recipe: Recipe, here: Processes) -> Recipe:
    """Set memory, threads and the seed; → the recipe with the task of its data."""
    _check_single(recipe)
    keep_freed_memory()
    set_threads(recipe.threads or max(1, usable_cores() // here.local_world_size))
    seed_everything(recipe.seed)
    return with_task_of_training(recipe)


def spreads_of(lesson: Lesson[Any]) -> dict[str, Spread]:
    """Metric of the validation data → how far chance carries it, of those that the task can say it of."""
    if lesson.validation is None or not isinstance(lesson.task, Coached):
        return {}
    blind = lesson.task.blind_scores(lesson.training, lesson.validation)
    return {each.metric: each.spread for each in blind if each.n > 0}


def _choice(recipe: Recipe, spreads: Mapping[str, Spread]) -> BestEpoch:
    """How the best epoch is chosen, before the first."""
    if recipe.epoch_choice == "best":
        return BestEpoch(recipe.better, recipe.min_change)
    if recipe.monitor not in spreads:
        raise RecipeError(
            f"How far chance carries {recipe.monitor} is not known, so no epoch can be within that of the best.",
            where="recipe: epoch_choice",
            fix=f"leave it out, or watch one of these: {', '.join(spreads)}" if spreads else "leave it out",
        )
    return BestEpoch(recipe.better, recipe.min_change, spreads[recipe.monitor])


def _situation(recipe: Recipe, loaded: LoadedModel, lesson: Lesson[Any], spreads: Mapping[str, Spread]) -> Situation:
    """What the rule looks at: of the data the training's own, whatever else is read before them."""
    decisive, n_own = lesson.task.guide({}).decisive, len(lesson.training.features)
    return Situation(
        task=recipe.task,
        width=loaded.source.config.hidden_size,
        batches=count_steps(n_own, 16, 1),
        steps_per_epoch=count_steps(n_own, recipe.batch_size, recipe.accumulation_steps),
        n_validation=lesson.validation.n_examples if lesson.validation is not None else 0,
        decisive=decisive,
        adapters=recipe.lora_rank > 0,
        has_spread=decisive in spreads,
    )


def _facts(around: Mapping[str, Any], loaded: LoadedModel, config: Mapping[str, object]) -> dict[str, str]:
    """What must be the same in all processes: what the data are and not where they lie, and what is learnt and how."""
    free = MAY_CHANGE | BY_CONTENT | {"model"}
    settings = {f"the setting {name}": value for name, value in around["recipe"].items() if name not in free}
    facts = {"the model's shape": asdict(loaded.source.config), "the labels": labels_of(config), **settings}
    data = {f"the {name}": value for name, value in around["data"].items()}
    return {name: json.dumps(value, default=str) for name, value in {**data, **facts}.items()}


def _teaching(recipe: Recipe) -> Teaching | None:
    if not recipe.teacher:
        return None
    return Teaching(recipe.teacher, recipe.temperature, recipe.soft_weight, recipe.evaluation_tokens)


def prepare_again(
    recipe: Recipe,
    here: Processes,
    device: torch.device,
    run: RunDirectory,
    resumed: Resumed,
    precision: str,
    own: Own = NOTHING_OWN,
) -> PreparedRun:
    """What a run that is resumed needs, once recipe and data are seen to be those that it was begun with.

    ``precision`` is what it is to go on in, if somebody named one.
    """
    check_recipe(resumed.state["recipe"], recipe, run)
    prepared = prepare(recipe, here, device, str(run.base), precision_of(resumed.state, precision, device), own)
    check_data(resumed.state["data"], prepared.surroundings["data"], run)
    kept = {name: resumed.state[name] for name in BEGAN_FROM}
    return replace(
        prepared,
        began=prepared.began - resumed.state["seconds"],
        loaded=_with_note(as_in_the_run(prepared.loaded, resumed.state), device, prepared.precision),
        surroundings={**prepared.surroundings, **kept},
        resumed=resumed,
    )


def _with_note(loaded: LoadedModel, device: torch.device, precision: Precision) -> LoadedModel:
    """The model, and among what is remarkable about it that its attention dropout is not applied, if it is not."""
    source = loaded.source
    probability = source.config.attention_dropout
    if probability == 0.0 or _drops_attention(device, precision):
        return loaded
    return _noted(
        loaded,
        f"Attention dropout ({probability:g}) is not applied: flash attention has none. --precision float32 has it.",
    )


def _noted(loaded: LoadedModel, note: str) -> LoadedModel:
    source = loaded.source
    if not note or note in source.notes:
        return loaded
    return replace(loaded, source=replace(source, notes=(*source.notes, note)))


def _drops_attention(device: torch.device, precision: Precision) -> bool:
    return can_drop(device, torch.bfloat16 if precision == "bfloat16" else torch.float32)


def _check_weights(features: FeatureSet) -> None:
    if features.weights is not None and not features.weights.any():
        raise DataError(
            "No training example weighs anything: nothing can be learnt.",
            where="the column sample_weight",
            fix="give rows a weight above 0, or take the column out",
        )


def _check_single(recipe: Recipe) -> None:
    """Check that a recipe is of one training, and not of several."""
    if recipe.unlabelled:
        raise RecipeError(
            "Texts without labels take two trainings, and this is one.",
            where="recipe: unlabelled",
            fix="leave it out here; distiltune train makes both",
        )
    if recipe.folds and recipe.fold is None:
        raise RecipeError(
            f"{recipe.folds} folds are {recipe.folds} trainings, and this is one.",
            where="recipe: folds",
            fix="say which, as --fold 0; in Python distiltune.cross_validate trains all of them",
        )


def _trained_in_part(loaded: LoadedModel, recipe: Recipe) -> LoadedModel:
    """The model of which only that is trained which the recipe says, with a note on it if that is not all."""
    lora = lora_settings(recipe)
    if lora is None:
        return _noted(loaded, freeze(loaded.model, recipe.freeze))
    adapt(loaded.model, lora)
    n_trained = sum(each.numel() for each in loaded.model.parameters() if each.requires_grad)
    return _noted(
        loaded,
        f"LoRA of rank {lora.rank} beside {', '.join(lora.targets)}: {n_trained:,} weights are trained with the head. "
        "model/ has the products merged into the layers, adapter/ has them alone.",
    )


def _check_warmup(recipe: Recipe, n_steps: int) -> None:
    if recipe.warmup_steps >= n_steps:
        raise RecipeError(
            f"The warm-up of {recipe.warmup_steps} steps is as long as the run of {n_steps}.",
            where="recipe: warmup_steps",
            fix="shorten it, or use --warmup-share 0.1",
        )


def tell(reporter: Reporter, prepared: PreparedRun) -> None:
    """What the user should know before the first step."""
    source = prepared.loaded.source
    n_parameters = count_parameters(prepared.loaded.model)
    reporter.note(f"model: {prepared.recipe.model}, {n_parameters / 1e6:.1f} M parameters, in {prepared.precision}")
    for line in prepared.chosen.lines():
        reporter.note(line)
    for note in source.notes:
        reporter.note(note)
    if source.missing:
        reporter.note(f"started from random weights: {', '.join(source.missing)}")
    for note in prepared.lesson.notes:
        reporter.note(note)
    if prepared.validation is None:
        reporter.note("no validation data: the last epoch is kept")
    for name, data in prepared.lesson.sets.items():
        reporter.note(
            f"{name}: {data.n_examples:,} examples, {len(data.features):,} features, "
            f"{data.features.lengths.mean():.0f} tokens on average"
        )
        for line in (*data.findings.decisions(), *data.findings.told()):
            reporter.note(f"{name}: {line}")
        for note in data.notes:
            reporter.note(note)
