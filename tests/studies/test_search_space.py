"""What is searched, as a person writes it."""

from __future__ import annotations

import pytest

from distiltune.errors import RecipeError
from distiltune.recipe.recipe import Recipe
from distiltune.studies.search_space import DEFAULT_SEARCH, Choice, Range, parse_space


def test_ranges_and_choices_are_read_as_the_recipe_types_them() -> None:
    space = parse_space(
        ["learning-rate=1e-5:3e-4:log", "dropout=0:0.3", "epochs=2,3", "batch_size=8:32", "monitor_not=1"][:4], Recipe()
    )
    assert space == (
        Range("learning_rate", 1e-5, 3e-4, log=True),
        Range("dropout", 0.0, 0.3),
        Choice("epochs", (2, 3)),
        Range("batch_size", 8, 32, whole=True),
    )
    assert parse_space(["precision=float32,bfloat16"], Recipe()) == (Choice("precision", ("float32", "bfloat16")),)
    assert len(parse_space(DEFAULT_SEARCH, Recipe())) == len(DEFAULT_SEARCH)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learning_rate", "nothing to search"),
        ("learning_rte=1:2", "no setting called"),
        ("learning_rate=1e-4:1e-5", "ends before it begins"),
        ("weight_decay=0:0.1:log", "begins at 0"),
        ("learning_rate=1:2:3", "no range"),
        ("epochs=0,2", "epochs"),
        ("dropout=0:7", "dropout"),
        ("precision=a:b", "precision"),
        ("train=a,b", "cannot be searched"),
    ],
)
def test_a_space_that_cannot_be_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse_space([text], Recipe())
    with pytest.raises(RecipeError, match="twice"):
        parse_space(["epochs=1,2", "epochs=3,4"], Recipe())
