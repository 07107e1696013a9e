"""Extractive question answering: find the stretch of a text that answers a question about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from distiltune.tasks.entry import TaskEntry
from distiltune.tasks.question_answering.question_rows import ColumnMap
from distiltune.tasks.question_answering.settings import QuestionAnsweringSettings, check


def _renamed(columns: str) -> Mapping[str, str]:
    return dataclasses.asdict(ColumnMap.parse(columns))


TASK = TaskEntry(
    name="question-answering",
    module="distiltune.tasks.question_answering.task",
    architecture="DistilBertForQuestionAnswering",
    settings=QuestionAnsweringSettings,
    monitors={
        "validation_loss": "lower",
        "exact_match": "higher",
        "f1": "higher",
        "start_accuracy": "higher",
        "end_accuracy": "higher",
    },
    reading=("validation_questions", "max_question_tokens", "max_answer_tokens", "null_threshold"),
    prediction_files=("predictions.json", "nbest.jsonl"),
    columns=(("question", "context"), ("paragraphs",)),
    renamed=_renamed,
    after_training='ask it: distiltune ask --model {model} --document TEXT.txt "A question?"',
    checker="distiltune.tasks.question_answering.check.lines:check",
    server="distiltune.tasks.question_answering.serve.service:serve",
    examples_predicted="questions answered",
    check=check,
)
