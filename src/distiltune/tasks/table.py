"""The table of tasks: what the recipe's `task` names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from distiltune.data.files import add_format
from distiltune.errors import InstallationError
from distiltune.settings.engine import AUTO, EngineSettings
from distiltune.tasks.encoder import entry as encoder
from distiltune.tasks.entry import TaskEntry
from distiltune.tasks.fill_mask import entry as fill_mask
from distiltune.tasks.multiple_choice import entry as multiple_choice
from distiltune.tasks.question_answering import entry as question_answering
from distiltune.tasks.text_classification import entry as text_classification
from distiltune.tasks.token_classification import entry as token_classification

ENTRY_POINTS: Final = "distiltune.tasks"
"""The group of entry points under which another package names the `TaskEntry` of a task of its own."""

BUILT_IN: tuple[TaskEntry[Any], ...] = (
    question_answering.TASK,
    text_classification.TASK,
    token_classification.TASK,
    multiple_choice.TASK,
    encoder.TASK,
    fill_mask.TASK,
)


@dataclass(frozen=True, slots=True)
class Offered:
    """A task and the package that brings it."""

    entry: TaskEntry[Any]
    package: str


def outside_tasks(points: Iterable[EntryPoint]) -> Iterator[Offered]:
    """The tasks that other packages have registered.

    Raises:
        InstallationError: if one cannot be imported, or is none; naming the package.

    """
    for point in points:
        package = point.dist.name if point.dist is not None else point.module.partition(".")[0]
        try:
            entry = point.load()
        except Exception as error:
            raise _unusable(package, f"{point.value} cannot be imported: {type(error).__name__}: {error}") from error
        if not isinstance(entry, TaskEntry):
            raise _unusable(package, f"{point.value} is no TaskEntry")
        if not issubclass(entry.settings, EngineSettings):
            raise _unusable(package, f"the settings of {point.value} do not derive from EngineSettings")
        yield Offered(entry, package)


def by_name(offered: Iterable[Offered]) -> dict[str, TaskEntry[Any]]:
    """The entries by the name of their task.

    Raises:
        InstallationError: if one clashes with those before it, so that one of the two would win silently; naming its
            package.

    """
    found: dict[str, TaskEntry[Any]] = {}
    for each in offered:
        problem = next(filter(None, (check(each.entry, found) for check in _CLASHES)), "")
        if problem:
            raise _unusable(each.package, problem)
        found[each.entry.name] = each.entry
    return found


def _unusable(package: str, problem: str) -> InstallationError:
    return InstallationError(
        f"The package {package} brings a task that cannot be used: {problem}.",
        where=f'{package}: entry points "{ENTRY_POINTS}"',
        fix=f"mend the package, or remove it: pip uninstall {package}",
    )


def _name_clash(entry: TaskEntry[Any], found: Mapping[str, TaskEntry[Any]]) -> str:
    return f"there are two tasks called {entry.name!r}" if entry.name in (AUTO, *found) else ""


def _setting_clash(entry: TaskEntry[Any], found: Mapping[str, TaskEntry[Any]]) -> str:
    """One setting of two tasks, or of one and the engine: only one of the two would be read from the recipe."""
    owner = dict.fromkeys(EngineSettings.model_fields, "every task")
    owner |= {name: other.name for other in found.values() for name in other.own_settings}
    own = [kind for kind in entry.settings.__mro__ if kind not in EngineSettings.__mro__]
    declared = {name for kind in own for name in vars(kind).get("__annotations__", {})}
    for name in sorted(declared & entry.settings.model_fields.keys() & owner.keys()):
        return f"{name} is a setting of {owner[name]} and of {entry.name}; one needs another name"
    return ""


def _monitor_clash(entry: TaskEntry[Any], found: Mapping[str, TaskEntry[Any]]) -> str:
    """One figure that is better higher in one task and better lower in another: the best epoch would be the worst."""
    own = entry.watchable
    for name, other in ((name, other) for name in own for other in found.values()):
        if other.watchable.get(name, own[name]) != own[name]:
            return f"{name} is better {own[name]} in {entry.name} and better otherwise in {other.name}"
    return ""


def _model_clash(entry: TaskEntry[Any], found: Mapping[str, TaskEntry[Any]]) -> str:
    """One class of models of two tasks: which task a model is for could not be told from its config.json."""
    head = entry.architecture.partition("For")[2]
    for other in found.values():
        if head and other.architecture.partition("For")[2] == head:
            return f"{entry.architecture} is the class of the models of {other.name} already"
    return ""


def _format_clash(entry: TaskEntry[Any], found: Mapping[str, TaskEntry[Any]]) -> str:
    for suffix, other in ((suffix, other) for suffix in entry.formats for other in found.values()):
        if suffix in other.formats:
            return f"files that end in {suffix} are read by {other.name} already"
    return ""


_CLASHES = (_name_clash, _setting_clash, _monitor_clash, _model_clash, _format_clash)

TASKS: dict[str, TaskEntry[Any]] = by_name(
    (*(Offered(entry, "distiltune") for entry in BUILT_IN), *outside_tasks(entry_points(group=ENTRY_POINTS)))
)
"""The tasks by name, those of other packages too. Calling an entry with its settings makes the task's specification."""

for _entry in TASKS.values():
    for _suffix, _reader in _entry.formats.items():
        add_format(_suffix, _reader)
