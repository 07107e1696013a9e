"""The recipe ``auto``: learning rate, warm-up, clipping, epochs and monitor from the model, the task and the data.

The rule is the three functions and the table below, and nothing else. Its form is known: with Adam the best rate falls
as a network gets wider (Yang et al. 2022, arXiv:2203.03466) and a schedule longer; small sets need more passes than
three (Mosbach et al. 2021, arXiv:2006.04884; Zhang et al. 2021, arXiv:2006.05987), with warm-up, and gradients are
clipped as usual. Its numbers were made on one half of a grid of trainings and judged on the other:
docs/recipe-auto.md, ``python -m benchmarks.recipe_grid``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from distiltune.coach.scores import ENOUGH_TO_SCORE
from distiltune.recipe.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Situation:
    """What the rule looks at.

    Attributes:
        task: by name.
        width: of the model's hidden states.
        batches: batches of 16 features that the training data make, a batch begun counted as one.
        steps_per_epoch: optimiser steps in an epoch, as batch size and accumulation make them.
        n_validation: examples to evaluate on, 0 for none.
        decisive: the metric that says which of two models is better, "" if only the loss does.
        adapters: whether adapters are trained beside layers that stay as they are (LoRA).
        has_spread: whether it is known how far chance carries that metric.

    """

    task: str
    width: int
    batches: int
    steps_per_epoch: int
    n_validation: int
    decisive: str
    adapters: bool = False
    has_spread: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the rule chose.

    Attributes:
        settings: the settings that were not given, with what they are now.
        situation: why.

    """

    settings: Mapping[str, Any]
    situation: Situation

    def lines(self) -> tuple[str, ...]:
        """Two sentences for the user: what was chosen, and why; none if everything was given."""
        if not self.settings:
            return ()
        words = {
            name: f"{words} {_shown(self.settings[name])}" for name, words in _WORDS.items() if name in self.settings
        }
        if self.settings.get("epoch_choice") == "within_error":
            words["monitor"] = f"the latest epoch within chance of the best {_shown(self.situation.decisive)}"
        chosen = ", ".join(words.values())
        here = self.situation
        what = f"{here.task.replace('-', ' ')} with {'adapters beside ' if here.adapters else ''}a model"
        why = f"{what} {here.width} wide, {here.batches:,} batches"
        if here.n_validation:
            why += f", {here.n_validation:,} examples to evaluate on"
        return (f"recipe auto: {chosen}", f"since this is {why}; a flag sets each by hand, --recipe classic is 2022's")

    def as_json(self) -> dict[str, Any]:
        """What was chosen, and from what."""
        return {"settings": dict(self.settings), "why": self.lines()[1] if self.settings else ""}


_WORDS: Final = {
    "learning_rate": "learning rate",
    "epochs": "epochs",
    "warmup_share": "warm-up share",
    "max_gradient_norm": "gradients clipped at",
    "monitor": "best epoch by",
}

RATE_OF_TASK: Final[Mapping[str, float]] = {
    "question-answering": 4e-5,
    "text-classification": 3.5e-5,
    "token-classification": 3.5e-5,
}
"""Learning rate of a model 768 wide over 10,000 steps."""

_USUAL_RATE: Final = 3.5e-5
"""The same for a task of another package."""

WIDTH_POWER: Final = 1.4
STEPS_POWER: Final = 0.08
MOST_FOR_STEPS: Final = 1.25
"""A rate times this is the most that a short schedule is given."""

MOST_RATE_OF_TASK: Final[Mapping[str, float]] = {"question-answering": 1.2e-4}
_USUAL_MOST_RATE: Final = 2.2e-4
"""The most that a narrow model is given; below 384 wide the rate that trains best no longer grows with narrowness."""

RATE_OF_ADAPTERS: Final = 10.0
"""What the rate of a whole fine-tuning is multiplied by for adapters, which begin at 0."""

EPOCHS_OF_TASK: Final[Mapping[str, int]] = {"question-answering": 45}
_USUAL_EPOCHS: Final = 60
"""Epochs over a single batch; a question has as many labels as its text has tokens, so it takes fewer passes."""

EPOCHS_POWER: Final = 0.4
FEWEST_EPOCHS: Final = 2
MOST_EPOCHS: Final = 40

KEEP_LATEST: Final = frozenset({"text-classification", "token-classification"})
"""Tasks of which the latest epoch is kept that chance does not tell from the best. Questions get worse in late epochs
by less than their validation data show."""

WARMUP_OF_SHORT: Final = 0.1
WARMUP_OF_LONG: Final = 0.06
"""Shares of the steps; a schedule is long from 2,000 on."""


def fitting_rate(task: str, width: int, n_steps: int, *, adapters: bool = False) -> float:
    """The learning rate at the top of the schedule: a model's of ``width`` over ``n_steps``, to two digits."""
    short = min(MOST_FOR_STEPS, max(1.0, (10_000 / max(1, n_steps)) ** STEPS_POWER))
    rate = RATE_OF_TASK.get(task, _USUAL_RATE) * (768 / width) ** WIDTH_POWER * short
    whole = min(MOST_RATE_OF_TASK.get(task, _USUAL_MOST_RATE), rate)
    return float(f"{whole * (RATE_OF_ADAPTERS if adapters else 1.0):.1e}")


def fitting_epochs(task: str, batches: int) -> int:
    """Passes over a task's data that make so many batches of 16."""
    epochs = round(EPOCHS_OF_TASK.get(task, _USUAL_EPOCHS) / float(max(1, batches) ** EPOCHS_POWER))
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, epochs))


def fitted(recipe: Recipe, situation: Situation) -> tuple[Recipe, Chosen]:
    """The recipe with every setting in it that the rule has a say in, and what of it the rule chose.

    Nothing is chosen for ``classic``, nor for the distillation of an encoder, which has a recipe of its own.
    """
    epochs = fitting_epochs(situation.task, situation.batches) if "epochs" in recipe.open else recipe.epochs
    n_steps = epochs * situation.steps_per_epoch
    tells = situation.n_validation >= ENOUGH_TO_SCORE or (situation.task in KEEP_LATEST and situation.has_spread)
    scored = situation.decisive and tells
    monitor = situation.decisive if scored and "monitor" in recipe.open else recipe.monitor
    by_score = situation.task in KEEP_LATEST and situation.has_spread and monitor == situation.decisive
    wanted: dict[str, Any] = {
        "learning_rate": max(_rate(situation, n_steps), recipe.end_learning_rate),
        "epochs": epochs,
        "warmup_share": WARMUP_OF_SHORT if n_steps < 2_000 else WARMUP_OF_LONG,
        "max_gradient_norm": 1.0,
        "monitor": monitor,
        "epoch_choice": "within_error" if by_score else "best",
    }
    chosen = {name: wanted[name] for name in recipe.open}
    return recipe.with_changes(**chosen), Chosen(chosen, situation)


def _rate(situation: Situation, n_steps: int) -> float:
    return fitting_rate(situation.task, situation.width, n_steps, adapters=situation.adapters)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")
