"""A task's line in the table: all that is known of it without loading PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from distiltune.data.rows import Reader
from distiltune.errors import InstallationError, RecipeError
from distiltune.settings.engine import EngineSettings
from distiltune.settings.stored import fill_windows

if TYPE_CHECKING:
    from distiltune.checks.data_check import Checked
    from distiltune.labelling.offered import LabelTask
    from distiltune.tasks.base import TaskSpec

Better = Literal["lower", "higher"]

FirstRows = Callable[[], Sequence[Mapping[str, object]]]
"""Reads the first rows of a file."""
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
        spec: gives what makes the task's specification from its settings; PyTorch is imported then.
        architecture: the class of ``transformers`` whose weights the task's models hold.
        monitors: the main figures that early stopping and the choice of the best epoch may watch, and which way is
            better.
        figures: the others that they may watch, likewise.
        columns: for each kind of row that it takes, the columns that all such rows have, as `--columns` names them.
        other_rows: whether rows with columns of other names can be its own all the same.
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
        asks_documents: whether that takes a folder too that is asked where a request brings no text: what Python's
            ``serve`` calls documents, as a `ServedFolder`.
        labeller: gives what makes the `LabelTask` for `distiltune label`: sources, settings, names of labels;
            None: there is nothing.
        for_labelling: those of its own settings that `distiltune label` takes.
        for_serving: those of its own settings that `distiltune serve` takes.
        for_checking: those of its own settings that `distiltune check` takes.
        for_reading: those of its own settings that say how data are read.
        instead_of: other tasks that rows which fit this one are not of, though their columns would do for these.
        instead_by_values: the columns of a file that fits one of these, and what reads its first rows → whether their
            values tell that they are its own all the same.
        by_values: the first rows of a file whose names tell no task, the columns as they are renamed → whether their
            values tell that they are its own.
        meant_otherwise: the columns of a file that fit this task, and what reads its first rows → the flags with which
            they are another's, whose values these can only be; empty if they are its own.
        other_columns: such rows → how their columns are named to it, in a sentence; empty if there is nothing to say.
        also_called: field → what people also call its column, the usual names first, to propose a `--columns`.

    """

    name: str
    settings: type[S]
    spec: Callable[[], Callable[[S], TaskSpec[Any]]]
    architecture: str
    monitors: Mapping[str, Better]
    columns: tuple[tuple[str, ...], ...]
    renamed: Callable[[str], Mapping[str, str]]
    after_training: str
    examples_predicted: str
    figures: Mapping[str, Better] = field(default_factory=dict)
    for_use: tuple[str, ...] = ()
    prediction_files: tuple[str, ...] = ()
    defaults: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda given: {}
    check: Callable[[S], None] = lambda settings: None
    windows: Callable[..., dict[str, int]] = fill_windows
    other_rows: Callable[[Iterable[str]], bool] = lambda names: False
    formats: Mapping[str, Reader] = field(default_factory=dict)
    checker: Callable[[], Checker[S]] | None = None
    server: Callable[[], Callable[..., Any]] | None = None
    asks_documents: bool = False
    labeller: Callable[[], Callable[[Sequence[str], S, Sequence[str]], LabelTask]] | None = None
    for_labelling: tuple[str, ...] = ()
    for_serving: tuple[str, ...] = ()
    for_checking: tuple[str, ...] = ()
    for_reading: tuple[str, ...] = ()
    instead_of: tuple[str, ...] = ()
    by_values: Callable[[Sequence[Mapping[str, object]], Mapping[str, str]], bool] = lambda rows, names: False
    instead_by_values: Callable[[Iterable[str], FirstRows], bool] = lambda names, rows: False
    meant_otherwise: Callable[[Iterable[str], FirstRows], str] = lambda names, rows: ""
    other_columns: Callable[[Sequence[Mapping[str, object]]], str] = lambda rows: ""
    also_called: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __call__(self, settings: S) -> TaskSpec[Any]:
        """The task's specification, with its settings.

        Raises:
            InstallationError: if its code cannot be imported, as may be of another package's task.

        """
        return self._imported(self.spec)(settings)

    @property
    def watchable(self) -> dict[str, Better]:
        """All figures that may be watched, and which way each is better."""
        return {**self.monitors, **self.figures}

    @property
    def reads_rows(self) -> bool:
        """Whether it learns from rows that somebody labelled, and not from plain text."""
        return bool(self.columns)

    @property
    def package(self) -> str:
        """The package that the task is in, whose folder holds what files it has; empty if it is in none."""
        return sys.modules[self.spec.__module__].__package__ or ""

    @property
    def own_settings(self) -> tuple[str, ...]:
        """The settings that only this task has."""
        return tuple(name for name in self.settings.model_fields if name not in EngineSettings.model_fields)

    def needed(self, function: Callable[[], F] | None) -> F:
        """One of the functions that not every task has.

        Raises:
            RecipeError: if this one has none.
            InstallationError: as calling the entry.

        """
        if function is None:
            raise RecipeError(f"This cannot be done yet for {self.name}.", where="--task", fix="see docs/add-a-task.md")
        return self._imported(function)

    def _imported(self, function: Callable[[], F]) -> F:
        """What the function gives, which imports it."""
        try:
            return function()
        except Exception as error:
            package = function.__module__.partition(".")[0]
            if package == __name__.partition(".")[0]:  # a bug of ours, which is told as any other
                raise
            raise InstallationError(
                f"The task {self.name} of the package {package} cannot be imported: {type(error).__name__}: {error}.",
                where=function.__module__,
                fix=f"install what it needs, or another version of {package}",
            ) from error

    def fits(self, row: Mapping[str, object], columns: str) -> bool:
        """Whether rows like this one can be this task's, with columns renamed as the recipe says."""
        names = self.renamed(columns)

        def has(name: str) -> bool:  # a field may stand for several columns, `toxic+insult`
            column = names.get(name, name)
            return column in row or all(part in row for part in column.split("+"))

        # by the names that they have, and by those of the fields that --columns maps to them
        mapped = [field for field in names if field not in row and has(field)]
        return any(all(map(has, kind)) for kind in self.columns) or self.other_rows([*row, *mapped])
