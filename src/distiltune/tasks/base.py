"""What the engine asks of a task, in two types: its specification, made of settings alone, and the task itself.

A `TaskSpec` knows no data. It is opened in one of two ways: for a training, which reads the data (`Training`, and with
the model its `Lesson`), or for a trained model, whose config.json says what it was trained on. What comes out of both
is a `Task`, which knows its labels and never changes. ``D`` is the task's own kind of data set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from tokenizers import Tokenizer
from torch import nn

from distiltune.checks.concerns import Concern
from distiltune.coach.pairs import Losses
from distiltune.coach.scores import BlindScore
from distiltune.data.feature_set import FeatureSet
from distiltune.data.reading import Use
from distiltune.data.row_findings import RowFindings
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
    def findings(self) -> RowFindings:
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
class Paired(Protocol):
    """What an evaluation may know beside, so that two of the same examples can be compared pair by pair."""

    @property
    def losses(self) -> Losses | None:
        """What each example adds to the mean loss; None if there is none."""


D = TypeVar("D", bound=Dataset)
D_contra = TypeVar("D_contra", bound=Dataset, contravariant=True)


@runtime_checkable
class Teachable(Protocol):
    """What a task has whose models can learn from a teacher's outputs, beside the labels."""

    @property
    def divergence(self) -> Divergence:
        """How far a student's output for each token is from the teacher's."""

    def means_the_same(self, config: Mapping[str, Any]) -> bool:
        """Whether the outputs of a model with that config.json are those of a student, number by number."""


@runtime_checkable
class Coached(Protocol[D_contra]):
    """What a task may do beside, so that the coach can say more about its runs."""

    def concerns(self, training: D_contra, validation: D_contra | None, tokenizer: Tokenizer) -> tuple[Concern, ...]:
        """What is wrong with the data, ranked."""

    def chance_losses(self, features: FeatureSet) -> tuple[float, float]:
        """The loss of a model that knows nothing, and of one that knows how often which kind of label occurs."""

    def blind_scores(self, training: D_contra, validation: D_contra) -> tuple[BlindScore, ...]:
        """What scores of the validation data come to without reading, the main one first."""

    def analyse(self, data: D_contra, predictions: Path) -> tuple[Analysis, tuple[ScoredAnswer, ...]]:
        """What there is to see in the answers that `Task.evaluate` wrote into ``predictions``, and each one's score."""


@runtime_checkable
class Rescaled(Protocol):
    """What a task has whose models learn numbers in other units than their own."""

    def in_own_units(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The trained tensors as a model directory is to hold them."""


class Task(Protocol[D]):
    """A thing that a fine-tuned model does, with all that shapes the model, such as its labels."""

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

    def make_head(self, hidden_size: int, dropout: float) -> nn.Module:
        """A head with weights yet to be set."""

    def load_data(self, sources: Sequence[str], tokenizer: Tokenizer, use: Use = "evaluation") -> D:
        """Read and featurise data to evaluate on, or to predict; without a source, a training's validation data.

        Raises:
            DataError: if a source cannot be read, holds too little that can be used, or nothing to evaluate with.

        """

    def model_config(self, head_dropout: float, metrics: Mapping[str, float]) -> dict[str, object]:
        """What the task adds to the model's config.json; ``metrics`` are the validation's, empty if there was none."""

    def guide(self, metrics: Mapping[str, float]) -> TaskGuide:
        """Words for the model card and the report of a model with these validation metrics, empty if there are none."""

    def evaluate(
        self,
        model: nn.Module,
        data: D,
        predictions: Path | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> Evaluation:
        """Evaluate on everything, dropout off; write the answers as files into ``predictions`` if given."""


@dataclass(frozen=True, slots=True)
class Lesson(Generic[D]):
    """What a model is trained on and towards.

    Attributes:
        task: what it is to do.
        training: the examples to train on.
        validation: those to evaluate on after each epoch, None if there are none.
        objective: the loss.
        features: what the loop goes through: those of ``training``, with a teacher's targets if there is one.
        notes: sentences for the user.
        warm_up: other data that is read before or among them, None if there is none; its features are behind those of
            ``training`` in ``features``.
        warm_up_passes: how often the task itself has them read, before its own; 0: as the recipe says.
        head_rate: what the head's learning rate is multiplied by.

    """

    task: Task[D]
    training: D
    validation: D | None
    objective: Objective
    features: FeatureSet
    notes: tuple[str, ...] = ()
    warm_up: D | None = None
    warm_up_passes: int = 0
    head_rate: float = 1.0

    @property
    def sets(self) -> dict[str, D]:
        """The data that there are, by what they are for."""
        before = "pairs" if self.warm_up_passes else "warm-up"
        found = {"train": self.training, before: self.warm_up, "validation": self.validation}
        return {name: data for name, data in found.items() if data is not None}


class Training(Protocol[D]):
    """A training whose data are read, so that it is known what the model must be like."""

    def load_model(self, name: str, dropouts: Dropouts) -> LoadedModel:
        """The model to train, with the task's head, on the device that the training was opened for.

        Raises:
            ModelError: if the source cannot be read or does not fit.
            HubError: if a hub name cannot be fetched.

        """

    def lesson(self, loaded: LoadedModel) -> Lesson[D]:
        """What that model is trained on: the data in its tokens, and the loss.

        Raises:
            DataError: if what the features are made of cannot be kept.

        """


class TaskSpec(Protocol[D]):
    """A task's settings, checked; nothing is read yet."""

    def open_training(self, device: torch.device) -> Training[D]:
        """Read the training and the validation data, and whatever else shapes a model, for a training on that device.

        Raises:
            DataError: if a source cannot be read or holds too little that can be used.
            RecipeError: if the settings do not fit what was read.

        """

    def open_model(self, config: Mapping[str, Any]) -> Task[D]:
        """The task of a trained model with that config.json.

        Raises:
            ModelError: if the config.json says what cannot be.
            RecipeError: if no trained model can do this task.

        """
