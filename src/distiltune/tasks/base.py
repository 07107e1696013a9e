"""What the engine asks of a task. A task is one folder beside this file and one line in ``tasks/table``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from tokenizers import Tokenizer
from torch import nn

from distiltune.checks.concerns import Concern
from distiltune.data.feature_set import FeatureSet
from distiltune.data.findings import Findings
from distiltune.data.reading import Use
from distiltune.model.build import Dropouts, LoadedModel
from distiltune.model.hf_keys import KeyRule
from distiltune.tasks.analysis import Analysis, ScoredAnswer
from distiltune.tasks.guide import TaskGuide
from distiltune.training.objective import Divergence, Objective, TableColumn

OnProgress = Callable[[int], None]
"""Told how many examples are done."""


def ignore_progress(n_done: int) -> None:
    """For who does not want to know."""


class Dataset(Protocol):
    """Examples as the task read them, with their features."""

    @property
    def features(self) -> FeatureSet:
        """What the engine trains on."""

    @property
    def findings(self) -> Findings:
        """What was noticed, repaired and left out while reading."""

    @property
    def fingerprint(self) -> str:
        """Hash of the content of the files and of the selection made from them."""

    @property
    def n_examples(self) -> int:
        """How many examples the features were made of."""

    def example_id(self, index: int) -> str:
        """What the data call the example of that number."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the examples came from, as the user named it."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about these examples and features."""


class Evaluation(Protocol):
    """What a model is worth on a data set."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """The figures by the names that the log, the table and the recipe's ``monitor`` use."""


@runtime_checkable
class Teachable(Protocol):
    """What a task has whose models can learn from a teacher's outputs, beside the labels."""

    @property
    def divergence(self) -> Divergence:
        """How far a student's output for each token is from the teacher's."""

    def means_the_same(self, config: Mapping[str, Any]) -> bool:
        """Whether the outputs of a model with that config.json are those of a student, number by number."""


@runtime_checkable
class Coached(Protocol):
    """What a task may do beside, so that the coach can say more about its runs."""

    def concerns(self, training: Dataset, validation: Dataset | None, tokenizer: Tokenizer) -> tuple[Concern, ...]:
        """What is wrong with the data, ranked."""

    def chance_losses(self, features: FeatureSet) -> tuple[float, float]:
        """The loss of a model that knows nothing, and of one that knows how often which kind of label occurs."""

    def analyse(self, data: Dataset, predictions: Path) -> tuple[Analysis, tuple[ScoredAnswer, ...]]:
        """What there is to see in the answers that `Task.evaluate` wrote into ``predictions``, and each one's score."""


@runtime_checkable
class Rescaled(Protocol):
    """What a task has whose models learn numbers in other units than their own."""

    def in_own_units(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The trained tensors as a model directory is to hold them."""


class Task(Protocol):
    """A thing that a fine-tuned model does."""

    @property
    def name(self) -> str:
        """As the recipe's ``task`` names it."""

    @property
    def architecture(self) -> str:
        """The class that Hugging Face ``transformers`` loads the model directory into."""

    @property
    def head_rules(self) -> Sequence[KeyRule]:
        """The head's tensors under our names and theirs; without any, the head is thrown away after the training."""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What the objective's sums are; the first is the loss."""

    @property
    def output_names(self) -> tuple[str, ...]:
        """What the head's columns are called where the model is exported."""

    @property
    def table(self) -> tuple[TableColumn, ...]:
        """The epoch table's columns after the epoch's number."""

    @property
    def prediction_files(self) -> tuple[str, ...]:
        """The names of the files that `evaluate` writes."""

    @property
    def objective(self) -> Objective:
        """The loss to train on; asked for once the training data are loaded."""

    def ready(self) -> Task:
        """The task with what it must know of the training data before there is a model, such as the labels.

        Raises:
            DataError: as `load_training`.

        """

    def load_model(self, name: str, device: torch.device, dropouts: Dropouts) -> LoadedModel:
        """The model to train, with this task's head.

        Raises:
            ModelError: if the source cannot be read or does not fit.
            HubError: if a hub name cannot be fetched.

        """

    def load_training(self, tokenizer: Tokenizer) -> tuple[Dataset, Dataset | None]:
        """Read and featurise the training data and the validation data, None if there is none.

        Raises:
            DataError: if a source cannot be read or holds too little that can be used.

        """

    def load_validation(self, sources: Sequence[str], tokenizer: Tokenizer, use: Use = "evaluation") -> Dataset:
        """Read and featurise data to evaluate on, or to predict; without a source, `load_training`'s validation data.

        Raises:
            DataError: if a source cannot be read, holds too little that can be used, or nothing to evaluate with.

        """

    def for_model(self, config: Mapping[str, object]) -> Task:
        """The same task with what a model's config.json says of it; asked before that model is loaded."""

    def make_head(self, hidden_size: int, dropout: float) -> nn.Module:
        """A head with weights yet to be set."""

    def model_config(self, training: Dataset, head_dropout: float, metrics: Mapping[str, float]) -> dict[str, object]:
        """What the task adds to the model's config.json; ``metrics`` are the validation's, empty if there was none."""

    def guide(self, metrics: Mapping[str, float]) -> TaskGuide:
        """Words for the model card and the report of a model with these validation metrics, empty if there are none."""

    def evaluate(
        self,
        model: nn.Module,
        data: Dataset,
        predictions: Path | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> Evaluation:
        """Evaluate on everything, dropout off; write the answers as files into ``predictions`` if given."""
