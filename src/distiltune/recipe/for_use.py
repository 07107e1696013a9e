"""Which settings of a recipe matter where a trained model is used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from distiltune.errors import RecipeError
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.table import TASKS

FOR_USE: Final[Sequence[str]] = (
    "task",
    "columns",
    "quoting",
    "no_header",
    "encoding",
    "max_rejected_share",
    "validation_examples",
    "sample_seed",
    "max_length",
    "stride",
    *(name for entry in TASKS.values() for name in entry.for_use),
    "evaluation_tokens",
    "device",
    "threads",
)
"""Settings that matter for measuring a trained model."""

FOR_PREDICTING: Final[Sequence[str]] = (*FOR_USE, "n_best")
"""Settings that matter where its answers are written."""


def check_does_something(given: Iterable[str], used: Sequence[str], name: str, task: str) -> None:
    """Check that settings which somebody gave on purpose do something.

    Args:
        given: their names; those that are no settings at all are left to `Recipe.build`.
        used: the names of those that do.
        name: of the function that they were given to.
        task: of the model, empty if that is not known; settings of other tasks are not offered.

    Raises:
        RecipeError: naming those that do nothing, and those that matter.

    """
    idle = [name for name in given if name not in used and name in Recipe.model_fields]
    if idle:
        own = TASKS[task].own_settings if task else ()
        others = {setting for entry in TASKS.values() for setting in entry.own_settings} - set(own)
        takes = [setting for setting in used if setting not in others]
        raise RecipeError(
            f"{name} takes no {' and no '.join(idle)}: nothing of a trained model depends on that.",
            where=f"argument: {', '.join(idle)}",
            fix=f"leave it out; of {task or 'any model'} {name} takes {', '.join(takes)}",
        )
