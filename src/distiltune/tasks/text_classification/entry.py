"""Text classification: one label a text or pair of texts, any number of labels, or a number."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distiltune.tasks.entry import Checker, FirstRows, TaskEntry
from distiltune.tasks.text_classification.bit_columns import bit_columns, plain_columns, way_to_name_bits
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.names import ARCHITECTURE, NAME, PREDICTION_FILES
from distiltune.tasks.text_classification.settings import TextClassificationSettings, check

if TYPE_CHECKING:
    from distiltune.labelling.offered import LabelTask
    from distiltune.tasks.base import TaskSpec
    from distiltune.tasks.text_classification.features import TextData


def _renamed(columns: str) -> Mapping[str, str]:
    return dataclasses.asdict(TextColumns.parse(columns))


def _spec() -> Callable[[TextClassificationSettings], TaskSpec[TextData]]:
    from distiltune.tasks.text_classification.task import from_settings

    return from_settings


def _checker() -> Checker[TextClassificationSettings]:
    from distiltune.tasks.text_classification.check import check

    return check


def _server() -> Callable[..., Any]:
    from distiltune.tasks.text_classification.service import serve

    return serve


def _labeller() -> Callable[[Sequence[str], TextClassificationSettings, Sequence[str]], LabelTask]:
    from distiltune.tasks.text_classification.labelling import label_task

    return label_task


def _is_label_studio(names: Iterable[str]) -> bool:
    """Whether rows are Label Studio's, and do not ask a question about a text."""
    seen = set(names)
    asks = "data.question" in seen and bool(seen & {"data.text", "data.context"})
    return "annotations" in seen and any(name.startswith("data.") for name in seen) and not asks


def _has_bits(rows: Sequence[Mapping[str, object]], names: Mapping[str, str]) -> bool:
    """Whether rows have a text, and all else is 0 or 1."""
    return bool(rows) and names["text"] in rows[0] and bool(plain_columns(rows, TextColumns(**names)))


def _way_to_bits(rows: Sequence[Mapping[str, object]]) -> str:
    """How columns of 0 and 1 are named as labels, with their names where there are some."""
    found = bit_columns(rows)
    has_text = any(isinstance(value, str) and " " in value.strip() for row in rows for value in row.values())
    if len(found) < 2 or not has_text:
        return "A column of 0 and 1 for each label: --columns text=NAME,labels=toxic+insult, or whichever they are."
    return f"The columns {', '.join(found)} hold 0 and 1: as labels {way_to_name_bits(found, 'text=NAME')}."


def _meant_otherwise(names: Iterable[str], rows: FirstRows) -> str:
    from distiltune.data.words_a_row import way_to_word_rows

    return way_to_word_rows(names, rows)


TASK = TaskEntry(
    name=NAME,
    spec=_spec,
    architecture=ARCHITECTURE,
    settings=TextClassificationSettings,
    monitors={
        "validation_loss": "lower",
        "accuracy": "higher",
        "macro_f1": "higher",
        "pearson": "higher",
        "spearman": "higher",
    },
    figures={
        **dict.fromkeys(("micro_f1", "macro_precision", "macro_recall"), "higher"),
        **dict.fromkeys(("mean_absolute_error", "calibration_error"), "lower"),
    },
    for_use=("long_texts", "label_names", "label_separator"),
    prediction_files=PREDICTION_FILES,
    columns=(
        ("text", "pair", "label"),
        *(("text", "label"), ("text", "labels"), ("text", "cats"), ("text", "accept"), ("data", "label")),
        *(("text", "annotations"), ("data", "annotations")),
    ),
    other_rows=_is_label_studio,
    renamed=_renamed,
    after_training="predict: distiltune predict --model {model} --data TEXTS.jsonl --output labels",
    checker=_checker,
    server=_server,
    labeller=_labeller,
    for_labelling=("problem", "label_names", "label_separator"),
    examples_predicted="texts labelled",
    check=check,
    for_checking=("problem", "label_names", "label_separator"),
    for_reading=("label_names", "label_separator"),
    by_values=_has_bits,
    meant_otherwise=_meant_otherwise,
    other_columns=_way_to_bits,
    also_called={
        "text": (
            *("premise", "sentence1", "question1", "text1", "texta"),
            *("sentence", "review", "tweet", "comment", "content", "body", "message", "utterance", "post", "headline"),
            *("description", "title", "document", "review_text", "reviewtext", "text_", "x"),
        ),
        "pair": ("hypothesis", "sentence2", "question2", "text2", "textb"),
        "label": (
            *("labels", "category", "categories", "class", "sentiment", "target", "intent", "topic", "emotion", "mood"),
            "isduplicate",
            *("stars", "rating", "score", "type", "tag", "gold", "y"),
        ),
    },
)
