"""Text classification as the engine sees it: the one place where the stages of this task are put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from distiltune.checks.concerns import Concern
from distiltune.coach.scores import BlindScore
from distiltune.data.example_set import DataSettings
from distiltune.data.feature_set import FeatureSet, joined
from distiltune.data.hub import Split
from distiltune.data.reading import USE_OF, Use, examples_to_evaluate, train_and_validation
from distiltune.data.rejections import with_rejections
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.errors import DataError, RecipeError
from distiltune.model.build import Dropouts, LoadedModel
from distiltune.model.encoder import Encoder
from distiltune.model.hf_keys import KeyRule
from distiltune.model.source import model_config
from distiltune.settings.stored import STORED_UNDER
from distiltune.tasks.analysis import Analysis, ScoredAnswer
from distiltune.tasks.base import Lesson, OnProgress, ignore_progress
from distiltune.tasks.dataset import data_settings, of_validation
from distiltune.tasks.guide import TaskGuide
from distiltune.tasks.heads import begin_at
from distiltune.tasks.labelled_check import in_training, labelled_concerns
from distiltune.tasks.labelled_model import HEAD_DROPOUT, INNER_RULES, load_labelled_model, output_rules
from distiltune.tasks.labels import labels_config
from distiltune.tasks.own import Loss
from distiltune.tasks.self_taught import OwnLabels, Rights, UnlabelledTexts
from distiltune.tasks.text_classification.analysis import analyse, blind_scores, chance_losses
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.evaluation import (
    TextEvaluation,
    evaluate_texts,
    score_texts,
    write_predictions,
)
from distiltune.tasks.text_classification.examples import TextExample, TextSet, text_kinds, weights_of
from distiltune.tasks.text_classification.features import TextData, TextWindows, featurise
from distiltune.tasks.text_classification.guide import text_guide
from distiltune.tasks.text_classification.head import (
    OwnTextLoss,
    SequenceHead,
    TextDivergence,
    TextLoss,
    how_common,
    in_own_units,
    in_units_of,
    metric_names,
)
from distiltune.tasks.text_classification.label_cells import LabelSettings
from distiltune.tasks.text_classification.labelled import labelled_texts
from distiltune.tasks.text_classification.names import ARCHITECTURE, NAME, PREDICTION_FILES
from distiltune.tasks.text_classification.own_labels import Labeller, choose, ids_of, read_unlabelled
from distiltune.tasks.text_classification.pairs import HEAD_RATE, PairsFirst, PairsModel, marked, two_by_two
from distiltune.tasks.text_classification.read import read_texts
from distiltune.tasks.text_classification.settings import (
    TextClassificationSettings,
    check_labels,
    check_one_label,
    check_pairs,
    names_of_labels,
)
from distiltune.tasks.text_classification.spellings import as_spelled, one_spelling
from distiltune.tasks.text_classification.targets import (
    SCALE_NAMES,
    UNKNOWN,
    Targets,
    class_weights,
    find_problem,
    find_targets,
    forget_unknown,
    keep_known,
    numbers_as_classes,
    problem_sentence,
    targets_of,
)
from distiltune.tasks.trained import load_trained
from distiltune.training.objective import TableColumn

_LABEL_COLUMNS = (
    TableColumn("Train Loss", "train", "loss"),
    TableColumn("Train Accuracy", "train", "accuracy"),
    TableColumn("Validation Loss", "validation", "loss"),
    TableColumn("Validation Accuracy", "validation", "accuracy"),
    TableColumn("Validation Macro F1", "validation", "macro_f1"),
)
_NUMBER_COLUMNS = (
    TableColumn("Train Loss", "train", "loss"),
    TableColumn("Validation Loss", "validation", "loss"),
    TableColumn("Validation Pearson", "validation", "pearson"),
    TableColumn("Validation Spearman", "validation", "spearman"),
)


@dataclass(frozen=True, slots=True)
class TextSpec:
    """The settings that this task alone understands.

    Attributes:
        data: which texts, read how.
        labelled: the teacher, or else the model, as the recipe names it; its labels go on if they fit.
        windows: how long texts are read.
        problem: as the recipe has it.
        label_weights: as the recipe has them.
        smoothing: of the labels.
        batch_tokens: most tokens in a batch of evaluation.
        label_settings: how labels are read.
        pair_epochs: passes in which pairs of texts are told apart before labels are learnt; 0: none.

    """

    data: DataSettings
    labelled: str
    windows: TextWindows
    problem: str
    label_weights: str
    smoothing: float
    batch_tokens: int
    label_settings: LabelSettings = LabelSettings()  # noqa: RUF009 (frozen)
    pair_epochs: int = 0

    def open_training(self, device: torch.device) -> TextTraining:
        """Read the texts; the labels are those of the training data, or the model's own if they hold all of these.

        Raises:
            RecipeError: if the data turns out to have numbers, and the recipe says something of labels.
            DataError: as `train_and_validation` and `find_targets`.

        """
        train, validation = train_and_validation(self.read, self.data, _text_of, "text")
        try:
            train, targets = self._find_targets(train)
        except DataError as error:
            raise with_rejections(_with_way_to_negatives(error, train), train.findings) from None
        try:
            check_labels(targets.problem, self.label_weights, self.smoothing)
        except ValueError as error:
            raise RecipeError(
                f"The training data has numbers for labels: {error}.",
                where=", ".join(train.sources),
                fix="leave it out, or say --problem single-label if these numbers are names of classes",
            ) from None
        if self.pair_epochs:
            _check_pairs(targets, train.sources)
        share = self.data.max_rejected_share
        train = keep_known(train, targets, share)
        if validation is not None:
            try:
                validation = keep_known(as_spelled(validation, targets.labels), targets, share)
            except DataError as error:
                raise of_validation(error) from None
        weights = class_weights(self.label_weights, targets, train.examples)
        return TextTraining(TextClassification(self, targets), train, validation, tuple(weights.tolist()), device)

    def open_model(self, config: Mapping[str, Any]) -> TextClassification:
        """The task with the model's labels, in whose order rows of 0 and 1 are unless other names are given."""
        targets = targets_of(config) or UNKNOWN
        places = targets.labels if targets.problem == "multi-label" else ()
        settings = replace(self.label_settings, names_of_places=places, problem=targets.problem)
        spec = replace(self, label_settings=settings)
        return TextClassification(spec, targets)

    def read(self, sources: Sequence[str], split: Split, use: Use | None = None) -> TextSet:
        """Read the texts of these sources; arguments and errors as `read_texts`."""
        columns, share = TextColumns.parse(self.data.columns), self.data.max_rejected_share
        return read_texts(sources, split, columns, share, use or USE_OF[split], self.label_settings, self.data.form)

    def _find_targets(self, train: TextSet) -> tuple[TextSet, Targets]:
        """What is predicted, and the training texts with one spelling of each label and a finding that says so."""
        model, problem = model_config(self.labelled), self.problem
        if problem == "auto" and not _some_without_labels(train):
            problem = find_problem(train.examples, model)
        if problem != "regression":
            train = one_spelling(train)
        if _some_without_labels(train):
            raise _without_labels(train)
        targets = find_targets(train.examples, problem, model)
        findings = replace(train.findings, items=list(train.findings.items))
        findings.add(RowFinding("decided", "problem", ", ".join(train.sources), "", problem_sentence(targets)))
        if self.problem == "auto" and (message := numbers_as_classes(targets)):
            findings.add(RowFinding("noted", "numbers_as_classes", ", ".join(train.sources), "", message))
        return replace(train, findings=findings), targets


@dataclass(frozen=True, slots=True)
class TextTraining:
    """The task with its texts read.

    Attributes:
        task: with the labels.
        train: the texts to train on.
        validation: those to validate on, None if there are none.
        weights: ``(n_labels,)`` of the labels in the training loss.
        device: where it is trained.

    """

    task: TextClassification
    train: TextSet
    validation: TextSet | None
    weights: tuple[float, ...]
    device: torch.device

    @property
    def objective(self) -> TextLoss:
        """The loss; of one label a text, the labels' weights are in the features'."""
        targets, spec = self.task.targets, self.task.spec
        weights = torch.tensor(self.weights, dtype=torch.float32) if spec.label_weights else None
        return TextLoss(targets.problem, spec.smoothing, weights, targets.spread)

    def load_model(self, name: str, dropouts: Dropouts) -> LoadedModel:
        """The model to train, with its own head if that is for these labels, else with a new one."""
        task = self.task
        loaded = load_labelled_model(
            name, task.targets.labels, task.head_rules, task.make_head, self.device, dropouts, HEAD_DROPOUT
        )
        if task.targets.is_regression:
            head = loaded.model.get_submodule("head")
            assert isinstance(head, SequenceHead)  # make_head made it
            in_units_of(head, task.targets, is_trained=not loaded.source.missing)
        if task.spec.pair_epochs:
            parts = (loaded.model.get_submodule(part) for part in ("encoder", "head"))
            return replace(loaded, model=PairsModel(*cast(tuple[Encoder, nn.Module], tuple(parts))))
        return loaded

    def data(self, tokenizer: Tokenizer) -> tuple[TextData, TextData | None]:
        """The texts to train on and those to validate on with their features."""
        windows, targets, validation = self.task.spec.windows, self.task.targets, self.validation
        plain = np.ones(len(targets.labels))
        # Of several labels a text the weights are the loss's own.
        weights = np.array(self.weights) if targets.problem == "single-label" else plain
        return (
            featurise(self.train, tokenizer, windows, targets, weights).weighed(weights_of(self.train.examples)),
            featurise(validation, tokenizer, windows, targets, plain) if validation is not None else None,
        )

    def lesson(self, loaded: LoadedModel) -> Lesson[TextData]:
        """The texts in the model's tokens, and the loss of their labels."""
        training, validation = self.data(loaded.tokenizer)
        if "head.output.bias" in loaded.source.missing and not self.task.targets.is_regression:
            head = loaded.model.get_submodule("head")
            assert isinstance(head, SequenceHead)  # make_head made it
            begin_at(head.output, how_common(training.features, self.task.targets, self.objective.label_weights))
        lesson = Lesson(self.task, training, validation, self.objective, training.features)
        return self._with_pairs(lesson, loaded.tokenizer) if self.task.spec.pair_epochs else lesson

    def unlabelled(self, sources: Sequence[str], encoding: str) -> UnlabelledTexts:
        """See `SelfTaught`."""
        _check_one_label(self.task.targets, self.train)
        return read_unlabelled(sources, encoding, self._columns, self.train, self.validation)

    def own_labels(self, model: str, texts: Sequence[str], most: float, confidence: float) -> OwnLabels:
        """See `SelfTaught`."""
        targets = self.task.targets
        said = self._labeller(model).said_of(texts, self.validation)
        counts = np.bincount(ids_of(self.train, targets), minlength=len(targets.labels))
        return choose(texts, said, counts, most, confidence).as_labels(targets.labels, self._columns)

    def rights(self, model: str) -> Rights:
        """See `SelfTaught`."""
        held_out = self.validation is not None
        return Rights(self._labeller(model).right(self.validation or self.train), held_out)

    def _labeller(self, model: str) -> Labeller:
        spec = self.task.spec
        trained = load_trained(model, spec, self.device.type)
        return Labeller(trained, self.task.targets, spec.windows, spec.batch_tokens)

    @property
    def _columns(self) -> TextColumns:
        return TextColumns.parse(self.task.spec.data.columns)

    def _with_pairs(self, lesson: Lesson[TextData], tokenizer: Tokenizer) -> Lesson[TextData]:
        """The lesson before which the same texts are told apart, two of one label side by side."""
        spec, targets = self.task.spec, self.task.targets
        examples, groups = two_by_two(self.train.examples, spec.data.sample_seed)
        read = replace(self.train, examples=examples, findings=RowFindings())
        pairs = featurise(read, tokenizer, spec.windows, targets, np.ones(len(targets.labels)))
        own = lesson.training
        first = marked(pairs.features, groups, of_pairs=True)
        then = marked(own.features, np.arange(own.n_examples), of_pairs=False)
        note = (
            f"few labels: {len(examples):,} texts are told apart in pairs first, in {spec.pair_epochs} passes; "
            "then the head alone goes on learning their labels"
        )
        return replace(
            lesson,
            objective=PairsFirst(lesson.objective, len(targets.labels)),
            features=joined(then, first, 1.0, own.n_examples),
            notes=(*lesson.notes, note),
            warm_up=replace(pairs, features=first),
            warm_up_passes=spec.pair_epochs,
            head_rate=HEAD_RATE,
        )


@dataclass(frozen=True, slots=True)
class TextClassification:
    """The task, with what it predicts."""

    spec: TextSpec
    targets: Targets

    name: str = NAME
    architecture: str = ARCHITECTURE
    prediction_files: tuple[str, ...] = PREDICTION_FILES
    output_names: tuple[str, ...] = ("logits",)

    @property
    def head_rules(self) -> Sequence[KeyRule]:
        """The head's tensors under our names and theirs."""
        return (*INNER_RULES, *output_rules(len(self.targets.labels)))

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What the objective's sums are."""
        return metric_names(self.targets.problem)

    @property
    def table(self) -> tuple[TableColumn, ...]:
        """The epoch table's columns after the epoch's number."""
        return _NUMBER_COLUMNS if self.targets.is_regression else _LABEL_COLUMNS

    @property
    def divergence(self) -> TextDivergence:
        """What a student of a fine-tuned teacher learns beside that loss."""
        return TextDivergence(self.targets.problem, self.targets.spread)

    def item_losses(self, loss: Loss) -> OwnTextLoss:
        """The sum of such losses over the texts of a batch."""
        return OwnTextLoss(loss, self.targets)

    def means_the_same(self, config: Mapping[str, Any]) -> bool:
        """Whether a model with that config.json has the same labels in the same order."""
        return targets_of(config) == self.targets

    def load_data(self, sources: Sequence[str], tokenizer: Tokenizer, use: Use = "evaluation") -> TextData:
        """Read and featurise texts to evaluate on, or to predict."""
        spec = self.spec
        read = examples_to_evaluate(spec.read, spec.data, sources, use, _text_of, "text")
        read = as_spelled(read, self.targets.labels)
        if use == "prediction":
            read = forget_unknown(read, self.targets)
        else:
            read = keep_known(read, self.targets, spec.data.max_rejected_share)
        return featurise(read, tokenizer, spec.windows, self.targets, np.ones(len(self.targets.labels)))

    def make_head(self, hidden_size: int, dropout: float) -> nn.Module:
        """A head with weights yet to be set."""
        return SequenceHead(hidden_size, len(self.targets.labels), dropout)

    def model_config(self, head_dropout: float, metrics: Mapping[str, float]) -> dict[str, object]:
        """The labels, the problem and the dropout, as ``transformers`` reads them."""
        windows, scale = self.spec.windows, (self.targets.mean, self.targets.spread)
        return {
            **labels_config(self.targets.labels),
            "problem_type": self.targets.config(),
            HEAD_DROPOUT.name: head_dropout,
            STORED_UNDER: {
                "max_length": windows.max_length,
                "stride": windows.shared,
                "long_texts": "truncate" if windows.truncate else "windows",
                **(dict(zip(SCALE_NAMES, scale, strict=True)) if self.targets.is_regression else {}),
            },
        }

    def in_own_units(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The trained tensors so that a model of numbers gives the numbers themselves."""
        return in_own_units(tensors, self.targets) if self.targets.is_regression else dict(tensors)

    def guide(self, metrics: Mapping[str, float]) -> TaskGuide:
        """Words for the model card and the report."""
        windows = self.spec.windows
        return text_guide(metrics, self.targets, windows.max_length, truncate=windows.truncate)

    def evaluate(
        self,
        model: nn.Module,
        data: TextData,
        predictions: Path | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> TextEvaluation:
        """Evaluate on every text, dropout off; write `PREDICTION_FILES` into ``predictions`` if given."""
        scores = score_texts(model, data, self.targets, self.spec.batch_tokens, on_progress)
        evaluation = evaluate_texts(data, self.targets, scores)
        if predictions is not None:
            write_predictions(predictions, data, self.targets, scores, evaluation)
        return evaluation

    def concerns(self, training: TextData, validation: TextData | None, tokenizer: Tokenizer) -> tuple[Concern, ...]:
        """What is wrong with the data, ranked; against the validation data what the two share."""
        others = labelled_texts(validation, self.targets.problem) if validation is not None else ()
        texts = labelled_texts(training, self.targets.problem)
        return in_training(labelled_concerns(training, texts, others, tokenizer, self.spec.data.max_rejected_share))

    def chance_losses(self, features: FeatureSet) -> tuple[float, float]:
        """The loss of guessing evenly among the labels, and that of knowing how often each occurs."""
        return chance_losses(features, self.targets)

    def blind_scores(self, training: TextData, validation: TextData) -> tuple[BlindScore, ...]:
        """Accuracy and F1 of who knows how often each label occurs; of numbers the correlation of one with all."""
        return blind_scores(training.examples, validation.examples, self.targets)

    def analyse(self, data: TextData, predictions: Path) -> tuple[Analysis, tuple[ScoredAnswer, ...]]:
        """Scores by label and length, calibration, the hardest wrong texts; and each text's score."""
        return analyse(data.examples, self.targets, predictions / PREDICTION_FILES[0])


def _some_without_labels(train: TextSet) -> bool:
    return any(first.gold is None for first in text_kinds(train.examples).firsts)


def _without_labels(train: TextSet) -> DataError:
    """The error that training data, or some of its files, have no labels, with what each file says of that."""
    without = [each for each in train.findings.of("noted") if each.kind == "no_label_column"]
    is_some = any(first.gold is not None for first in text_kinds(train.examples).firsts)
    what = "Some files of the training data have no labels." if is_some else "The training data has no labels."
    fix = "name the files that have some, without the others" if is_some else "name their column: --columns label=..."
    where = ", ".join(dict.fromkeys(each.where for each in without)) or ", ".join(train.sources)
    return DataError(what, where=where, fix=". ".join([fix, *dict.fromkeys(each.message for each in without)]))


def _with_way_to_negatives(error: DataError, read: TextSet) -> DataError:
    """The error; where an annotator rejected rows, with the way to learn from these, the negatives of that form."""
    if not any(finding.kind == "answer_reject" for finding in read.findings.of("left_out")):
        return error
    way = (
        "rows with `answer` reject are left out; if each row asks whether its label fits, as Prodigy's binary rows do, "
        "these are the negatives: give them a label of their own and take the column `answer` out"
    )
    return DataError(error.what, where=error.where, fix=f"{error.fix}; {way}")


def _text_of(example: TextExample) -> tuple[str, str | None]:
    """What is never parted between training and validation."""
    return example.text, example.pair


def _check_pairs(targets: Targets, sources: Sequence[str]) -> None:
    """Check that pairs of the training texts can be like or unlike."""
    try:
        check_pairs(targets.problem)
    except ValueError as error:
        raise RecipeError(
            f"The training data cannot be told apart in pairs: {error}.",
            where=", ".join(sources),
            fix="leave --few-labels out",
        ) from None


def _check_one_label(targets: Targets, train: TextSet) -> None:
    """Check that a model can label texts for a second training: one label each, and no second text."""
    where, fix = ", ".join(train.sources), "leave --unlabelled out"
    try:
        check_one_label(targets.problem)
    except ValueError as error:
        raise RecipeError(f"Texts without labels cannot be learnt from: {error}.", where=where, fix=fix) from None
    if any(example.pair is not None for example in train.examples):
        raise RecipeError(
            "The training data has pairs of texts, and texts without labels are single ones.", where=where, fix=fix
        )


def from_settings(settings: TextClassificationSettings) -> TextSpec:
    """The task's specification, with its settings."""
    return TextSpec(
        data=data_settings(settings),
        labelled=settings.teacher or settings.model,
        windows=TextWindows(settings.max_length, settings.stride, settings.long_texts == "truncate"),
        problem=settings.problem,
        label_weights=settings.class_weights,
        smoothing=settings.label_smoothing,
        batch_tokens=settings.evaluation_tokens,
        label_settings=LabelSettings(
            names_of_labels(settings.label_names), settings.label_separator, problem=settings.problem
        ),
        pair_epochs=settings.pair_epochs if settings.few_labels == "pairs" else 0,
    )
