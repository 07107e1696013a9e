"""The settings that functions take, by name and type.

`tools/docs/python_settings.py` makes this file from the recipe; it is not mended by hand.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from distiltune.data.held import Data


class Settings(TypedDict, total=False):
    """Every setting of a training; `docs/recipe.md` says what each means."""

    base: Literal["auto", "classic"]
    task: str
    model: str | os.PathLike[str]
    train: Data
    validation: Data
    validation_share: float
    warm_up_data: Data
    warm_up_order: Literal["first", "mixed"]
    warm_up_weight: float
    warm_up_epochs: int
    folds: int
    fold: int | None
    columns: str | Mapping[str, str]
    quoting: Literal["auto", "csv", "none"]
    no_header: bool
    encoding: str
    max_rejected_share: float
    train_examples: int
    validation_examples: int
    sample_seed: int
    max_length: int
    stride: int
    epochs: int
    batch_size: int
    accumulation_steps: int
    learning_rate: float
    end_learning_rate: float
    layer_rate_decay: float
    decay_power: float
    warmup_steps: int
    warmup_share: float
    adam_beta1: float
    adam_beta2: float
    adam_epsilon: float
    weight_decay: float
    max_gradient_norm: float
    average: Literal["none", "steps", "epochs"]
    average_decay: float
    average_epochs: int
    dropout: float | None
    attention_dropout: float | None
    head_dropout: float | None
    seed: int
    freeze: str | int
    lora_rank: int
    lora_alpha: float
    lora_dropout: float
    lora_targets: str | Sequence[str]
    teacher: str | os.PathLike[str]
    temperature: float
    soft_weight: float
    monitor: str
    monitor_better: Literal["auto", "higher", "lower"]
    epoch_choice: Literal["best", "within_error"]
    patience: int
    min_change: float
    evaluation_tokens: int
    device: str
    precision: Literal["auto", "float32", "tf32", "bfloat16", "float16", "int8"]
    threads: int
    log_every: int
    tracker: str | Sequence[str]
    checkpoint_minutes: float
    checkpoint_steps: int
    non_finite: Literal["stop", "skip"]
    train_questions: int
    validation_questions: int
    max_question_tokens: int
    max_answer_tokens: int
    n_best: int
    no_answer: str | Sequence[str]
    null_threshold: float | None
    problem: Literal["auto", "single-label", "multi-label", "regression"]
    label_names: str | Sequence[str]
    label_separator: str
    class_weights: str | Mapping[str, float]
    label_smoothing: float
    few_labels: Literal["off", "pairs"]
    pair_epochs: int
    unlabelled: Data
    unlabelled_most: float
    unlabelled_confidence: float
    long_texts: Literal["windows", "truncate"]
    overlapping: Literal["outermost", "longest", "reject"]
    tag_names: str | Sequence[str]
    student_layers: int
    student_width: int
    student_heads: int
    hidden_weight: float
    relation_weight: float
    relation_heads: int
    mask_share: float


class UsingSettings(TypedDict, total=False):
    """The settings that matter where a trained model is used."""

    task: str
    columns: str | Mapping[str, str]
    quoting: Literal["auto", "csv", "none"]
    no_header: bool
    encoding: str
    max_rejected_share: float
    validation_examples: int
    sample_seed: int
    max_length: int
    stride: int
    evaluation_tokens: int
    device: str
    precision: Literal["auto", "float32", "tf32", "bfloat16", "float16", "int8"]
    threads: int
    validation_questions: int
    max_question_tokens: int
    max_answer_tokens: int
    n_best: int
    no_answer: str | Sequence[str]
    null_threshold: float | None
    label_names: str | Sequence[str]
    label_separator: str
    long_texts: Literal["windows", "truncate"]
    overlapping: Literal["outermost", "longest", "reject"]
    tag_names: str | Sequence[str]


class CheckingSettings(TypedDict, total=False):
    """The settings that matter where data are checked."""

    task: str
    model: str | os.PathLike[str]
    columns: str | Mapping[str, str]
    quoting: Literal["auto", "csv", "none"]
    no_header: bool
    encoding: str
    max_length: int
    stride: int
    epochs: int
    batch_size: int
    device: str
    precision: Literal["auto", "float32", "tf32", "bfloat16", "float16", "int8"]
    threads: int
    max_question_tokens: int
    max_answer_tokens: int
    no_answer: str | Sequence[str]
    problem: Literal["auto", "single-label", "multi-label", "regression"]
    label_names: str | Sequence[str]
    label_separator: str
    overlapping: Literal["outermost", "longest", "reject"]
    tag_names: str | Sequence[str]


class ReadingSettings(TypedDict, total=False):
    """The settings that matter where plain texts are read."""

    columns: str | Mapping[str, str]
    quoting: Literal["auto", "csv", "none"]
    no_header: bool
    encoding: str
    max_rejected_share: float


class EmbeddingSettings(TypedDict, total=False):
    """The settings that matter where texts are given vectors."""

    columns: str | Mapping[str, str]
    quoting: Literal["auto", "csv", "none"]
    no_header: bool
    encoding: str
    max_length: int
    device: str
    threads: int


class LabellingSettings(TypedDict, total=False):
    """The settings that matter where texts are labelled."""

    task: str
    model: str | os.PathLike[str]
    columns: str | Mapping[str, str]
    quoting: Literal["auto", "csv", "none"]
    no_header: bool
    encoding: str
    max_rejected_share: float
    sample_seed: int
    max_length: int
    stride: int
    epochs: int
    batch_size: int
    learning_rate: float
    device: str
    threads: int
    no_answer: str | Sequence[str]
    problem: Literal["auto", "single-label", "multi-label", "regression"]
    label_names: str | Sequence[str]
    label_separator: str
    overlapping: Literal["outermost", "longest", "reject"]
    tag_names: str | Sequence[str]


class ServingSettings(TypedDict, total=False):
    """The settings that matter where a model is served."""

    max_length: int
    stride: int
    device: str
    precision: Literal["auto", "float32", "tf32", "bfloat16", "float16", "int8"]
    threads: int
    max_question_tokens: int
    max_answer_tokens: int
    null_threshold: float | None
