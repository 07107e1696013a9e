"""Settings where plain texts are read."""

from __future__ import annotations

import pytest

from distiltune.recipe.recipe import Recipe
from distiltune.settings.of_texts import check_of_texts


@pytest.mark.parametrize(("max_length", "is_good"), [(35, True), (34, False)])
def test_windows_have_to_move_on(max_length: int, is_good: bool) -> None:
    recipe = Recipe(max_length=64, stride=32).model_copy(update={"max_length": max_length})
    if is_good:
        check_of_texts(recipe, "encoder", ())
    else:
        with pytest.raises(ValueError, match=r"stride \(32\) \+ 3"):
            check_of_texts(recipe, "encoder", ())


def test_what_says_nothing_is_named() -> None:
    with pytest.raises(ValueError, match="folds has no meaning for the task encoder"):
        check_of_texts(Recipe(folds=5), "encoder", ("no_header", "folds"))
