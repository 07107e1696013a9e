"""Extractive question answering: find the stretch of a text that answers a question about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distiltune.tasks.entry import Checker, TaskEntry
from distiltune.tasks.question_answering.names import ARCHITECTURE, NAME, PREDICTION_FILES
from distiltune.tasks.question_answering.question_rows import ColumnMap
from distiltune.tasks.question_answering.settings import QuestionAnsweringSettings, check, fill_question_windows

if TYPE_CHECKING:
    from distiltune.labelling.offered import LabelTask
    from distiltune.tasks.base import TaskSpec
    from distiltune.tasks.question_answering.question_data import QuestionData


def _renamed(columns: str) -> Mapping[str, str]:
    return dataclasses.asdict(ColumnMap.parse(columns))


def _spec() -> Callable[[QuestionAnsweringSettings], TaskSpec[QuestionData]]:
    from distiltune.tasks.question_answering.task import from_settings

    return from_settings


def _checker() -> Checker[QuestionAnsweringSettings]:
    from distiltune.tasks.question_answering.check.data_check import check

    return check


def _server() -> Callable[..., Any]:
    from distiltune.tasks.question_answering.serve.service import serve

    return serve


def _labeller() -> Callable[[Sequence[str], QuestionAnsweringSettings, Sequence[str]], LabelTask]:
    from distiltune.tasks.question_answering.labelling import label_task

    return label_task


def _defaults(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Whoever names no model has one that answers already: a few hundred questions teach `starter` far less."""
    return {} if given.get("base") == "classic" or given.get("teacher") else {"model": "starter-qa"}


TASK = TaskEntry(
    name=NAME,
    spec=_spec,
    architecture=ARCHITECTURE,
    settings=QuestionAnsweringSettings,
    monitors={
        "validation_loss": "lower",
        "exact_match": "higher",
        "f1": "higher",
        "start_accuracy": "higher",
        "end_accuracy": "higher",
    },
    figures={
        **dict.fromkeys(("answerable_exact_match", "answerable_f1", "unanswerable_exact_match"), "higher"),
        **dict.fromkeys(("best_exact_match", "best_f1", "untuned_exact_match", "untuned_f1"), "higher"),
        **dict.fromkeys(("calibration_error", "calibration_error_before", "calibration_error_held_out"), "lower"),
    },
    for_use=("validation_questions", "no_answer", "max_question_tokens", "max_answer_tokens", "null_threshold"),
    prediction_files=PREDICTION_FILES,
    defaults=_defaults,
    columns=(
        *(("question", "context"), ("paragraphs",), ("context", "qas"), ("context_text", "qas")),
        *(("story", "questions"), ("query", "document"), ("storyId", "text", "questions")),
        *(("data.question", "data.context", "annotations"), ("data.question", "data.text", "annotations")),
    ),
    renamed=_renamed,
    after_training='ask it: distiltune ask --model {model} --document TEXT.txt "A question?"',
    checker=_checker,
    server=_server,
    asks_documents=True,
    labeller=_labeller,
    for_labelling=("no_answer",),
    examples_predicted="questions answered",
    check=check,
    windows=fill_question_windows,
    for_serving=("max_question_tokens", "max_answer_tokens", "null_threshold"),
    for_checking=("no_answer", "max_question_tokens", "max_answer_tokens"),
    for_reading=("no_answer",),
    also_called={
        "question": ("query", "q", "questions", "ask"),
        "context": ("passage", "paragraph", "document", "text", "article", "story", "content", "c"),
    },
)
