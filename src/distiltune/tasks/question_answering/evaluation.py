"""Losses, accuracies, exact match and F1 of a model on a set of questions, in one pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.model.encoder import model_device
from distiltune.tasks.question_answering.calibration import POOL_SIZE, AnswerRecord, Calibration
from distiltune.tasks.question_answering.decode import Decoded
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.features import QuestionFeatures
from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss
from distiltune.tasks.question_answering.metrics import Prediction, ScoreKeeper, SquadScores
from distiltune.tasks.question_answering.reading import ReadingSettings, read_answers

TEMPERATURE = "confidence_temperature"
"""The metric, and the name in config.json, of what scores are divided by before they become confidences."""


@dataclass(frozen=True, slots=True)
class QuestionEvaluation:
    """What a model is worth on a set of questions.

    Attributes:
        loss: mean over all features, against the first gold answer, dropout off.
        end_accuracy: share of features whose arg-max end token is the label.
        start_accuracy: the same for the start.
        scores: the official SQuAD scores.
        null_threshold: null score difference above which "no answer" was given; None: always an answer.
        n_features: features that the means are taken over.
        calibration: how honest the confidence is, at the threshold in use or, where that was left open, at that of the
            best F1; None if too few questions or candidates tell.

    """

    loss: float
    end_accuracy: float
    start_accuracy: float
    scores: SquadScores
    null_threshold: float | None
    n_features: int
    calibration: Calibration | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """The figures by the names that the log, the table and the recipe's ``monitor`` use."""
        return {
            "loss": self.loss,
            "end_accuracy": self.end_accuracy,
            "start_accuracy": self.start_accuracy,
            **{name: float(value) for name, value in self.scores.as_json().items()},
            **(
                {
                    TEMPERATURE: self.calibration.temperature,
                    "calibration_error_before": self.calibration.error_before,
                    "calibration_error": self.calibration.error_after,
                }
                if self.calibration is not None
                else {}
            ),
        }


class PredictionFiles:
    """The official predictions file and, beside it, the n-best list, written example by example.

    ``predictions.json``: id → answer text ("" for none). ``nbest.jsonl``: one object a line with the candidates.
    """

    def __init__(self, predictions: Path, nbest: Path, null_threshold: float | None) -> None:
        self._paths = predictions, nbest
        self._null_threshold = null_threshold
        self._answers: dict[str, str] = {}
        self._files = ExitStack()
        self._nbest: TextIO | None = None

    def __enter__(self) -> Self:
        self._nbest = self._files.enter_context(self._paths[1].open("w", encoding="utf-8"))
        return self

    def add(self, example: Example, decoded: Decoded) -> None:
        """Write one example's candidates and remember its answer."""
        assert self._nbest is not None, "used outside its with block"
        prediction = as_prediction(example, decoded)
        self._answers[example.id] = prediction.final_text(self._null_threshold)
        line = {
            "id": example.id,
            "answer": self._answers[example.id],
            "null_score_difference": round(prediction.null_score_difference, 6),
            "candidates": [
                {
                    "text": candidate.text,
                    "start": candidate.start,
                    "end": candidate.end,
                    "score": round(candidate.score, 6),
                    "probability": round(candidate.probability, 6),
                }
                for candidate in decoded.candidates
            ],
        }
        self._nbest.write(json.dumps(line, ensure_ascii=False) + "\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()
        if kind is None:
            text = json.dumps(self._answers, ensure_ascii=False, indent=0)
            self._paths[0].write_text(text + "\n", encoding="utf-8")


@dataclass(slots=True)
class _FeatureSums:
    """Loss and accuracies summed over features, on the model's device until the end."""

    sums: Tensor
    n_features: int = field(default=0)

    def add(self, batch: PackedBatch, logits: Tensor) -> None:
        self.sums += span_loss(logits, batch).metrics
        self.n_features += batch.n_features

    def means(self) -> dict[str, float]:
        return {
            name: float(value) / self.n_features for name, value in zip(METRIC_NAMES, self.sums.tolist(), strict=True)
        }


def as_prediction(example: Example, decoded: Decoded) -> Prediction:
    """What the scorer needs of a decoded example."""
    return Prediction(id=example.id, best_text=decoded.best_text, null_score_difference=decoded.null_score_difference)


def default_null_threshold(examples: Sequence[Example]) -> float | None:
    """0 where some question is unanswerable; None (always answer) where none is, as in SQuAD 1.1."""
    return None if all(example.answers for example in examples) else 0.0


def evaluate_questions(
    model: nn.Module,
    examples: Sequence[Example],
    question_features: QuestionFeatures,
    settings: ReadingSettings,
    *,
    null_threshold: float | None,
    threshold_is_open: bool = False,
    temperature: float | None = None,
    on_example: Callable[[Example, Decoded], None] = lambda example, decoded: None,
) -> QuestionEvaluation:
    """Evaluate in one pass; memory does not grow with the logits of the set.

    Args:
        model: an encoder with a span head; left in evaluation mode.
        examples: the questions, with gold answers.
        question_features: their features.
        settings: limits of decoding and batching.
        null_threshold: null score difference above which the answer is "none"; None: always answer.
        threshold_is_open: the threshold is yet to be chosen, and the confidence is fitted for the best one.
        temperature: of the confidence that is measured; by default one is fitted.
        on_example: called with each example and what was decoded, in order.

    """
    sums = _FeatureSums(torch.zeros(len(METRIC_NAMES), dtype=torch.float64, device=model_device(model)))
    keeper, record = ScoreKeeper(), AnswerRecord()
    for example, decoded in read_answers(model, examples, question_features, settings, sums.add):
        score = keeper.add(example, as_prediction(example, decoded))
        record.add(
            [candidate.score for candidate in decoded.candidates[:POOL_SIZE]],
            best_is_right=score.exact == 1.0,
            none_is_right=not example.answers,
        )
        on_example(example, decoded)
    means = sums.means()
    scores = keeper.scores(null_threshold)
    calibrated_at = scores.best_f1_threshold if threshold_is_open else null_threshold
    return QuestionEvaluation(
        loss=means["loss"],
        end_accuracy=means["end_accuracy"],
        start_accuracy=means["start_accuracy"],
        scores=scores,
        null_threshold=null_threshold,
        n_features=sums.n_features,
        calibration=record.calibrate(calibrated_at, temperature) if settings.n_best >= POOL_SIZE else None,
    )
