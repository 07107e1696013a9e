"""The table of tasks: what the recipe's `task` names."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from itertools import chain
from typing import Any, Final

from distiltune.data.files import add_format
from distiltune.settings.engine import AUTO, EngineSettings
from distiltune.tasks.encoder import entry as encoder
from distiltune.tasks.entry import TaskEntry
from distiltune.tasks.question_answering import entry as question_answering
from distiltune.tasks.text_classification import entry as text_classification
from distiltune.tasks.token_classification import entry as token_classification

ENTRY_POINTS: Final = "distiltune.tasks"
"""The group of entry points under which another package names the `TaskEntry` of a task of its own."""

BUILT_IN: tuple[TaskEntry[Any], ...] = (
    question_answering.TASK,
    text_classification.TASK,
    token_classification.TASK,
    encoder.TASK,
)


def by_name(entries: Iterable[TaskEntry[Any]]) -> dict[str, TaskEntry[Any]]:
    """The entries by the name of their task.

    Raises:
        ValueError: if two have one name, or a setting is declared twice: one of the two would win silently.

    """
    found: dict[str, TaskEntry[Any]] = {}
    owner = dict.fromkeys(EngineSettings.model_fields, "every task")
    for entry in entries:
        if entry.name in found or entry.name == AUTO:
            raise ValueError(f"there are two tasks called {entry.name!r}")
        declared = set(chain.from_iterable(vars(kind).get("__annotations__", {}) for kind in _own(entry)))
        for name in sorted(declared & entry.settings.model_fields.keys()):
            if name in owner:
                raise ValueError(f"{name} is a setting of {owner[name]} and of {entry.name}; one needs another name")
            owner[name] = entry.name
        found[entry.name] = entry
    return found


def _own(entry: TaskEntry[Any]) -> list[type]:
    """The classes in which a task's settings are declared, every task's left out."""
    return [kind for kind in entry.settings.__mro__ if kind not in EngineSettings.__mro__]


TASKS: dict[str, TaskEntry[Any]] = by_name((*BUILT_IN, *(point.load() for point in entry_points(group=ENTRY_POINTS))))
"""The tasks by name, those of other packages too. Calling an entry with its settings makes the task."""

for _entry in TASKS.values():
    for _suffix, _reader in _entry.formats.items():
        add_format(_suffix, _reader)
