"""`distiltune find-lr`: a range test, then short stretches, with a recipe's own data, model and settings."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any, Final

from distiltune.errors import RecipeError
from distiltune.progress import tell
from distiltune.recipe.auto import fitting_rate
from distiltune.recipe.choose_task import with_task_of_training
from distiltune.recipe.recipe import Recipe
from distiltune.runs.prepare import prepare
from distiltune.studies.found_rate import FoundRate
from distiltune.studies.learning_rate import FEWEST_STEPS, Rates, range_test, round_rate
from distiltune.studies.rate_trials import RateTrials
from distiltune.studies.stretches import Bar, TriedRate, for_whole_run, try_rates
from distiltune.system.device import choose_device
from distiltune.system.host import alone_in_training, restored
from distiltune.tasks.table import TASKS
from distiltune.training.distributed import as_the_first, joined, processes

MOST_HELD_OUT: Final = 500
"""Rows that a stretch is judged on: enough to tell rates apart, and their evaluation takes less than the stretch."""
_SHARE_HELD_OUT = 0.1
_CLOSE = 1.5
"""A rate within this factor of the suggestion is as good: the valley is flat."""
_SURE_FACTOR, _UNSURE_FACTOR = 2.0, 3.0
_SURE_DISTANCE, _UNSURE_DISTANCE = 30.0, 3.0
"""So far from the rate of the recipe `auto` the trying may begin, as a factor: a curve that never falls below the prior
may break away where a few hard batches came together."""


@restored()
def find_learning_rate(recipe: Recipe, *, n_steps: int = 100) -> FoundRate:
    """Test rising learning rates, then try what they show for short stretches; no run directory is made.

    The stretches are judged on at most `MOST_HELD_OUT` rows of the validation data; where the recipe has none, a tenth
    of the training data is set aside for it. Of several processes all find the same.

    Args:
        recipe: of the training that the rate is for.
        n_steps: of the range test.

    Raises:
        RecipeError: if the steps are too few.
        DistiltuneError: if data or model cannot be read.

    """
    if n_steps < FEWEST_STEPS:
        raise RecipeError(
            f"A range test of {n_steps} steps is too short to tell one rate from the next.",
            where="--steps",
            fix=f"use {FEWEST_STEPS} or more; 100 are usual",
        )
    here = processes()
    device = choose_device(recipe.device, here.local_rank)
    with alone_in_training(), joined(here, device.type):
        prepared = prepare(_with_held_out(recipe), here, device)
        return _find(RateTrials.of(prepared), n_steps)


def _with_held_out(recipe: Recipe) -> Recipe:
    """The recipe with validation data, and not more of it than is needed."""
    changes: dict[str, Any] = {}
    recipe = with_task_of_training(recipe)
    if not TASKS[recipe.task].reads_rows:  # which has validation data of its own
        return recipe
    if not recipe.validation and recipe.validation_share == 0.0:
        changes["validation_share"] = _SHARE_HELD_OUT
    if recipe.warm_up_data:  # whose steps would be tried first, and are the shorter part of a run
        changes |= {
            name: Recipe.model_fields[name].default for name in Recipe.model_fields if name.startswith("warm_up_")
        }
    if recipe.few_labels != "off":  # likewise
        changes |= {name: Recipe.model_fields[name].default for name in ("few_labels", "pair_epochs")}
    if recipe.unlabelled:  # which a second training reads
        changes |= {
            name: Recipe.model_fields[name].default for name in Recipe.model_fields if name.startswith("unlabelled")
        }
    name = "validation_questions" if recipe.validation_questions else "validation_examples"
    if not 0 < getattr(recipe, name) <= MOST_HELD_OUT:
        changes[name] = MOST_HELD_OUT
    return recipe.with_changes(**changes)


def _find(trials: RateTrials, n_steps: int) -> FoundRate:
    """The range test, the stretches, and what they say."""
    setup, recipe, began = trials.setup, trials.prepared.recipe, time.perf_counter()
    on_training, on_held_out = trials.prior_losses()
    range_began = time.perf_counter()
    test = range_test(setup, Rates(n_steps=n_steps), on_training, lambda n: tell("range test", "steps", n, n_steps))
    range_seconds = time.perf_counter() - range_began
    (start,) = as_the_first(trials.prepared.here, (test.start or math.nan,))
    n_run = setup.plan.n_steps
    found = FoundRate(
        suggestion=None,
        reason=test.end,
        fix="look at the data and the model: distiltune check",
        default=recipe.learning_rate,
        default_is_right=False,
        test=test,
        stretches=(),
        best=None,
        prior_loss=on_held_out,
        score_name=trials.score_name,
        n_held_out=trials.n_held_out,
        n_run=n_run,
        n_steps=len(test.losses),
        seconds=time.perf_counter() - began,
        run_seconds=range_seconds / max(1, len(test.losses)) * n_run,
    )
    if test.end:
        return found
    bar = Bar(on_held_out, trials.n_held_out)
    width = trials.prepared.loaded.source.config.hidden_size
    usual = fitting_rate(recipe.task, width, n_run, adapters=recipe.lora_rank > 0)
    is_sure = test.steepest is not None
    farthest = _SURE_DISTANCE if is_sure else _UNSURE_DISTANCE
    first = min(usual * farthest, max(usual / farthest, start)) if math.isfinite(start) else usual
    factor = _SURE_FACTOR if is_sure else _UNSURE_FACTOR
    try:
        tried = try_rates(trials.stretch, round_rate(first), factor, n_run, bar)
    finally:
        trials.start_afresh()
    found = replace(
        found,
        stretches=tried.stretches,
        best=tried.best,
        n_steps=found.n_steps + tried.n_steps,
        seconds=time.perf_counter() - began,
        run_seconds=sum(each.seconds for each in tried.stretches) / tried.n_steps * n_run,
    )
    return _nothing_learnt(found) if tried.best is None else _suggested(found, tried.best)


def _nothing_learnt(found: FoundRate) -> FoundRate:
    """Why there is no suggestion, and what to do."""
    longest = max(each.n_steps for each in found.stretches)
    rates = sorted({each.rate for each in found.stretches})
    span = f"from {rates[0]:.1e} to {rates[-1]:.1e}"
    if all(math.isinf(each.loss) for each in found.stretches):
        return replace(found, reason=f"at no rate {span} did the loss stay a number")
    what = f"no rate {span} learnt more in {longest:,} steps than what is known without reading a text"
    shown = min(each.loss for each in found.stretches)
    reason = f"{what} (loss {shown:.4f} on {found.n_held_out:,} held-out rows, {found.prior_loss or 0.0:.4f} without)"
    if longest < found.n_run:
        return replace(found, reason=reason, fix="check the labels (distiltune check), or train a whole run and see")
    return replace(found, reason=reason, fix="check the labels (distiltune check), train on more data, or for longer")


def _suggested(found: FoundRate, best: TriedRate) -> FoundRate:
    """The suggestion, and why."""
    suggestion = round_rate(for_whole_run(best.rate, best.n_steps, found.n_run))
    lengths = [each for each in found.stretches if each.n_steps == best.n_steps]
    parts = [
        f"best of {len(lengths)} rates tried for {best.n_steps:,} steps each on {found.n_held_out:,} held-out rows"
    ]
    if best.rate >= max(each.rate for each in found.stretches):
        parts.append("no higher one was tried, so that a higher one may be better still")
    if suggestion < 0.95 * round_rate(best.rate) and found.n_run >= 2 * best.n_steps:
        parts.append(f"a little below it, since the run is {found.n_run / best.n_steps:.0f} times as long")
    close = suggestion / _CLOSE <= found.default <= suggestion * _CLOSE
    return replace(
        found,
        suggestion=suggestion,
        reason="; ".join(parts),
        fix=f"use it: --learning-rate {suggestion:g}",
        default_is_right=close,
    )
