"""Token classification: mark the words of a text that are names of persons, places or whatever else was marked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distiltune.tasks.entry import Checker, FirstRows, TaskEntry
from distiltune.tasks.token_classification.columns import TokenColumns, word_columns
from distiltune.tasks.token_classification.names import ARCHITECTURE, NAME, PREDICTION_FILES
from distiltune.tasks.token_classification.sentence_cells import has_tagged_sentences, way_to_topics
from distiltune.tasks.token_classification.settings import TokenClassificationSettings

if TYPE_CHECKING:
    from distiltune.labelling.offered import LabelTask
    from distiltune.tasks.base import TaskSpec
    from distiltune.tasks.token_classification.features import TokenData


def _renamed(columns: str) -> Mapping[str, str]:
    return dataclasses.asdict(TokenColumns.parse(columns))


def _has_tags(names: Iterable[str]) -> bool:
    seen = list(names)
    return word_columns(seen) is not None or has_tagged_sentences(seen)


def _spec() -> Callable[[TokenClassificationSettings], TaskSpec[TokenData]]:
    from distiltune.tasks.token_classification.task import from_settings

    return from_settings


def _checker() -> Checker[TokenClassificationSettings]:
    from distiltune.tasks.token_classification.check import check

    return check


def _server() -> Callable[..., Any]:
    from distiltune.tasks.token_classification.service import serve

    return serve


def _labeller() -> Callable[[Sequence[str], TokenClassificationSettings, Sequence[str]], LabelTask]:
    from distiltune.tasks.token_classification.labelling import label_task

    return label_task


def _meant_otherwise(names: Iterable[str], rows: FirstRows) -> str:
    from distiltune.data.words_a_row import way_to_word_rows

    return way_to_topics(names, rows) or way_to_word_rows(names, rows)


TASK = TaskEntry(
    name=NAME,
    settings=TokenClassificationSettings,
    spec=_spec,
    architecture=ARCHITECTURE,
    monitors={
        "validation_loss": "lower",
        "f1": "higher",
        "precision": "higher",
        "recall": "higher",
        "accuracy": "higher",
    },
    figures={"macro_f1": "higher"},
    prediction_files=PREDICTION_FILES,
    columns=(("tokens", "tags"), ("tokens", "ner_tags"), ("text", "spans"), ("word", "tag")),
    other_rows=_has_tags,
    renamed=_renamed,
    after_training="mark entities: distiltune predict --model {model} --data TEXTS.jsonl --output entities",
    checker=_checker,
    server=_server,
    labeller=_labeller,
    for_labelling=("overlapping", "tag_names"),
    examples_predicted="texts marked",
    for_use=("overlapping", "tag_names"),
    for_checking=("overlapping", "tag_names"),
    meant_otherwise=_meant_otherwise,
    other_columns=lambda rows: "A sentence in a cell and its tags in another: --columns text=NAME,tags=NAME.",
    also_called={
        "tokens": ("words", "token", "sentence"),
        "tags": ("ner_tags", "labels", "ner", "tag", "pos", "pos_tags", "entities"),
        "text": ("sentence", "content", "document"),
        "spans": ("entities", "labels", "annotations", "ents"),
    },
)
