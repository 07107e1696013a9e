"""Which task a run is of: as it was said, or as the data or the model plainly tells; never two at once."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distiltune.data.files import format_suffix
from distiltune.data.first_columns import first_columns
from distiltune.data.hub import Split
from distiltune.data.sources import STARTER, find_source
from distiltune.errors import DataError, RecipeError
from distiltune.model.source import model_config
from distiltune.recipe.recipe import Recipe
from distiltune.recipe.wrong_columns import check_fields, check_seen, no_header_advice
from distiltune.settings.engine import AUTO
from distiltune.tasks.dataset import file_form
from distiltune.tasks.entry import TaskEntry
from distiltune.tasks.table import TASKS

USUAL = "question-answering"
"""The task of the starter, where nothing else is said."""
_FILES_LOOKED_AT = 20


def with_task_of_training(recipe: Recipe) -> Recipe:
    """The recipe with its task settled, from its training data and its model.

    Raises:
        RecipeError: if the task that was said is not the data's, if data and model disagree, or if nothing tells.
        ModelError, DataError, HubError: if the model or the data cannot be found or read.

    """
    if recipe.task != AUTO and not TASKS[recipe.task].columns:  # it reads no rows
        return recipe
    if recipe.task == AUTO:
        check_fields(recipe.columns)
    fitting, seen = _tasks_of_data(recipe, recipe.train, "train")
    if recipe.task != AUTO:
        TASKS[recipe.task].renamed(recipe.columns)  # which says what is wrong with them, before any work
        _check_data(recipe.task, "--task says", fitting, seen)
        return recipe
    models = task_of_model(model_config(recipe.model))
    if not fitting:
        usual = USUAL if all(source == STARTER for source in recipe.train) else ""
        task = models or usual
    else:
        task = models if models in fitting else "" if len(fitting) > 1 else next(iter(fitting))
        if models and task and models != task:
            raise RecipeError(
                f"The data is for {task} (it has {_listed(seen)}), and the model is one for {models}.",
                where=f"{', '.join(recipe.train)}; {recipe.model}",
                fix=f"say --task {task} to put a new head on the model, or give other data",
            )
    if not task:
        if not fitting and seen:
            check_seen(recipe.columns, seen, ", ".join(recipe.train))
        raise _cannot_tell(recipe, fitting, seen)
    TASKS[task].renamed(recipe.columns)
    return recipe.with_changes(task=task)


def with_task_of_model(recipe: Recipe, sources: Sequence[str]) -> Recipe:
    """The recipe with its task settled for a trained model on this data.

    Settings that were not given are as the model was trained.

    Raises:
        RecipeError: if the task that was said, the model's and the data's are not one.
        ModelError, DataError, HubError: if the model or the data cannot be found or read.

    """
    config = model_config(recipe.model)
    models = task_of_model(config)
    said = recipe.task if recipe.task != AUTO else ""
    if said and models and said != models:
        raise RecipeError(
            f"The model is one for {models}, and --task says {said}.",
            where=recipe.model,
            fix="leave --task out, or give another model",
        )
    fitting, seen = _tasks_of_data(recipe, sources, "validation")
    task = said or models or (next(iter(fitting)) if len(fitting) == 1 else USUAL)
    TASKS[task].renamed(recipe.columns)
    _check_data(task, "the model is one for" if models else "the task is", fitting, seen)
    return recipe.with_stored(config, task)


def entry_of_model(name: str) -> TaskEntry[Any]:
    """The task that a trained model is for; question answering where it does not say.

    Raises:
        ModelError, HubError: if the model cannot be found.

    """
    return TASKS[task_of_model(model_config(name)) or USUAL]


def task_of_model(config: Mapping[str, Any]) -> str:
    """The task that a model's head is for, as its config.json says; empty without a head that we know."""
    architectures = config.get("architectures")
    names = architectures if isinstance(architectures, list) else []
    for entry in TASKS.values():
        # A BERT's classes have other names before the "For"; an encoder alone is for no task.
        head = entry.architecture.partition("For")[2]
        if head and any(str(name).partition("For")[2] == head for name in names):
            return entry.name
    return ""


def _tasks_of_data(recipe: Recipe, sources: Sequence[str], split: Split) -> tuple[set[str], list[str]]:
    """The tasks that the first rows can be of, and their columns; nothing of `starter`, which has data for each.

    Of several files the first whose rows tell: one may hold none that anybody has marked.
    """
    fitting: set[str] = set()
    seen: list[str] = []
    for source in sources:
        if source == STARTER:
            continue
        for file in find_source(source, split, Path()).files[:_FILES_LOOKED_AT]:
            seen = first_columns(file, file_form(recipe), lambda names: bool(_fitting(names, recipe.columns))) or seen
            if found := _fitting(seen, recipe.columns):
                fitting |= found
                break
    return fitting, seen


def _fitting(seen: Iterable[str], columns: str) -> set[str]:
    """The tasks that rows with these columns can be of."""
    fitting = {entry.name for entry in TASKS.values() if _fits(entry.name, seen, columns)}
    return fitting - {other for name in fitting for other in TASKS[name].instead_of}


def _fits(name: str, seen: Iterable[str], columns: str) -> bool:
    with contextlib.suppress(RecipeError):  # columns that this task does not have are another's
        return TASKS[name].fits(dict.fromkeys(seen), columns)
    return False


def _check_data(task: str, who: str, fitting: set[str], seen: Sequence[str]) -> None:
    if fitting and task not in fitting:
        raise RecipeError(
            f"The data is for {_listed(sorted(fitting))} (it has {_listed(seen)}), and {who} {task}.",
            where="--task",
            fix="give other data, or map its columns with --columns",
        )


def _cannot_tell(recipe: Recipe, fitting: set[str], seen: Sequence[str]) -> DataError | RecipeError:
    sources = recipe.train
    table = next((path for path in _files(sources) if format_suffix(path) in (".csv", ".tsv")), None)
    advice = no_header_advice(recipe.no_header, table) if table is not None and not fitting else ""
    if not seen:
        return DataError(
            "There is no row in the data that can be read.",
            where=", ".join(sources),
            fix=f"give a file that holds rows; `distiltune check --task TASK` lists what is wrong with each.{advice}",
        )
    wanted = "; ".join(
        f"{entry.name}: {' or '.join(_listed(kind) for kind in entry.columns)}"
        for entry in TASKS.values()
        if entry.columns and (not fitting or entry.name in fitting)
    )
    others = "".join(f" {entry.other_columns}" for entry in TASKS.values() if entry.other_columns and not fitting)
    return RecipeError(
        f"What the data is for cannot be told from its columns, {_listed(seen)}.",
        where=", ".join(sources),
        fix=f"say it with --task, or name the columns with --columns. {wanted}.{others}{advice}",
    )


def _files(sources: Iterable[str]) -> list[Path]:
    """The first file of each source that is a path."""
    paths = [Path(source).expanduser() for source in sources if source != STARTER]
    return [file for path in paths if path.exists() for file in find_source(path, "train", Path()).files[:1]]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(re.sub(r"\s+", " ", str(name)) for name in names)
