"""From a recipe and what was prepared for it to a training: the one place where the two are put together."""

from __future__ import annotations

from torch import nn

from distiltune.recipe.recipe import Recipe
from distiltune.runs.prepare import PreparedRun
from distiltune.runs.stages import loop_settings, rate_of_run
from distiltune.training.average import Average, Averaging
from distiltune.training.optimiser import Adam
from distiltune.training.parameters import rate_factors
from distiltune.training.setup import TrainingSetup


def make_optimiser(recipe: Recipe, model: nn.Module, head_rate: float) -> Adam:
    """The recipe's optimiser of the model's parameters, before its first step; ``head_rate`` is the lesson's."""
    return Adam(
        model,
        beta1=recipe.adam_beta1,
        beta2=recipe.adam_beta2,
        epsilon=recipe.adam_epsilon,
        weight_decay=recipe.weight_decay,
        rate_factors=rate_factors(model, recipe.layer_rate_decay, head_rate),
    )


def with_average(optimiser: Adam, recipe: Recipe) -> Adam:
    """The optimiser, with the mean of its weights that the recipe asks for, if it asks for one."""
    averaging = _averaging(recipe)
    if averaging is not None:
        optimiser.average = Average(optimiser.parameters, averaging)
    return optimiser


def _averaging(recipe: Recipe) -> Averaging | None:
    if recipe.average == "steps":
        return Averaging(decay=recipe.average_decay)
    if recipe.average == "epochs":
        return Averaging(first_epoch=max(0, recipe.epochs - recipe.average_epochs))
    return None


def training_setup(prepared: PreparedRun, optimiser: Adam) -> TrainingSetup:
    """What a recipe's training goes by, with the optimiser of its model."""
    recipe = prepared.recipe
    return TrainingSetup(
        model=prepared.loaded.model,
        features=prepared.lesson.features,
        objective=prepared.lesson.objective,
        metric_names=prepared.task.metric_names,
        optimiser=optimiser,
        learning_rate_at=rate_of_run(recipe, prepared.plan, prepared.warm_up),
        loop=loop_settings(recipe),
        precision=prepared.precision,
        here=prepared.here,
        warm_up=prepared.warm_up,
        average=optimiser.average,
    )
