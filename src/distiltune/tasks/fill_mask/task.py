"""Masked language modelling as the engine sees it: the one place where the stages of this task are put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from distiltune.data.reading import Use
from distiltune.distillation.text import PlainTextData, Texts, cached_features
from distiltune.errors import ModelError, RecipeError
from distiltune.inference.predictor import outputs
from distiltune.model.build import Dropouts, LoadedModel, build_model
from distiltune.model.hf_keys import KeyRule
from distiltune.model.source import load_source
from distiltune.tasks.base import Lesson, OnProgress, ignore_progress
from distiltune.tasks.fill_mask.guide import fill_mask_guide
from distiltune.tasks.fill_mask.head import (
    HEAD_RULES,
    METRIC_NAMES,
    MaskedWordsHead,
    MaskedWordsModel,
    masked_words_loss,
)
from distiltune.tasks.fill_mask.masking import Masking, Vocabulary
from distiltune.tasks.fill_mask.names import ARCHITECTURE, NAME
from distiltune.tasks.fill_mask.settings import FillMaskSettings
from distiltune.tasks.guide import TaskGuide
from distiltune.tasks.plain_texts import TextSettings
from distiltune.training.objective import TableColumn

TIED = "vocab_projector.weight"
"""In files that have it twice, the encoder's word vectors under the head's name."""

_VALIDATION_MASKS = 1_729
"""What the words asked for in validation texts are drawn by: the same in every epoch and every run."""

EPOCH_COLUMNS = (
    TableColumn("Train Loss", "train", "loss"),
    TableColumn("Train Found", "train", "accuracy"),
    TableColumn("Validation Loss", "validation", "loss"),
    TableColumn("Validation Found", "validation", "accuracy"),
)


@dataclass(frozen=True, slots=True)
class FillMaskSpec:
    """The settings that this task goes by; the recipe says what each means."""

    texts: TextSettings
    mask_share: float

    def open_training(self, device: torch.device) -> FillMaskTraining:
        """Read the texts.

        Raises:
            RecipeError: if ``columns`` names anything but the text.
            DataError: if a text cannot be read, or there is only one and some are to be set aside.

        """
        _, train, validation = self.texts.open()
        return FillMaskTraining(self, train, validation, device)

    def open_model(self, config: Mapping[str, Any]) -> FillMask:
        """Not possible: the words that are asked for are drawn in a training.

        Raises:
            RecipeError: always.

        """
        raise _no_trained_model()


def _no_trained_model() -> RecipeError:
    return RecipeError(
        "A model that was adapted to texts is where a fine-tuning starts; it is measured while it is adapted.",
        where=f"--task {NAME}",
        fix="fine-tune it for a task: distiltune train --model MODEL --train DATA --output RUN",
    )


@dataclass(frozen=True, slots=True)
class FillMaskEvaluation:
    """What a model is worth on texts with masked words: loss in nats a word piece, and the share that it finds."""

    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class FillMaskTraining:
    """The task with its texts read, ``validation`` None if there are none."""

    spec: FillMaskSpec
    train: Texts
    validation: Texts | None
    device: torch.device

    def load_model(self, name: str, dropouts: Dropouts) -> LoadedModel:
        """The model to adapt, with its own head for masked words or a new one.

        Raises:
            ModelError: if the source cannot be read or does not fit, or its head has word vectors of its own.
            HubError: if a hub name cannot be fetched.

        """
        source = load_source(name, HEAD_RULES, leave_out=(TIED,))
        if source.config_hf.get("tie_word_embeddings") is False:
            raise ModelError(
                "The model's head has word vectors of its own (tie_word_embeddings is false), which DistilBERT shares "
                "with its encoder.",
                where=f"{source.directory}: config.json",
                fix="take a model whose word vectors are tied, as the published ones are",
            )
        if source.missing:
            note = (
                "The model has no head for masked words, so a new one begins from random weights, and the encoder "
                "moves further than one that had its own: measure what a fine-tuning gains by it."
            )
            source = replace(source, notes=(*source.notes, note))
        config = source.config
        return build_model(
            source,
            lambda width, _: MaskedWordsHead(width, config.vocab_size, config.activation),
            self.device,
            dropouts,
            put_together=MaskedWordsModel,
        )

    def lesson(self, loaded: LoadedModel) -> Lesson[PlainTextData]:
        """The texts, whose words are masked anew in every epoch, and what the model is worth before it has seen them.

        Raises:
            ModelError: if the tokenizer has no `[MASK]`.

        """
        task = FillMask(self.spec)
        masking = Masking(Vocabulary.of(loaded.tokenizer), self.spec.mask_share)
        training = self.data(self.train, loaded.tokenizer)
        training = replace(training, features=replace(training.features, redraw=masking))
        validation = None
        notes: tuple[str, ...] = ()
        if self.validation is not None:
            validation = self.data(self.validation, loaded.tokenizer)
            drawn = masking(validation.features, np.random.default_rng(_VALIDATION_MASKS))
            validation = replace(validation, features=drawn)
            # Alone: of several processes one prepares after the other, so that none could share it.
            before = task.measure(loaded.model, validation, alone=True)
            notes = (before_note(before.metrics, validation.n_examples),)
        return Lesson(task, training, validation, masked_words_loss, training.features, notes)

    def data(self, texts: Texts, tokenizer: Tokenizer) -> PlainTextData:
        """Texts with their features, of which nothing is masked yet."""
        features = cached_features(texts, tokenizer, self.spec.texts.max_length, self.spec.texts.stride)
        return PlainTextData(features, texts.findings, texts.fingerprint, texts.sources, texts.numbers)


@dataclass(frozen=True, slots=True)
class FillMask:
    """The task: to find the words that are masked."""

    spec: FillMaskSpec

    name: str = NAME
    architecture: str = ARCHITECTURE
    head_rules: Sequence[KeyRule] = HEAD_RULES
    metric_names: tuple[str, ...] = METRIC_NAMES
    output_names: tuple[str, ...] = ()
    table: tuple[TableColumn, ...] = EPOCH_COLUMNS
    prediction_files: tuple[str, ...] = ()

    def make_head(self, hidden_size: int, dropout: float) -> nn.Module:
        """Not possible: the head is as wide as the vocabulary, which only the model knows.

        Raises:
            RecipeError: always.

        """
        raise _no_trained_model()

    def load_data(self, sources: Sequence[str], tokenizer: Tokenizer, use: Use = "evaluation") -> PlainTextData:
        """Not possible, as `FillMaskSpec.open_model`.

        Raises:
            RecipeError: always.

        """
        raise _no_trained_model()

    def model_config(self, head_dropout: float, metrics: Mapping[str, float]) -> dict[str, object]:
        """Nothing beside the encoder's own; word vectors are tied by default."""
        return {}

    def guide(self, metrics: Mapping[str, float]) -> TaskGuide:
        """Words for the model card and the report."""
        return fill_mask_guide()

    def evaluate(
        self,
        model: nn.Module,
        data: PlainTextData,
        predictions: Path | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> FillMaskEvaluation:
        """The loss and the share found over the words asked for, dropout off."""
        return self.measure(model, data, on_progress)

    def measure(
        self, model: nn.Module, data: PlainTextData, on_progress: OnProgress = ignore_progress, *, alone: bool = False
    ) -> FillMaskEvaluation:
        """The same; ``alone`` where the other processes of a training do not take part."""
        sums = torch.zeros(len(METRIC_NAMES), dtype=torch.float64)
        n_done, ids = 0, np.arange(len(data.features))
        for batch, output in outputs(model, data.features, ids, self.spec.texts.evaluation_tokens, alone=alone):
            sums += masked_words_loss(output, batch).metrics.double().cpu()
            n_done += batch.n_features
            on_progress(n_done)
        n_asked = data.features.weight(ids) or 1.0
        return FillMaskEvaluation(dict(zip(METRIC_NAMES, (sums / n_asked).tolist(), strict=True)))


def before_note(metrics: Mapping[str, float], n_texts: int) -> str:
    """What the model is worth before the first step, in a sentence."""
    return (
        f"before: masked loss {metrics['loss']:.4f}, {metrics['accuracy']:.1%} found, on {n_texts:,} texts held out; "
        "the same words are asked for after every epoch"
    )


def from_settings(settings: FillMaskSettings) -> FillMaskSpec:
    """The task's specification, with its settings."""
    return FillMaskSpec(TextSettings.of(settings), settings.mask_share)
