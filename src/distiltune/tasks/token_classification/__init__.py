"""Token classification: mark the words of a text that are names of persons, places or whatever else was marked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from distiltune.tasks.entry import TaskEntry
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.conll import read_conll


def _renamed(columns: str) -> Mapping[str, str]:
    return dataclasses.asdict(TokenColumns.parse(columns))


TASK = TaskEntry(
    name="token-classification",
    module="distiltune.tasks.token_classification.task",
    architecture="DistilBertForTokenClassification",
    monitors={
        "validation_loss": "lower",
        "f1": "higher",
        "precision": "higher",
        "recall": "higher",
        "accuracy": "higher",
    },
    prediction_files=("predictions.jsonl", "predictions.conll", "entities.json"),
    columns=(("tokens", "tags"), ("tokens", "ner_tags"), ("text", "spans")),
    renamed=_renamed,
    after_training="mark entities: distiltune predict --model {model} --data TEXTS.jsonl --output entities",
    checker="distiltune.tasks.token_classification.check:check",
    server="distiltune.tasks.token_classification.service:serve",
    examples_predicted="texts marked",
    formats=dict.fromkeys((".conll", ".bio", ".iob"), read_conll),
)
