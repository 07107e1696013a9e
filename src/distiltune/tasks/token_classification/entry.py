"""Token classification: mark the words of a text that are names of persons, places or whatever else was marked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from distiltune.settings.engine import EngineSettings
from distiltune.tasks.entry import Checker, TaskEntry
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.names import ARCHITECTURE, NAME, PREDICTION_FILES

if TYPE_CHECKING:
    from distiltune.tasks.base import Task


def _renamed(columns: str) -> Mapping[str, str]:
    return dataclasses.asdict(TokenColumns.parse(columns))


def _task() -> Callable[[EngineSettings], Task]:
    from distiltune.tasks.token_classification.task import from_settings

    return from_settings


def _checker() -> Checker[EngineSettings]:
    from distiltune.tasks.token_classification.check import check

    return check


def _server() -> Callable[..., Any]:
    from distiltune.tasks.token_classification.service import serve

    return serve


TASK = TaskEntry(
    name=NAME,
    settings=EngineSettings,
    task=_task,
    architecture=ARCHITECTURE,
    monitors={
        "validation_loss": "lower",
        "f1": "higher",
        "precision": "higher",
        "recall": "higher",
        "accuracy": "higher",
    },
    prediction_files=PREDICTION_FILES,
    columns=(("tokens", "tags"), ("tokens", "ner_tags"), ("text", "spans")),
    renamed=_renamed,
    after_training="mark entities: distiltune predict --model {model} --data TEXTS.jsonl --output entities",
    checker=_checker,
    server=_server,
    examples_predicted="texts marked",
)
