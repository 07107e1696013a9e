"""From a recipe and what was prepared for it to a training: the one place where the two are put together."""

from __future__ import annotations

from torch import nn

from distiltune.recipe.recipe import Recipe
from distiltune.runs.prepare import PreparedRun
from distiltune.training.average import Average, Averaging
from distiltune.training.optimiser import Adam
from distiltune.training.parameters import rate_factors
from distiltune.training.schedule import PolynomialDecay
from distiltune.training.setup import LoopSettings, TrainingSetup


def make_optimiser(recipe: Recipe, model: nn.Module) -> Adam:
    """The recipe's optimiser of the model's parameters, before its first step."""
    return Adam(
        model,
        beta1=recipe.adam_beta1,
        beta2=recipe.adam_beta2,
        epsilon=recipe.adam_epsilon,
        weight_decay=recipe.weight_decay,
        rate_factors=rate_factors(model, recipe.layer_rate_decay),
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
        learning_rate_at=schedule(recipe, prepared.steps_per_epoch * recipe.epochs),
        loop=LoopSettings(
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            accumulation_steps=recipe.accumulation_steps,
            max_gradient_norm=recipe.max_gradient_norm,
            seed=recipe.seed,
            log_every=recipe.log_every,
        ),
        precision=prepared.precision,
        here=prepared.here,
        average=optimiser.average,
    )


def schedule(recipe: Recipe, n_steps: int) -> PolynomialDecay:
    """The recipe's learning rate at each of ``n_steps`` steps."""
    return PolynomialDecay(
        start=recipe.learning_rate,
        end=recipe.end_learning_rate,
        power=recipe.decay_power,
        warmup_steps=recipe.warmup_steps or int(recipe.warmup_share * n_steps),
        total_steps=n_steps,
    )
