"""Multiple choice: which of several choices answers a question, with a text to it or without one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from distiltune.settings.engine import EngineSettings
from distiltune.tasks.entry import Checker, TaskEntry
from distiltune.tasks.multiple_choice.columns import KINDS, ChoiceColumns, has_choices, has_right_answers
from distiltune.tasks.multiple_choice.names import ARCHITECTURE, NAME, PREDICTION_FILES

if TYPE_CHECKING:
    from distiltune.tasks.base import TaskSpec
    from distiltune.tasks.multiple_choice.features import ChoiceData


def _renamed(columns: str) -> Mapping[str, str]:
    found = dataclasses.asdict(ChoiceColumns.parse(columns))
    return {field: column for field, column in found.items() if column}


def _spec() -> Callable[[EngineSettings], TaskSpec[ChoiceData]]:
    from distiltune.tasks.multiple_choice.task import from_settings

    return from_settings


def _checker() -> Checker[EngineSettings]:
    from distiltune.tasks.multiple_choice.check import check

    return check


TASK = TaskEntry(
    name=NAME,
    spec=_spec,
    architecture=ARCHITECTURE,
    settings=EngineSettings,
    monitors={"validation_loss": "lower", "accuracy": "higher"},
    columns=tuple(KINDS),
    other_rows=has_choices,
    renamed=_renamed,
    after_training="predict: distiltune predict --model {model} --data QUESTIONS.jsonl --output choices",
    examples_predicted="questions answered",
    prediction_files=PREDICTION_FILES,
    checker=_checker,
    instead_of=("question-answering",),
    instead_by_values=has_right_answers,
    other_columns=lambda rows: (
        "A column for each choice: --columns question=NAME,choices=A+B+C,label=NAME, or whichever they are."
    ),
)
