"""What of a recipe the loop needs to know, and the learning rate at each of its steps."""

from __future__ import annotations

from collections.abc import Callable

from distiltune.data.warm_up import WarmUp
from distiltune.recipe.recipe import Recipe
from distiltune.training.plan import StepPlan
from distiltune.training.schedule import PolynomialDecay, StagedRate
from distiltune.training.setup import LoopSettings, count_steps


def loop_settings(recipe: Recipe) -> LoopSettings:
    """What of a recipe the loop itself needs to know."""
    return LoopSettings(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        accumulation_steps=recipe.accumulation_steps,
        max_gradient_norm=recipe.max_gradient_norm,
        seed=recipe.seed,
        log_every=recipe.log_every,
    )


def stages(plan: StepPlan, warm_up: WarmUp | None, recipe: Recipe) -> tuple[int, ...]:
    """The steps of each stretch of a run that has a learning rate of its own, which rises and falls once."""
    if warm_up is None or warm_up.order == "mixed":
        return (plan.n_steps,)
    n_first = sum(count_steps(len(part), recipe.batch_size, recipe.accumulation_steps) for part in warm_up.parts[0])
    return n_first, plan.n_steps - n_first


def rate_of_run(recipe: Recipe, plan: StepPlan, warm_up: WarmUp | None) -> Callable[[int], float]:
    """The recipe's learning rate at each step of a run, counted from 0."""
    schedules = [schedule(recipe, n_steps) for n_steps in stages(plan, warm_up, recipe)]
    return schedules[0] if len(schedules) == 1 else StagedRate(schedules[0], schedules[1], schedules[0].total_steps)


def schedule(recipe: Recipe, n_steps: int) -> PolynomialDecay:
    """The recipe's learning rate at each of ``n_steps`` steps."""
    return PolynomialDecay(
        start=recipe.learning_rate,
        end=recipe.end_learning_rate,
        power=recipe.decay_power,
        warmup_steps=recipe.warmup_steps or int(recipe.warmup_share * n_steps),
        total_steps=n_steps,
    )
