"""Multiple choice as the engine sees it: the one place where the stages of this task are put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from distiltune.checks.concerns import Concern
from distiltune.coach.scores import BlindScore
from distiltune.data.example_set import DataSettings
from distiltune.data.feature_set import FeatureSet
from distiltune.data.hub import Split
from distiltune.data.reading import USE_OF, Use, examples_to_evaluate, train_and_validation
from distiltune.model.build import Dropouts, LoadedModel, load_model
from distiltune.model.hf_keys import KeyRule
from distiltune.settings.engine import EngineSettings
from distiltune.settings.stored import STORED_UNDER
from distiltune.tasks.analysis import Analysis, ScoredAnswer
from distiltune.tasks.base import Lesson, OnProgress, ignore_progress
from distiltune.tasks.dataset import data_settings
from distiltune.tasks.guide import TaskGuide
from distiltune.tasks.labelled_check import in_training, labelled_concerns
from distiltune.tasks.labelled_model import HEAD_DROPOUT, INNER_RULES, output_rules
from distiltune.tasks.multiple_choice.analysis import analyse, blind_scores, chance_losses
from distiltune.tasks.multiple_choice.columns import ChoiceColumns
from distiltune.tasks.multiple_choice.evaluation import (
    ChoiceEvaluation,
    evaluate_choices,
    shares_of,
    write_predictions,
)
from distiltune.tasks.multiple_choice.examples import ChoiceExample, ChoiceSet
from distiltune.tasks.multiple_choice.features import ChoiceData, featurise
from distiltune.tasks.multiple_choice.guide import choice_guide
from distiltune.tasks.multiple_choice.head import METRIC_NAMES, choice_divergence, choice_loss
from distiltune.tasks.multiple_choice.labelled import labelled_questions
from distiltune.tasks.multiple_choice.names import ARCHITECTURE, NAME, PREDICTION_FILES
from distiltune.tasks.multiple_choice.read import read_choices
from distiltune.tasks.text_classification.head import SequenceHead
from distiltune.training.objective import Divergence, TableColumn

HEAD_RULES = (*INNER_RULES, *output_rules(1))

EPOCH_COLUMNS = (
    TableColumn("Train Loss", "train", "loss"),
    TableColumn("Train Accuracy", "train", "accuracy"),
    TableColumn("Validation Loss", "validation", "loss"),
    TableColumn("Validation Accuracy", "validation", "accuracy"),
)


@dataclass(frozen=True, slots=True)
class ChoiceSpec:
    """The settings that this task goes by.

    Attributes:
        data: which questions, read how.
        max_length: most tokens in what is read of a text and a choice together.
        batch_tokens: most tokens in a batch of evaluation.

    """

    data: DataSettings
    max_length: int
    batch_tokens: int

    def open_training(self, device: torch.device) -> ChoiceTraining:
        """Read the questions.

        Raises:
            DataError: as `train_and_validation`.

        """
        train, validation = train_and_validation(self.read, self.data, _text_of, "text")
        return ChoiceTraining(MultipleChoice(self), train, validation, device)

    def open_model(self, config: Mapping[str, Any]) -> MultipleChoice:
        """The task: choices have no names that a model would keep."""
        return MultipleChoice(self)

    def read(self, sources: Sequence[str], split: Split, use: Use | None = None) -> ChoiceSet:
        """Read the questions of these sources; arguments and errors as `read_choices`."""
        columns, share = ChoiceColumns.parse(self.data.columns), self.data.max_rejected_share
        return read_choices(sources, split, columns, share, use or USE_OF[split], self.data.form)


@dataclass(frozen=True, slots=True)
class ChoiceTraining:
    """The task with its questions read, ``validation`` None if there are none."""

    task: MultipleChoice
    train: ChoiceSet
    validation: ChoiceSet | None
    device: torch.device

    def load_model(self, name: str, dropouts: Dropouts) -> LoadedModel:
        """The model to train, with a head of one score."""
        return load_model(name, self.task.head_rules, self.task.make_head, self.device, dropouts, HEAD_DROPOUT)

    def data(self, tokenizer: Tokenizer) -> tuple[ChoiceData, ChoiceData | None]:
        """The questions to train on and those to validate on with their features."""
        longest, aside = self.task.spec.max_length, self.validation
        return (
            featurise(self.train, tokenizer, longest),
            featurise(aside, tokenizer, longest) if aside is not None else None,
        )

    def lesson(self, loaded: LoadedModel) -> Lesson[ChoiceData]:
        """The questions in the model's tokens, and the loss of its choices."""
        training, validation = self.data(loaded.tokenizer)
        return Lesson(self.task, training, validation, choice_loss, training.features)


@dataclass(frozen=True, slots=True)
class MultipleChoice:
    """The task."""

    spec: ChoiceSpec

    name: str = NAME
    architecture: str = ARCHITECTURE
    head_rules: Sequence[KeyRule] = HEAD_RULES
    metric_names: tuple[str, ...] = METRIC_NAMES
    output_names: tuple[str, ...] = ("logits",)
    table: tuple[TableColumn, ...] = EPOCH_COLUMNS
    prediction_files: tuple[str, ...] = PREDICTION_FILES
    divergence: Divergence = choice_divergence

    def make_head(self, hidden_size: int, dropout: float) -> nn.Module:
        """A head with weights yet to be set: the classifier of texts with a single score."""
        return SequenceHead(hidden_size, 1, dropout)

    def means_the_same(self, config: Mapping[str, Any]) -> bool:
        """Always: a score is a score."""
        return True

    def load_data(self, sources: Sequence[str], tokenizer: Tokenizer, use: Use = "evaluation") -> ChoiceData:
        """Read and featurise questions to evaluate on, or to answer."""
        read = examples_to_evaluate(self.spec.read, self.spec.data, sources, use, _text_of, "text")
        return featurise(read, tokenizer, self.spec.max_length)

    def model_config(self, head_dropout: float, metrics: Mapping[str, float]) -> dict[str, object]:
        """The dropout as ``transformers`` reads it, and how long texts were read."""
        return {HEAD_DROPOUT.name: head_dropout, STORED_UNDER: {"max_length": self.spec.max_length}}

    def guide(self, metrics: Mapping[str, float]) -> TaskGuide:
        """Words for the model card and the report."""
        return choice_guide(metrics, self.spec.max_length)

    def evaluate(
        self,
        model: nn.Module,
        data: ChoiceData,
        predictions: Path | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> ChoiceEvaluation:
        """Evaluate on every question, dropout off; write `PREDICTION_FILES` into ``predictions`` if given."""
        shares = shares_of(model, data, self.spec.batch_tokens, on_progress)
        if predictions is not None:
            write_predictions(predictions, data, shares)
        return evaluate_choices(data, shares)

    def concerns(
        self, training: ChoiceData, validation: ChoiceData | None, tokenizer: Tokenizer
    ) -> tuple[Concern, ...]:
        """What is wrong with the data, ranked; against the validation data what the two share."""
        texts, others = labelled_questions(training), labelled_questions(validation) if validation is not None else []
        return in_training(labelled_concerns(training, texts, others, tokenizer, self.spec.data.max_rejected_share))

    def chance_losses(self, features: FeatureSet) -> tuple[float, float]:
        """The loss of guessing evenly among the choices, and that of knowing which place is right how often."""
        return chance_losses(features)

    def blind_scores(self, training: ChoiceData, validation: ChoiceData) -> tuple[BlindScore, ...]:
        """The accuracy of who takes the place that is right most often."""
        return blind_scores(training.examples, validation.examples)

    def analyse(self, data: ChoiceData, predictions: Path) -> tuple[Analysis, tuple[ScoredAnswer, ...]]:
        """Scores by place and number of choices, calibration, the hardest wrong answers; and each one's score."""
        return analyse(data.examples, predictions / PREDICTION_FILES[0])


def _text_of(example: ChoiceExample) -> str:
    """What is never parted between training and validation: a text with its questions."""
    return example.first


def from_settings(settings: EngineSettings) -> ChoiceSpec:
    """The task's specification, with its settings."""
    return ChoiceSpec(data_settings(settings), settings.max_length, settings.evaluation_tokens)
