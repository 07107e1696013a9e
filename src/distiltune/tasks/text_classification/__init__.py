"""Text classification: one label a text or pair of texts, any number of labels, or a number."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from distiltune.tasks.entry import TaskEntry
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.settings import TextClassificationSettings, check


def _renamed(columns: str) -> Mapping[str, str]:
    return dataclasses.asdict(TextColumns.parse(columns))


TASK = TaskEntry(
    name="text-classification",
    module="distiltune.tasks.text_classification.task",
    architecture="DistilBertForSequenceClassification",
    settings=TextClassificationSettings,
    monitors={
        "validation_loss": "lower",
        "accuracy": "higher",
        "macro_f1": "higher",
        "pearson": "higher",
        "spearman": "higher",
    },
    reading=("long_texts",),
    prediction_files=("predictions.jsonl", "classes.json", "confusion.svg", "confusion.png"),
    columns=(("text", "label"), ("text", "labels")),
    renamed=_renamed,
    after_training="predict: distiltune predict --model {model} --data TEXTS.jsonl --output labels",
    checker="distiltune.tasks.text_classification.check:check",
    server="distiltune.tasks.text_classification.service:serve",
    examples_predicted="texts labelled",
    check=check,
)
