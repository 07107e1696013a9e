"""Checking data before anything is trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from distiltune.data.class_folders import check_no_classes
from distiltune.data.held import Data
from distiltune.errors import DistiltuneError, RecipeError
from distiltune.progress import tell
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
        data: files, directories, `starter`, hub names, or data in memory; or documents, as
            `ask` reads them (text, Markdown, HTML, PDF, Word).
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
    others_given = () if against is None else against
    with shown_here(), held_data(data, "data") as sources, held_data(others_given, "against") as others:
        return checked(recipe_of(recipe, {**settings, "train": sources}), others, Path(fix) if fix else None)


def checked(recipe: Recipe, against: Sequence[str], fix: Path | None) -> Checked:
    """What is wrong with the training data of this recipe.

    Raises:
        DistiltuneError: if data or model cannot be read, or the task has no check.

    """
    from distiltune.recipe.choose_task import check_task_of, with_task_of_training
    from distiltune.tasks.document_files import document_sources

    if document_sources(recipe.train) is not None:
        if recipe.task == "text-classification":
            for source in recipe.train:
                check_no_classes(Path(source).expanduser())
        return _of_documents(recipe, against, fix)
    recipe = with_task_of_training(recipe)
    check_task_of(recipe, against)
    entry = TASKS[recipe.task]
    found = entry.needed(entry.checker)(recipe.train, against, recipe, fix)
    from distiltune.checks.data_check import with_verdict

    return with_verdict(found, _what_stops(recipe.with_changes(validation=tuple(against)) if against else recipe))


def _what_stops(recipe: Recipe) -> DistiltuneError | None:
    """What a training of this recipe raises before its first step because of its data; None if nothing.

    It opens the data as a training does, so that the two cannot say different things.
    """
    import torch

    from distiltune.model.build import check_window
    from distiltune.model.config import EncoderConfig
    from distiltune.model.source import model_config

    tell("looking whether a training runs")
    config = model_config(recipe.model)
    try:
        if "dim" in config:  # a BERT, which is converted when it is trained, has other names
            check_window(recipe.max_length, EncoderConfig.from_hf(config))
        TASKS[recipe.task](recipe).open_training(torch.device("cpu"))
    except DistiltuneError as error:
        return error
    return None


def _of_documents(recipe: Recipe, against: Sequence[str], fix: Path | None) -> Checked:
    """What is wrong with documents.

    Raises:
        RecipeError: if they are to be compared or mended, as rows are.

    """
    from distiltune.tasks.document_check import check_documents

    for flag, given in (("--against", against), ("--fix", fix)):
        if given:
            raise RecipeError(
                "Documents have no rows to compare or to mend.",
                where=f"{flag}, with {', '.join(recipe.train)}",
                fix=f"leave {flag} out, or give data files",
            )
    return check_documents(recipe.train, recipe.model, recipe.encoding)
