"""Token classification as the engine sees it: the one place where the stages of this task are put together."""

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
from distiltune.data.parts import forget_gold, keep_if
from distiltune.data.reading import USE_OF, Use, examples_to_evaluate, train_and_validation
from distiltune.data.rejections import with_rejections
from distiltune.errors import DataError
from distiltune.model.build import Dropouts, HeadDropout, LoadedModel
from distiltune.model.hf_keys import KeyRule
from distiltune.model.source import model_config
from distiltune.settings.stored import STORED_UNDER
from distiltune.tasks.analysis import Analysis, ScoredAnswer
from distiltune.tasks.base import Lesson, OnProgress, ignore_progress
from distiltune.tasks.dataset import data_settings, of_validation
from distiltune.tasks.guide import TaskGuide
from distiltune.tasks.heads import TokenHead, begin_at, log_shares
from distiltune.tasks.labelled_check import in_training, labelled_concerns
from distiltune.tasks.labelled_model import load_labelled_model, output_rules
from distiltune.tasks.labels import keep_labels_of, labels_config, labels_of
from distiltune.tasks.own import Loss
from distiltune.tasks.token_classification.analysis import analyse, blind_scores, chance_losses
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.evaluation import (
    TokenEvaluation,
    evaluate_marked,
    mark_words,
    write_predictions,
)
from distiltune.tasks.token_classification.examples import TokenExample, TokenSet, of_all_labels, weights_of
from distiltune.tasks.token_classification.features import TokenData, TokenWindows, featurise
from distiltune.tasks.token_classification.guide import token_guide
from distiltune.tasks.token_classification.head import (
    METRIC_NAMES,
    OwnTokenLoss,
    counts_of_tags,
    token_divergence,
    token_loss,
    weighed_token_loss,
)
from distiltune.tasks.token_classification.labelled import labelled_texts
from distiltune.tasks.token_classification.names import ARCHITECTURE, NAME, PREDICTION_FILES
from distiltune.tasks.token_classification.read import Choices, gold_tags, read_marked
from distiltune.tasks.token_classification.settings import TokenClassificationSettings
from distiltune.tasks.token_classification.tags import OUTSIDE, split_tag, tag_names
from distiltune.training.objective import Divergence, TableColumn

EPOCH_COLUMNS = (
    TableColumn("Train Loss", "train", "loss"),
    TableColumn("Train Accuracy", "train", "accuracy"),
    TableColumn("Validation Loss", "validation", "loss"),
    TableColumn("Validation Accuracy", "validation", "accuracy"),
    TableColumn("Validation Precision", "validation", "precision"),
    TableColumn("Validation Recall", "validation", "recall"),
    TableColumn("Validation F1", "validation", "f1"),
)


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """The settings that this task alone understands.

    Attributes:
        data: which texts, read how.
        labelled: the teacher, or else the model, as the recipe names it; its tags go on if they fit.
        windows: how long texts are read.
        batch_tokens: most tokens in a batch of evaluation.
        choices: what the data leaves open.

    """

    data: DataSettings
    labelled: str
    windows: TokenWindows
    batch_tokens: int
    choices: Choices = Choices()  # noqa: RUF009 (frozen)

    def open_training(self, device: torch.device) -> TokenTraining:
        """Read the texts; the tags are those of the training data, or the model's own if they hold all of these.

        Raises:
            DataError: as `train_and_validation`, or if nothing is marked.

        """
        train, validation = train_and_validation(self.read, self.data, _text_of, "text")
        labels = {entity.label for first in of_all_labels(train.examples) for entity in first.gold or ()}
        if not labels:
            error = DataError(
                "Nothing is marked in the training data.",
                where=", ".join(train.sources),
                fix="give tags beside the tokens, or spans beside the text",
            )
            raise with_rejections(error, train.findings)
        task = TokenClassification(self, keep_labels_of(model_config(self.labelled), tag_names(labels)))
        try:
            return TokenTraining(task, train, task.known(validation) if validation is not None else None, device)
        except DataError as error:
            raise of_validation(error) from None

    def open_model(self, config: Mapping[str, Any]) -> TokenClassification:
        """The task with the model's tags."""
        return TokenClassification(self, labels_of(config) or (OUTSIDE,))

    def read(self, sources: Sequence[str], split: Split, use: Use | None = None) -> TokenSet:
        """Read the texts of these sources; arguments and errors as `read_marked`."""
        columns = TokenColumns.parse(self.data.columns)
        share = self.data.max_rejected_share
        return read_marked(sources, split, columns, share, use or USE_OF[split], self.choices, self.data.form)


@dataclass(frozen=True, slots=True)
class TokenTraining:
    """The task with its texts read, ``validation`` None if there are none."""

    task: TokenClassification
    train: TokenSet
    validation: TokenSet | None
    device: torch.device

    def load_model(self, name: str, dropouts: Dropouts) -> LoadedModel:
        """The model to train, with its own head if that is for these tags, else with a new one."""
        task = self.task
        return load_labelled_model(
            name, task.tags, task.head_rules, task.make_head, self.device, dropouts, HeadDropout("dropout", 0.1)
        )

    def data(self, tokenizer: Tokenizer) -> tuple[TokenData, TokenData | None]:
        """The texts to train on and those to validate on with their features."""
        windows, tags, validation = self.task.spec.windows, self.task.tags, self.validation
        return (
            featurise(self.train, tokenizer, windows, tags).weighed(weights_of(self.train.examples)),
            featurise(validation, tokenizer, windows, tags) if validation is not None else None,
        )

    def lesson(self, loaded: LoadedModel) -> Lesson[TokenData]:
        """The texts in the model's tokens, and the loss of their tags."""
        training, validation = self.data(loaded.tokenizer)
        is_weighed = (weights_of(self.train.examples) != 1.0).any()
        loss = weighed_token_loss if is_weighed else token_loss
        if "head.output.bias" in loaded.source.missing:
            head = loaded.model.get_submodule("head")
            assert isinstance(head, TokenHead)  # make_head made it
            begin_at(head.output, log_shares(counts_of_tags(training.features, len(self.task.tags))))
        return Lesson(self.task, training, validation, loss, training.features)


@dataclass(frozen=True, slots=True)
class TokenClassification:
    """The task, with its tags in the order of their ids."""

    spec: TokenSpec
    tags: tuple[str, ...]

    name: str = NAME
    architecture: str = ARCHITECTURE
    metric_names: tuple[str, ...] = METRIC_NAMES
    table: tuple[TableColumn, ...] = EPOCH_COLUMNS
    prediction_files: tuple[str, ...] = PREDICTION_FILES
    output_names: tuple[str, ...] = ("logits",)
    divergence: Divergence = token_divergence

    def item_losses(self, loss: Loss) -> OwnTokenLoss:
        """The sum of such losses over the labelled tokens of a batch."""
        return OwnTokenLoss(loss)

    @property
    def head_rules(self) -> Sequence[KeyRule]:
        """The head's tensors under our names and theirs."""
        return output_rules(len(self.tags))

    @property
    def labels(self) -> tuple[str, ...]:
        """What is marked."""
        return tuple(dict.fromkeys(split_tag(tag)[1] for tag in self.tags if tag != OUTSIDE))

    def means_the_same(self, config: Mapping[str, Any]) -> bool:
        """Whether a model with that config.json has the same tags in the same order."""
        return labels_of(config) == self.tags

    def load_data(self, sources: Sequence[str], tokenizer: Tokenizer, use: Use = "evaluation") -> TokenData:
        """Read and featurise texts to evaluate on, or to predict."""
        read = examples_to_evaluate(self.spec.read, self.spec.data, sources, use, _text_of, "text")
        read = forget_gold(read, self._unknown, "label_unknown") if use == "prediction" else self.known(read)
        return featurise(read, tokenizer, self.spec.windows, self.tags)

    def known(self, read: TokenSet) -> TokenSet:
        """The set without the examples that mark what the model does not, each with a finding.

        Raises:
            DataError: if these are more than may be.

        """
        fix = f"the model marks: {', '.join(self.labels)}"
        return keep_if(read, self._unknown, "label_unknown", self.spec.data.max_rejected_share, fix)

    def make_head(self, hidden_size: int, dropout: float) -> nn.Module:
        """A head with weights yet to be set."""
        return TokenHead(hidden_size, dropout, len(self.tags))

    def model_config(self, head_dropout: float, metrics: Mapping[str, float]) -> dict[str, object]:
        """The tags, as ``transformers`` reads them; the dropout of its head is that of the encoder."""
        stored = {"max_length": self.spec.windows.max_length, "stride": self.spec.windows.shared}
        return {**labels_config(self.tags), STORED_UNDER: stored}

    def guide(self, metrics: Mapping[str, float]) -> TaskGuide:
        """Words for the model card and the report."""
        return token_guide(self.labels, self.spec.windows.max_length)

    def evaluate(
        self,
        model: nn.Module,
        data: TokenData,
        predictions: Path | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> TokenEvaluation:
        """Evaluate on every text, dropout off; write `PREDICTION_FILES` into ``predictions`` if given."""
        marked = mark_words(model, data, self.spec.batch_tokens, on_progress)
        evaluation = evaluate_marked(data, marked, self.tags)
        if predictions is not None:
            write_predictions(predictions, data, marked, self.tags, evaluation)
        return evaluation

    def concerns(self, training: TokenData, validation: TokenData | None, tokenizer: Tokenizer) -> tuple[Concern, ...]:
        """What is wrong with the data, ranked; against the validation data what the two share."""
        others = labelled_texts(validation) if validation is not None else []
        return in_training(
            labelled_concerns(training, labelled_texts(training), others, tokenizer, self.spec.data.max_rejected_share)
        )

    def chance_losses(self, features: FeatureSet) -> tuple[float, float]:
        """The loss of guessing evenly among the tags, and that of knowing how often each occurs."""
        return chance_losses(features, len(self.tags))

    def blind_scores(self, training: TokenData, validation: TokenData) -> tuple[BlindScore, ...]:
        """The F1 of who marks nothing."""
        return blind_scores(validation.examples)

    def analyse(self, data: TokenData, predictions: Path) -> tuple[Analysis, tuple[ScoredAnswer, ...]]:
        """Scores by label and length, calibration, the hardest wrong entities; and each text's score."""
        return analyse(predictions / PREDICTION_FILES[0])

    def _unknown(self, example: TokenExample) -> str:
        tags = set(gold_tags(example)) - set(self.tags)
        return f"It marks {split_tag(min(tags))[1]!r}, which the model does not." if tags else ""


def _text_of(example: TokenExample) -> str:
    """What is never parted between training and validation."""
    return example.text


def from_settings(settings: TokenClassificationSettings) -> TokenSpec:
    """The task's specification, with its settings."""
    return TokenSpec(
        data=data_settings(settings),
        labelled=settings.teacher or settings.model,
        windows=TokenWindows(settings.max_length, settings.stride),
        batch_tokens=settings.evaluation_tokens,
        choices=choices_of(settings),
    )


def choices_of(settings: TokenClassificationSettings) -> Choices:
    """What the settings say where the data leaves it open."""
    names = (name.strip() for name in settings.tag_names.split(","))
    return Choices(tuple(name for name in names if name), settings.overlapping)
