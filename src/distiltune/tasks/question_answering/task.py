"""Question answering as the engine sees it: the one place where the stages of this task are put together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
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
from distiltune.model.build import Dropouts, HeadDropout, LoadedModel, load_model
from distiltune.model.hf_keys import KeyRule
from distiltune.settings.stored import STORED_UNDER, stored_entry, stored_number
from distiltune.tasks.analysis import Analysis, ScoredAnswer
from distiltune.tasks.base import Lesson, OnProgress, ignore_progress
from distiltune.tasks.dataset import file_form
from distiltune.tasks.guide import TaskGuide
from distiltune.tasks.own import Loss
from distiltune.tasks.question_answering.analysis import analyse, blind_scores, chance_losses
from distiltune.tasks.question_answering.check.data_check import CheckSettings, training_concerns
from distiltune.tasks.question_answering.decode import Decoded
from distiltune.tasks.question_answering.evaluation import (
    CHOSEN_THRESHOLD,
    TEMPERATURE,
    AnswerDecision,
    PredictionFiles,
    QuestionEvaluation,
    as_prediction,
    evaluate_questions,
)
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.features import WindowSettings
from distiltune.tasks.question_answering.guide import question_answering_guide
from distiltune.tasks.question_answering.head import METRIC_NAMES, OwnSpanLoss, SpanHead, span_divergence, span_loss
from distiltune.tasks.question_answering.inference import DecodingSettings
from distiltune.tasks.question_answering.metrics import Prediction
from distiltune.tasks.question_answering.names import ARCHITECTURE, NAME, PREDICTION_FILES
from distiltune.tasks.question_answering.question_data import (
    QuestionData,
    featurise,
    load_examples,
    weighed,
)
from distiltune.tasks.question_answering.read import QuestionSet
from distiltune.tasks.question_answering.settings import QuestionAnsweringSettings, question_limit
from distiltune.training.objective import Divergence, TableColumn

HEAD_DROPOUT = HeadDropout("qa_dropout", 0.1)

NULL_THRESHOLD = "null_threshold"
"""Name in config.json of the null score difference above which a model says "no answer"."""

HEAD_RULES = (
    KeyRule("head.output.weight", ("qa_outputs.weight",), (2, "hidden_size")),
    KeyRule("head.output.bias", ("qa_outputs.bias",), (2,)),
)

EPOCH_COLUMNS = (
    TableColumn("Train Loss", "train", "loss"),
    TableColumn("Train End Logits Accuracy", "train", "end_accuracy"),
    TableColumn("Train Start Logits Accuracy", "train", "start_accuracy"),
    TableColumn("Validation Loss", "validation", "loss"),
    TableColumn("Validation End Logits Accuracy", "validation", "end_accuracy"),
    TableColumn("Validation Start Logits Accuracy", "validation", "start_accuracy"),
    TableColumn("Validation Exact Match", "validation", "exact_match"),
    TableColumn("Validation F1", "validation", "f1"),
)


_ALWAYS_ANSWERS = (
    "{:,} of the questions have no answer, and the model always gives one: it has no threshold for giving none; "
    "--null-threshold 0 lets it"
)


@dataclass(frozen=True, slots=True)
class QuestionSpec:
    """The settings that this task alone understands.

    Attributes:
        data: which questions, read how.
        windows: how contexts are cut.
        reading: how answers are read out.
        null_threshold: null score difference above which "no answer" is given; None: none was asked for.
        no_answer: texts that mean that there is no answer, as the recipe has them.

    """

    data: DataSettings
    windows: WindowSettings
    reading: DecodingSettings
    null_threshold: float | None = None
    no_answer: str = ""

    def open_training(self, device: torch.device) -> QuestionTraining:
        """Read the questions: if some to train on have no answer, a threshold for giving none is chosen.

        Without named validation data, the validation split of `starter` and of hub data sets is used; of other
        sources, passages are set aside.

        Raises:
            DataError: if a source cannot be read, or more rows than allowed are unusable.

        """
        train, validation = train_and_validation(self.read, self.data, _text_of, "text")
        chooses = self.null_threshold is None and any(example.is_unanswerable for example in train.examples)
        task = QuestionAnswering(self, self.null_threshold, temperature=None, chooses_threshold=chooses)
        return QuestionTraining(task, train, validation, device)

    def open_model(self, config: Mapping[str, Any]) -> QuestionAnswering:
        """The task with the model's temperature, and its threshold for "no answer" where none was asked for."""
        threshold = stored_threshold(config) if self.null_threshold is None else self.null_threshold
        return QuestionAnswering(self, threshold, stored_temperature(config) or 1.0)

    def read(self, sources: Sequence[str], split: Split, use: Use | None = None) -> QuestionSet:
        """Read the questions of these sources; arguments and errors as `load_examples`."""
        columns, share = self.data.columns, self.data.max_rejected_share
        return load_examples(sources, split, columns, share, use or USE_OF[split], self.no_answer, self.data.form)

    def featurise(self, examples: QuestionSet, tokenizer: Tokenizer) -> QuestionData:
        """The questions with their features."""
        return featurise(examples, tokenizer, self.windows)


@dataclass(frozen=True, slots=True)
class QuestionTraining:
    """The task with its questions read, ``validation`` None if there are none."""

    task: QuestionAnswering
    train: QuestionSet
    validation: QuestionSet | None
    device: torch.device

    def load_model(self, name: str, dropouts: Dropouts) -> LoadedModel:
        """The model to train, with a span head."""
        return load_model(name, self.task.head_rules, self.task.make_head, self.device, dropouts, HEAD_DROPOUT)

    def data(self, tokenizer: Tokenizer) -> tuple[QuestionData, QuestionData | None]:
        """The questions to train on and those to validate on with their features."""
        featurise, aside = self.task.spec.featurise, self.validation
        training = weighed(featurise(self.train, tokenizer))
        return training, featurise(aside, tokenizer) if aside is not None else None

    def lesson(self, loaded: LoadedModel) -> Lesson[QuestionData]:
        """The questions in the model's tokens, and the loss of its starts and ends."""
        training, validation = self.data(loaded.tokenizer)
        return Lesson(self.task, training, validation, span_loss, training.features)


@dataclass(frozen=True, slots=True)
class QuestionAnswering:
    """The task.

    Attributes:
        spec: its settings.
        null_threshold: null score difference above which "no answer" is given; None: always an answer.
        temperature: of the confidence; None while it is yet to be fitted, in a training.
        chooses_threshold: take the threshold of the best F1 on the questions evaluated instead, if it holds: in a
            training on questions of which some have no answer, where no threshold was asked for.

    """

    spec: QuestionSpec
    null_threshold: float | None
    temperature: float | None
    chooses_threshold: bool = False

    name: str = NAME
    architecture: str = ARCHITECTURE
    head_rules: Sequence[KeyRule] = HEAD_RULES
    metric_names: tuple[str, ...] = METRIC_NAMES
    output_names: tuple[str, ...] = ("start_logits", "end_logits")
    table: tuple[TableColumn, ...] = EPOCH_COLUMNS
    prediction_files: tuple[str, ...] = PREDICTION_FILES
    divergence: Divergence = span_divergence

    def item_losses(self, loss: Loss) -> OwnSpanLoss:
        """The sum of such losses over the features of a batch."""
        return OwnSpanLoss(loss)

    def load_data(self, sources: Sequence[str], tokenizer: Tokenizer, use: Use = "evaluation") -> QuestionData:
        """Read and featurise questions to evaluate on, or to answer.

        Raises:
            DataError: if a source cannot be read, more rows than allowed are unusable, or none can be evaluated on.

        """
        examples = examples_to_evaluate(self.spec.read, self.spec.data, sources, use, _text_of, "text")
        data = self.spec.featurise(examples, tokenizer)
        n_without = sum(example.is_unanswerable for example in data.examples)
        if n_without == 0 or use != "evaluation" or self.null_threshold is not None:
            return data
        return replace(data, notes=(*data.notes, _ALWAYS_ANSWERS.format(n_without)))

    def make_head(self, hidden_size: int, dropout: float) -> nn.Module:
        """A span head with weights yet to be set."""
        return make_span_head(hidden_size, dropout)

    def model_config(self, head_dropout: float, metrics: Mapping[str, float]) -> dict[str, object]:
        """What this task adds to config.json.

        Its dropout, the windows that it was trained in, the temperature of its confidence, and the threshold that it
        was evaluated with: the one asked for, or if some training questions had no answer, that of the best F1 on the
        validation data, 0 where that does not hold on held-out questions, or without any.
        """
        threshold = self.null_threshold
        if self.chooses_threshold:
            threshold = metrics.get(CHOSEN_THRESHOLD, 0.0)
        windows = self.spec.windows
        stored: dict[str, float] = {
            "max_length": windows.max_length,
            "stride": windows.stride,
            "max_question_tokens": windows.max_question_tokens,
            "max_answer_tokens": self.spec.reading.max_answer_tokens,
        }
        if metrics.get(TEMPERATURE, 1.0) != 1.0:
            stored[TEMPERATURE] = metrics[TEMPERATURE]
        config: dict[str, object] = {"qa_dropout": head_dropout, STORED_UNDER: stored}
        return config if threshold is None else {**config, NULL_THRESHOLD: threshold}

    def guide(self, metrics: Mapping[str, float]) -> TaskGuide:
        """Words for the model card and the report."""
        return question_answering_guide(metrics, self.spec.windows.max_length, self.spec.reading.max_answer_tokens)

    def means_the_same(self, config: Mapping[str, object]) -> bool:
        """Always: starts and ends have no other names."""
        return True

    def evaluate(
        self,
        model: nn.Module,
        data: QuestionData,
        predictions: Path | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> QuestionEvaluation:
        """Evaluate on every question, dropout off.

        With ``predictions``, a directory, `predictions.json` and `nbest.jsonl` are written into it. What is answered
        does not depend on the gold answers, but where the threshold is chosen by them.
        """
        n_done = 0
        compared: list[tuple[tuple[str, ...], Prediction]] = []
        with ExitStack() as stack:
            files = None
            if predictions is not None:
                paths = predictions / "predictions.json", predictions / "nbest.jsonl"
                files = stack.enter_context(PredictionFiles(*paths, self.spec.reading.n_best))

            def on_example(example: Example, decoded: Decoded) -> None:
                nonlocal n_done
                n_done += 1
                on_progress(n_done)
                if example.has_gold:
                    compared.append((example.gold_texts, as_prediction(example, decoded)))
                if files is not None:
                    files.add(example, decoded)

            evaluation = evaluate_questions(
                model,
                data.examples,
                data.question_features,
                self.spec.reading,
                AnswerDecision(self.null_threshold, self.chooses_threshold, self.temperature),
                on_example,
            )
            if files is not None:
                files.finish(evaluation.null_threshold, evaluation.temperature)
        gold = [texts for texts, _ in compared]
        return replace(
            evaluation, compared=(gold, [each.final_text(evaluation.null_threshold) for _, each in compared])
        )

    def concerns(
        self, training: QuestionData, validation: QuestionData | None, tokenizer: Tokenizer
    ) -> tuple[Concern, ...]:
        """What is wrong with the data, ranked; against the validation data what the two share."""
        others = validation.examples if validation is not None else ()
        spec = self.spec
        settings = CheckSettings(
            spec.windows, spec.reading.max_answer_tokens, max_rejected_share=spec.data.max_rejected_share
        )
        return training_concerns(training, others, tokenizer, settings)

    def chance_losses(self, features: FeatureSet) -> tuple[float, float]:
        """The loss of guessing evenly among a window's tokens, and that of knowing how many hold no answer."""
        return chance_losses(features)

    def blind_scores(self, training: QuestionData, validation: QuestionData) -> tuple[BlindScore, ...]:
        """The F1 of who answers without reading: never, or with the same stretch of every text."""
        return blind_scores(validation.examples)

    def analyse(self, data: QuestionData, predictions: Path) -> tuple[Analysis, tuple[ScoredAnswer, ...]]:
        """Scores by kind of question, calibration, the hardest wrong answers; and each answer's score."""
        return analyse(data.examples, predictions / "nbest.jsonl")


def stored_threshold(config: Mapping[str, object]) -> float | None:
    """The threshold for "no answer" that a model's config.json keeps, None if it keeps none.

    Raises:
        ModelError: if it is no number that a score could be.

    """
    return stored_number(config, NULL_THRESHOLD, least=-1e30, most=1e30)


def stored_temperature(config: Mapping[str, object]) -> float | None:
    """The temperature of the confidence that a model's config.json keeps, None if it keeps none.

    Raises:
        ModelError: if it is no number above 0.

    """
    return stored_number(stored_entry(config), TEMPERATURE, least=0.0, most=math.inf)


def make_span_head(hidden_size: int, dropout: float) -> nn.Module:
    """A span head with weights yet to be set."""
    return SpanHead(hidden_size, dropout)


def _text_of(example: Example) -> str:
    """What is never parted between training and validation."""
    return example.context


def from_settings(settings: QuestionAnsweringSettings) -> QuestionSpec:
    """The task's specification, with its settings."""
    return QuestionSpec(
        data=DataSettings(
            train=settings.train,
            validation=settings.validation,
            validation_share=settings.validation_share,
            columns=settings.columns,
            max_rejected_share=settings.max_rejected_share,
            n_train=settings.train_questions or settings.train_examples,
            n_validation=settings.validation_questions or settings.validation_examples,
            sample_seed=settings.sample_seed,
            form=file_form(settings),
            n_folds=settings.folds,
            fold=settings.fold or 0,
        ),
        windows=WindowSettings(settings.max_length, settings.stride, question_limit(settings)),
        reading=DecodingSettings(settings.max_answer_tokens, settings.n_best, settings.evaluation_tokens),
        null_threshold=settings.null_threshold,
        no_answer=settings.no_answer,
    )
