"""Other data that a run reads too: before its own, or among them, such as questions made without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tokenizers import Tokenizer

from distiltune.data.feature_set import joined
from distiltune.data.warm_up import WarmUp, plan_warm_up
from distiltune.errors import RecipeError
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.base import Lesson


def with_warm_up(lesson: Lesson[Any], sources: Sequence[str], weight: float, tokenizer: Tokenizer) -> Lesson[Any]:
    """The lesson with the features of these sources behind its own.

    Args:
        lesson: without them.
        sources: data of the lesson's task, read as training data are; a label that the task does not have leaves a
            row out, as in validation data.
        weight: of each such feature in the loss.
        tokenizer: the model's.

    Raises:
        DataError: if a source cannot be read or holds too little that can be used.
        RecipeError: if the task's features cannot be joined with others.

    """
    task, own = lesson.task, lesson.training
    data = task.load_data(sources, tokenizer, "training")
    try:
        features = joined(lesson.features, data.features, weight, own.n_examples)
    except ValueError as error:
        raise RecipeError(
            f"The task {task.name} cannot be warmed up: {error}.", where="recipe: warm_up_data", fix="leave it out"
        ) from error
    return replace(lesson, features=features, warm_up=data)


def warm_up_of(recipe: Recipe, lesson: Lesson[Any]) -> WarmUp | None:
    """When what is read of the lesson's warm-up data; None if it has none.

    Raises:
        RecipeError: if there are more passes than epochs to mix them into.

    """
    if lesson.warm_up is None:
        return None
    n_own = len(lesson.training.features)
    order, n_passes = recipe.warm_up_order, recipe.warm_up_epochs
    if lesson.warm_up_passes:
        order, n_passes = "first", lesson.warm_up_passes
    try:
        return plan_warm_up(lesson.features, n_own, order, n_passes, recipe.epochs, recipe.seed)
    except ValueError as error:
        raise RecipeError(
            f"{error}.".capitalize(), where="recipe: warm_up_epochs", fix="take fewer, or --warm-up-order first"
        ) from error


def names_of(lesson: Lesson[Any], features: Sequence[int]) -> list[str]:
    """What the data call the examples of these features, those of the warm-up data with the word before them."""
    own, others = lesson.training, lesson.warm_up
    example_of = lesson.features.example_of
    names = []
    for feature in features:
        example = int(example_of[feature])
        if others is None or example < own.n_examples:
            names.append(own.example_id(example))
        else:
            names.append(f"warm-up {others.example_id(example - own.n_examples)}")
    return names
