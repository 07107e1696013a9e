"""A task's line in the table: all that is known of it without loading PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel, ConfigDict

from distiltune.data.files import Reader

if TYPE_CHECKING:
    from distiltune.recipe.recipe import Recipe
    from distiltune.tasks.base import Task

Better = Literal["lower", "higher"]

SETTINGS = ConfigDict(use_attribute_docstrings=True)
"""How a task's settings are declared: a field, and under it the sentence that says what it means."""


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """What the command line and the recipe need of a task.

    Attributes:
        name: as the recipe's ``task`` names it.
        module: whose ``from_recipe`` makes the task; it is imported then.
        architecture: the class of ``transformers`` whose weights the task's models hold.
        monitors: what early stopping and the choice of the best epoch may watch, and which way is better.
        columns: for each kind of row that it takes, the columns that all such rows have, as `--columns` names them.
        renamed: the columns as `--columns` maps them: field → column.
        after_training: the command to go on with, in which ``{model}`` stands for the model directory.
        examples_predicted: what `predict` has done to its examples, as in "questions answered".
        settings: the recipe's settings that only this task has.
        reading: those of them that matter for using a trained model.
        prediction_files: the names of the files that the task's `evaluate` writes.
        defaults: the settings given → what others are by default for this task, where that is not the recipe's own.
        check: raises ValueError where settings of a recipe do not fit together.
        formats: file suffix → what reads such files, beside those that all tasks read.
        checker: ``module:function`` that checks data for `distiltune check`: sources, the other set's sources, recipe,
            where to write mended data → `Checked`; empty: there is none.
        server: ``module:function`` that makes the application for `distiltune serve`: model, its name on the page,
            limits, how requests are put together, settings → FastAPI; empty: there is none.

    """

    name: str
    module: str
    architecture: str
    monitors: Mapping[str, Better]
    columns: tuple[tuple[str, ...], ...]
    renamed: Callable[[str], Mapping[str, str]]
    after_training: str
    examples_predicted: str
    settings: type[BaseModel] = BaseModel
    reading: tuple[str, ...] = ()
    prediction_files: tuple[str, ...] = ()
    defaults: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda given: {}
    check: Callable[[Recipe], None] = lambda recipe: None
    formats: Mapping[str, Reader] = field(default_factory=dict)
    checker: str = ""
    server: str = ""

    def __call__(self, recipe: Recipe) -> Task:
        """The task with its part of the recipe."""
        return cast("Task", import_module(self.module).from_recipe(recipe))

    def load(self, place: str) -> Callable[..., Any]:
        """The function at a ``module:function`` of the entry.

        Raises:
            RecipeError: if the task has none.

        """
        from distiltune.errors import RecipeError

        module, _, function = place.partition(":")
        if not module:
            raise RecipeError(f"This cannot be done yet for {self.name}.", where="--task", fix="see docs/add-a-task.md")
        found: Callable[..., Any] = getattr(import_module(module), function)
        return found

    def fits(self, row: Mapping[str, object], columns: str) -> bool:
        """Whether rows like this one can be this task's, with columns renamed as the recipe says."""
        names = self.renamed(columns)
        return any(all(names.get(name, name) in row for name in kind) for kind in self.columns)
