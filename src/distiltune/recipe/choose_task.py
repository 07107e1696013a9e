"""Which task a run is of: as it was said, or as the data or the model plainly tells; never two at once."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distiltune.data.column_names import columns_text
from distiltune.data.files import format_suffix
from distiltune.data.first_columns import bad_rows, first_columns, first_rows
from distiltune.data.hub import Split
from distiltune.data.sources import STARTER, find_source
from distiltune.data.unknown_files import words_and_tags
from distiltune.errors import DataError, RecipeError
from distiltune.model.source import model_config
from distiltune.recipe.recipe import Recipe
from distiltune.recipe.wrong_columns import check_fields, check_seen, no_header_advice, ready_columns
from distiltune.settings.engine import AUTO
from distiltune.tasks.dataset import file_form
from distiltune.tasks.entry import TaskEntry
from distiltune.tasks.table import TASKS

USUAL = "question-answering"
"""The task of the starter, where nothing else is said."""
_FILES_LOOKED_AT = 50
"""Of one source: a folder may hold thousands, and what is another task's shows in the first ones."""
_SHOWN_FILES = 3


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file, the columns of its first rows, and the tasks that these can be of."""

    path: Path
    columns: tuple[str, ...]
    tasks: frozenset[str]


def with_task_of_training(recipe: Recipe) -> Recipe:
    """The recipe with its task settled, from its training data and its model.

    Raises:
        RecipeError: if the task that was said is not the data's, if data and model disagree, or if nothing tells.
        ModelError, DataError, HubError: if the model or the data cannot be found or read.

    """
    if recipe.task != AUTO and not TASKS[recipe.task].reads_rows:
        return recipe
    if recipe.task == AUTO:
        check_fields(recipe.columns)
    files = _files_seen(recipe, recipe.train, "train")
    fitting, seen = _tasks_of_data(files)
    if recipe.task != AUTO:
        TASKS[recipe.task].renamed(recipe.columns)  # which says what is wrong with them, before any work
        _check_data(recipe.task, "--task says", files)
        check_task_of(recipe, recipe.validation)
        return recipe
    if not fitting and any(file.tasks for file in files):
        raise _of_several_tasks(files)
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
            check_seen(recipe.columns, seen, ", ".join(recipe.train), [file.path for file in files])
        raise _cannot_tell(recipe, fitting, seen)
    TASKS[task].renamed(recipe.columns)
    recipe = recipe.with_changes(task=task)
    check_task_of(recipe, recipe.validation)
    return recipe


def check_task_of(recipe: Recipe, sources: Sequence[str]) -> None:
    """Check that no file of the validation data is plainly for another task than the recipe's.

    Raises:
        RecipeError: if one is.
        DataError, HubError: if a source cannot be found or read.

    """
    files = _files_seen(recipe, sources, "validation")
    if any(file.tasks and recipe.task not in file.tasks for file in files):
        _check_data(recipe.task, "the training is for", files)


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
    files = _files_seen(recipe, sources, "validation")
    fitting, _ = _tasks_of_data(files)
    task = said or models or (next(iter(fitting)) if len(fitting) == 1 else USUAL)
    TASKS[task].renamed(recipe.columns)
    _check_data(task, "the model is one for" if models else "the task is", files)
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
        if not entry.reads_rows:  # most published encoders have a head for masked words, which no fine-tuning uses
            continue
        # A BERT's classes have other names before the "For"; an encoder alone is for no task.
        head = entry.architecture.partition("For")[2]
        if head and any(str(name).partition("For")[2] == head for name in names):
            return entry.name
    return ""


def _files_seen(recipe: Recipe, sources: Sequence[str], split: Split) -> list[_Seen]:
    """The first files of each source; nothing of `starter`, which has data for each task."""
    found: list[_Seen] = []
    for source in sources:
        if source == STARTER:
            continue
        for file in find_source(source, split, Path()).files[:_FILES_LOOKED_AT]:
            columns = first_columns(file, file_form(recipe), lambda names: bool(_fitting(names, recipe.columns)))
            tasks = _fitting_by_values(recipe, file, columns, _fitting(columns, recipe.columns))
            _check_meant(recipe, file, columns, tasks)
            if not tasks:
                rows = [row.value for row in first_rows(file, file_form(recipe))]
                tasks = frozenset(name for name in TASKS if _fits_by_values(name, rows, recipe.columns))
            found.append(_Seen(file, tuple(columns), tasks))
    return found


def _fitting_by_values(recipe: Recipe, file: Path, columns: Sequence[str], tasks: frozenset[str]) -> frozenset[str]:
    """The tasks that a file fits by its columns; of one whose rows' values are plainly another's, that instead."""

    def rows() -> list[Mapping[str, object]]:
        return [row.value for row in first_rows(file, file_form(recipe))]

    for entry in TASKS.values() if not recipe.columns else ():
        is_instead = tasks & set(entry.instead_of) and entry.name not in tasks
        if is_instead and entry.instead_by_values(columns, rows):
            return frozenset({entry.name}) | (tasks - set(entry.instead_of))
    return tasks


def _check_meant(recipe: Recipe, file: Path, columns: Sequence[str], tasks: frozenset[str]) -> None:
    """Check that a file which fits one task by its columns alone is not plainly meant for another by their values."""
    if len(tasks) != 1 or recipe.columns or (task := next(iter(tasks))) == recipe.task:
        return
    way = TASKS[task].meant_otherwise(columns, lambda: [row.value for row in first_rows(file, file_form(recipe))])
    if way:
        raise RecipeError(
            f"The columns {_listed(columns)} would be for {task}, and the values of most rows cannot be.",
            where=str(file),
            fix=f"{way}; if they are for {task} all the same: --task {task}",
        )


def _tasks_of_data(files: Sequence[_Seen]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The tasks that all files can be of which can be of any, and the columns of one of them."""
    told = [file for file in files if file.tasks]
    fitting = frozenset.intersection(*(file.tasks for file in told)) if told else frozenset()
    return fitting, (told or list(files))[0].columns if files else ()


def _fitting(seen: Iterable[str], columns: str) -> frozenset[str]:
    """The tasks that rows with these columns can be of."""
    fitting = frozenset({entry.name for entry in TASKS.values() if _fits(entry.name, seen, columns)})
    return fitting - {other for name in fitting for other in TASKS[name].instead_of}


def _fits(name: str, seen: Iterable[str], columns: str) -> bool:
    with contextlib.suppress(RecipeError):  # columns that this task does not have are another's
        return TASKS[name].fits(dict.fromkeys(seen), columns)
    return False


def _fits_by_values(name: str, rows: Sequence[Mapping[str, object]], columns: str) -> bool:
    with contextlib.suppress(RecipeError):
        return TASKS[name].by_values(rows, TASKS[name].renamed(columns))
    return False


def _check_data(task: str, who: str, files: Sequence[_Seen]) -> None:
    """Check that no file is plainly for other tasks than this one."""
    others = [file for file in files if file.tasks and task not in file.tasks]
    if not others:
        return
    if any(task in file.tasks for file in files):
        raise _of_several_tasks(files)
    ready = ready_columns("", others[0].columns).get(task, "")
    raise RecipeError(
        f"The data is for {_listed(sorted(others[0].tasks))} (it has {_listed(others[0].columns)}), and {who} {task}.",
        where=", ".join(str(file.path) for file in others[:_SHOWN_FILES]),
        fix=f"{f'did you mean {ready}? Otherwise ' if ready else ''}give other data, or map its columns with --columns",
    )


def _of_several_tasks(files: Sequence[_Seen]) -> DataError:
    """The error that names the files of each task."""
    by_task: dict[str, list[_Seen]] = {}
    for file in files:
        if file.tasks:
            by_task.setdefault(_listed(sorted(file.tasks)), []).append(file)
    said = []
    for task, of_it in by_task.items():
        names = ", ".join(file.path.name for file in of_it[:_SHOWN_FILES])
        more = f" and {len(of_it) - _SHOWN_FILES} more" if len(of_it) > _SHOWN_FILES else ""
        said.append(f"{names}{more} for {task} (with {_listed(of_it[0].columns)})")
    return DataError(
        f"The files are for different tasks: {'; '.join(said)}.",
        where=", ".join(dict.fromkeys(str(file.path.parent) for file in files if file.tasks)),
        fix="name the files of one task alone, or put those of each task into a folder of their own",
    )


def _cannot_tell(recipe: Recipe, fitting: frozenset[str], seen: Sequence[str]) -> DataError | RecipeError:
    sources = recipe.train
    table = next((path for path in _files(sources) if format_suffix(path) in (".csv", ".tsv")), None)
    advice = no_header_advice(recipe.no_header, table) if table is not None and not fitting else ""
    if not seen:
        bad = next((each for file in _files(sources) for each in bad_rows(file, file_form(recipe))), None)
        if bad is not None and bad.is_of_other_width and table is not None and words_and_tags(table) is None:
            advice = _names_below(table, seen)  # by number there would be no more columns
        return DataError(
            f"There is no row in the data that can be read{f': {bad.where} {bad.reason}' if bad is not None else '.'}",
            where=", ".join(sources),
            fix=f"give a file that holds rows; `distiltune check --task TASK` lists what is wrong with each.{advice}",
        )
    files = _files(sources) if not fitting else []
    rows = [row.value for file in files[:1] for row in first_rows(file, file_form(recipe))]
    meant = [entry.meant_otherwise(seen, lambda: rows) for entry in TASKS.values() if not recipe.columns]
    if way := next(filter(None, meant), ""):
        return RecipeError(
            f"What the data is for cannot be told from its columns, {_listed(seen)}, but by its values.",
            where=", ".join(sources),
            fix=f"did you mean {way}?",
        )
    ready = ready_columns(recipe.columns, seen, rows) if not fitting else {}
    if len(ready) == 1:
        return RecipeError(
            f"What the data is for cannot be told from its columns, {_listed(seen)}.",
            where=", ".join(sources),
            fix=f"did you mean {next(iter(ready.values()))}? It is for {next(iter(ready))} then",
        )
    if ready:
        ways = " or ".join(f"{line} ({task})" for task, line in ready.items())
        advice = f" Did you mean {ways}?{advice}"
    wanted = "; ".join(
        f"{entry.name}: {' or '.join(_listed(kind) for kind in entry.columns)}"
        for entry in TASKS.values()
        if entry.columns and (not fitting or entry.name in fitting)
    )
    advice += "".join(_names_below(file, seen) for file in files[:1])
    others = "".join(f" {said}" for entry in TASKS.values() if not fitting and (said := entry.other_columns(rows)))
    return RecipeError(
        f"What the data is for cannot be told from its columns, {_listed(seen)}.",
        where=", ".join(sources),
        fix=f"{_meant(rows)}say it with --task, or name the columns with --columns. {wanted}.{others}{advice}",
    )


def _meant(rows: Sequence[Mapping[str, object]]) -> str:
    """The columns that are meant of a text and its label, whatever they are called, to begin an advice."""
    from distiltune.data.field_values import can_hold  # of a mistake alone

    names = [str(name) for name in (rows[0] if rows else ())]
    values = [[str(row.get(name)) for row in rows] for name in names]
    if len(names) != 2 or not all(map(any, values)):
        return ""
    lengths = [sum(map(len, column)) for column in values]
    text, label = (names[0], names[1]) if lengths[0] >= lengths[1] else (names[1], names[0])
    if not can_hold("text", [row.get(text) for row in rows]) or not can_hold("label", [row.get(label) for row in rows]):
        return ""
    return f"of texts and labels: --columns {columns_text({'text': text, 'label': label})}; otherwise "


def _files(sources: Iterable[str]) -> list[Path]:
    """The first file of each source that is a path."""
    paths = [Path(source).expanduser() for source in sources if source != STARTER]
    return [file for path in paths if path.exists() for file in find_source(path, "train", Path()).files[:1]]


def _listed(names: Iterable[str]) -> str:
    """Names in a sentence; one with a comma in quotation marks, as ``--columns`` takes it."""
    plain = (re.sub(r"\s+", " ", str(name)) for name in names)
    return ", ".join(f'"{name}"' if "," in name else name for name in plain)


def _names_below(table: Path, seen: Sequence[str]) -> str:
    """The line of a table below its first that may name the columns, where the first may be a title; else empty."""
    from distiltune.data.lines_below import has_title, lines_below  # of a mistake alone

    is_title = has_title(table) if not seen else len(seen) == 1
    for line in lines_below(table):
        if is_title or _fitting(line.fields, "") or ready_columns("", line.fields):
            return f" Line {line.number} may be the one with the names ({_listed(line.fields)}): delete those above it."
    return ""
