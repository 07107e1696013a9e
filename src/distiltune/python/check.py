"""Checking data before anything is trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from distiltune.data.held import Data
from distiltune.python.arguments import RecipeLike, held_data, recipe_of
from distiltune.python.settings import CheckingSettings
from distiltune.python.showing import shown_here
from distiltune.python.wording import in_python
from distiltune.recipe.for_use import FOR_CHECKING, check_does_something
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.table import TASKS

if TYPE_CHECKING:
    from distiltune.checks.data_check import Checked


@in_python
def check(
    data: Data,
    *,
    against: Data | None = None,
    fix: str | Path | None = None,
    recipe: RecipeLike | None = None,
    **settings: Unpack[CheckingSettings],
) -> Checked:
    """Say what is wrong with a data set before anything is trained on it.

    Args:
        data: files, directories, `starter`, hub names, or data in memory.
        against: the other set, usually the validation data: what do the two share?
        fix: write a cleaned data set here (.json or .jsonl), and what was changed beside it.
        recipe: a recipe, for its settings.
        **settings: settings that win over the recipe; those that would do nothing are refused.

    Returns:
        ``lines`` for a person, ``values`` for a program, and whether it ``has_errors``.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    check_does_something(settings, FOR_CHECKING, "check", "", "the check")
    with shown_here(), held_data(data, "data") as sources, held_data(against, "against") as others:
        return checked(recipe_of(recipe, {**settings, "train": sources}), others, Path(fix) if fix else None)


def checked(recipe: Recipe, against: Sequence[str], fix: Path | None) -> Checked:
    """What is wrong with the training data of this recipe.

    Raises:
        DistiltuneError: if data or model cannot be read, or the task has no check.

    """
    from distiltune.recipe.choose_task import with_task_of_training

    recipe = with_task_of_training(recipe)
    entry = TASKS[recipe.task]
    return entry.needed(entry.checker)(recipe.train, against, recipe, fix)
