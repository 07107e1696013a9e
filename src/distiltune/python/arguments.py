"""Arguments of the functions → a recipe: data in memory held under names, settings checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from distiltune.data.held import Data, holding
from distiltune.recipe.recipe import Recipe, named_settings

OF_DATA: Final = ("train", "validation", "warm_up_data", "unlabelled")
"""The settings that name data."""

RecipeLike = Recipe | str | Path
"""Every setting, the name of a recipe (`auto`, `classic`), or a TOML file."""


@contextmanager
def held(settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The settings, in which data in memory are replaced by names; these are found until the end of the ``with``.

    Raises:
        DataError: if what is given as data is none.

    """
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(holding(value, name)) if name in OF_DATA and not _is_none(value) else value
            for name, value in settings.items()
        }


@contextmanager
def held_data(data: Data, what: str) -> Iterator[tuple[str, ...]]:
    """The names of data given as an argument; none for an empty list."""
    if _is_none(data):
        yield ()
        return
    with holding(data, what) as names:
        yield names


def recipe_of(recipe: RecipeLike | None, settings: Mapping[str, Any]) -> Recipe:
    """The recipe with these settings, which win over it.

    Raises:
        RecipeError: naming the setting, the value, and what is allowed.

    """
    built = recipe if isinstance(recipe, Recipe) else Recipe.build(named_settings(recipe) if recipe else {})
    return built.with_changes(**settings)


def _is_none(value: object) -> bool:
    """Whether no data are named, as a recipe's ``validation`` may have it."""
    return isinstance(value, list | tuple) and not value
