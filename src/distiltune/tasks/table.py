"""The table of tasks: what the recipe's `task` names."""

from __future__ import annotations

from distiltune.data.files import add_format
from distiltune.tasks import encoder, question_answering, text_classification, token_classification
from distiltune.tasks.entry import TaskEntry

_ENTRIES = (
    question_answering.TASK,
    text_classification.TASK,
    token_classification.TASK,
    encoder.TASK,
)

TASKS: dict[str, TaskEntry] = {entry.name: entry for entry in _ENTRIES}
"""The tasks by name. Calling an entry with a recipe makes the task."""

AUTO = "auto"
"""Instead of a task's name: the one that the data or the model is of."""

for _entry in _ENTRIES:
    for _suffix, _reader in _entry.formats.items():
        add_format(_suffix, _reader)
