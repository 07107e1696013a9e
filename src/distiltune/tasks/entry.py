"""A task's line in the table: all that is known of it without loading PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from distiltune.data.rows import Reader
from distiltune.errors import RecipeError
from distiltune.settings.engine import EngineSettings
from distiltune.settings.stored import fill_windows

if TYPE_CHECKING:
    from distiltune.checks.data_check import Checked
    from distiltune.tasks.base import Task

Better = Literal["lower", "higher"]

S = TypeVar("S", bound=EngineSettings)
F = TypeVar("F", bound=Callable[..., Any])

Checker = Callable[[Sequence[str], Sequence[str], S, Path | None], "Checked"]
"""Checks data for `distiltune check`: sources, the other set's sources, settings, where to write mended data."""


@dataclass(frozen=True, slots=True)
class TaskEntry(Generic[S]):
    """What the command line and the recipe need of a task.

    Attributes:
        name: as the recipe's ``task`` names it.
        settings: every task's settings and those that only this task has.
        task: gives what makes the task from its settings; PyTorch is imported then.
        architecture: the class of ``transformers`` whose weights the task's models hold.
        monitors: what early stopping and the choice of the best epoch may watch, and which way is better.
        columns: for each kind of row that it takes, the columns that all such rows have, as `--columns` names them.
        renamed: the columns as `--columns` maps them: field → column.
        after_training: the command to go on with, in which ``{model}`` stands for the model directory.
        examples_predicted: what `predict` has done to its examples, as in "questions answered".
        for_use: those of its own settings that matter for using a trained model.
        prediction_files: the names of the files that the task's `evaluate` writes.
        defaults: the settings given → what others are by default for this task, where that is not the recipe's own.
        check: raises ValueError where settings do not fit together.
        windows: settings given, those that a model keeps, most tokens that it can read → the windows to use it in.
        formats: file suffix → what reads such files, beside those that all tasks read.
        checker: gives what checks data for `distiltune check`; None: there is nothing.
        server: gives what makes the application for `distiltune serve`: model, its name on the page, limits, how
            requests are put together, settings → FastAPI; None: there is nothing.
        for_serving: those of its own settings that `distiltune serve` takes.
        for_checking: those of its own settings that `distiltune check` takes.

    """

    name: str
    settings: type[S]
    task: Callable[[], Callable[[S], Task]]
    architecture: str
    monitors: Mapping[str, Better]
    columns: tuple[tuple[str, ...], ...]
    renamed: Callable[[str], Mapping[str, str]]
    after_training: str
    examples_predicted: str
    for_use: tuple[str, ...] = ()
    prediction_files: tuple[str, ...] = ()
    defaults: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda given: {}
    check: Callable[[S], None] = lambda settings: None
    windows: Callable[..., dict[str, int]] = fill_windows
    formats: Mapping[str, Reader] = field(default_factory=dict)
    checker: Callable[[], Checker[S]] | None = None
    server: Callable[[], Callable[..., Any]] | None = None
    for_serving: tuple[str, ...] = ()
    for_checking: tuple[str, ...] = ()

    def __call__(self, settings: S) -> Task:
        """The task with its settings."""
        return self.task()(settings)

    @property
    def own_settings(self) -> tuple[str, ...]:
        """The settings that only this task has."""
        return tuple(name for name in self.settings.model_fields if name not in EngineSettings.model_fields)

    def needed(self, function: Callable[[], F] | None) -> F:
        """One of the functions that not every task has.

        Raises:
            RecipeError: if this one has none.

        """
        if function is None:
            raise RecipeError(f"This cannot be done yet for {self.name}.", where="--task", fix="see docs/add-a-task.md")
        return function()

    def fits(self, row: Mapping[str, object], columns: str) -> bool:
        """Whether rows like this one can be this task's, with columns renamed as the recipe says."""
        names = self.renamed(columns)
        return any(all(names.get(name, name) in row for name in kind) for kind in self.columns)
