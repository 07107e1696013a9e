"""Losses, accuracies, exact match and F1 of a model on a set of questions, in one pass."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from distiltune.coach.pairs import Losses
from distiltune.data.packing import PackedBatch
from distiltune.model.encoder import model_device
from distiltune.system.device import widest_float
from distiltune.system.durable import write_whole, writing_text
from distiltune.tasks.question_answering.calibration import (
    POOL_SIZE,
    AnswerRecord,
    Calibration,
    confidence_among,
)
from distiltune.tasks.question_answering.decode import Decoded
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.features import QuestionFeatures
from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss, span_losses
from distiltune.tasks.question_answering.inference import DecodingSettings, read_answers
from distiltune.tasks.question_answering.metrics import Prediction, ScoreKeeper, SquadScores

TEMPERATURE = "confidence_temperature"
"""The metric, and the name in config.json, of what scores are divided by before they become confidences."""

CHOSEN_THRESHOLD = "chosen_null_threshold"
"""The metric of the threshold for "no answer" that was chosen on these questions and held on held-out ones."""
REFUSED_THRESHOLD, REFUSED_TEMPERATURE = "refused_null_threshold", "refused_temperature"
"""The metrics of what was chosen or fitted and did not hold: 0 and 1 were taken."""
HELD_OUT_ERROR = "calibration_error_held_out"
"""The metric of the calibration error of each half of the questions at the temperature fitted on the other."""


@dataclass(frozen=True, slots=True)
class QuestionEvaluation:
    """What a model is worth on a set of questions.

    Attributes:
        means: loss and accuracies by name, means over the features whose label is known, against the first gold
            answer, dropout off; empty if there are none.
        scores: the official SQuAD scores of the questions with gold answers; None if there are none.
        null_threshold: null score difference above which "no answer" was given; None: always an answer.
        temperature: of the confidence.
        untuned: the scores at a threshold of 0, where another was chosen on these very questions.
        refused_threshold: the one of the best F1 here, where it did not hold on held-out questions: 0 was taken.
        compared: the gold texts and the answer of each question that has gold.
        n_features: features that the means are taken over.
        losses: what each question adds to the mean loss; None if there is none.
        calibration: how honest the confidence is; None if too few questions tell.

    """

    means: dict[str, float]
    scores: SquadScores | None
    null_threshold: float | None
    temperature: float
    n_features: int
    untuned: SquadScores | None = None
    calibration: Calibration | None = None
    refused_threshold: float | None = None
    compared: tuple[Sequence[tuple[str, ...]], Sequence[str]] = ((), ())
    losses: Losses | None = field(default=None, compare=False, repr=False)

    @property
    def metrics(self) -> dict[str, float]:
        """The figures by the names that the log, the table and the recipe's ``monitor`` use; none without gold."""
        if self.scores is None:
            return {}
        metrics = {**self.means, **{name: float(value) for name, value in self.scores.as_json().items()}}
        if self.untuned is not None and self.null_threshold is not None:
            metrics |= {
                CHOSEN_THRESHOLD: self.null_threshold,
                "untuned_exact_match": self.untuned.exact_match,
                "untuned_f1": self.untuned.f1,
            }
        if self.refused_threshold is not None:
            metrics[REFUSED_THRESHOLD] = self.refused_threshold
        return metrics | _calibration_metrics(self.calibration)


def _calibration_metrics(calibration: Calibration | None) -> dict[str, float]:
    if calibration is None:
        return {}
    metrics = {
        TEMPERATURE: calibration.temperature,
        "calibration_error_before": calibration.error_before,
        "calibration_error": calibration.error_after,
    }
    if calibration.fitted is not None and calibration.error_held_out is not None:
        metrics[HELD_OUT_ERROR] = calibration.error_held_out
        if not calibration.is_kept:
            metrics[REFUSED_TEMPERATURE] = calibration.fitted
    return metrics


class PredictionFiles:
    """The official predictions file and, beside it, the n-best list.

    ``predictions.json``: id → answer text ("" for none). ``nbest.jsonl``: one object a line with the candidates, their
    confidence and that of no answer. What is decoded is kept on disk until the threshold and the temperature, which may
    depend on all of it, are known.
    """

    def __init__(self, predictions: Path, nbest: Path, n_best: int) -> None:
        """Nothing is written before `finish`.

        Args:
            predictions: the one file.
            nbest: the other; what is decoded waits in its directory.
            n_best: most candidates of a question in it.

        """
        self._paths = predictions, nbest
        self._n_best = n_best
        self._files = ExitStack()
        self._decoded: TextIO | None = None

    def __enter__(self) -> Self:
        waiting = tempfile.TemporaryFile("w+", encoding="utf-8", dir=self._paths[1].parent)
        self._decoded = self._files.enter_context(waiting)
        return self

    def add(self, example: Example, decoded: Decoded) -> None:
        """Keep one example's candidates."""
        assert self._decoded is not None, "used outside its with block"
        candidates = [(c.text, c.start, c.end, c.score, c.probability) for c in decoded.candidates]
        kept = example.id, decoded.best_text, decoded.null_score_difference, candidates
        self._decoded.write(json.dumps(kept) + "\n")

    def finish(self, null_threshold: float | None, temperature: float) -> None:
        """Write both files.

        Args:
            null_threshold: null score difference above which the answer is "none"; None: always answer.
            temperature: of the confidence.

        """
        assert self._decoded is not None, "used outside its with block"
        self._decoded.seek(0)
        answers: dict[str, str] = {}
        with writing_text(self._paths[1]) as file:
            for id_, best_text, difference, candidates in map(json.loads, self._decoded):
                answers[id_] = Prediction(id_, best_text, difference).final_text(null_threshold)
                confidence_of = confidence_among([score for _, _, _, score, _ in candidates], temperature)
                line = {
                    "id": id_,
                    "answer": answers[id_],
                    "null_score_difference": round(difference, 6),
                    "no_answer_confidence": round(confidence_of(0.0), 6),
                    "candidates": [_shown(each, confidence_of) for each in candidates[: self._n_best]],
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        write_whole(self._paths[0], json.dumps(answers, ensure_ascii=False, indent=0) + "\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()


def _shown(candidate: tuple[str, int, int, float, float], confidence_of: Callable[[float], float]) -> dict[str, Any]:
    text, start, end, score, probability = candidate
    return {
        "text": text,
        "start": start,
        "end": end,
        "score": round(score, 6),
        "probability": round(probability, 6),
        "confidence": round(confidence_of(score), 6),
    }


@dataclass(frozen=True, slots=True)
class _FeatureSums:
    """Loss and accuracies summed over the features whose label is known, on the model's device until the end.

    ``by_example`` has the losses summed example by example, on the host.
    """

    sums: Tensor
    example_of: npt.NDArray[np.int64]
    by_example: npt.NDArray[np.float64]

    @classmethod
    def of(cls, model: nn.Module, n_examples: int, question_features: QuestionFeatures) -> Self:
        device = model_device(model)
        zeros = torch.zeros(len(METRIC_NAMES), dtype=widest_float(device), device=device)
        return cls(zeros, question_features.features.example_of, np.zeros(n_examples))

    def add(self, batch: PackedBatch, logits: Tensor) -> None:
        self.sums.add_(span_loss(logits, batch).metrics)
        losses = span_losses(logits, batch).cpu().double().numpy()
        np.add.at(self.by_example, self.example_of[batch.feature_ids], losses)

    def shares(self, n_features: int) -> Losses | None:
        """What each example adds to the mean loss."""
        return (self.by_example / n_features).astype(np.float32) if n_features else None

    def means(self, n_features: int) -> dict[str, float]:
        if n_features == 0:
            return {}
        return {name: float(value) / n_features for name, value in zip(METRIC_NAMES, self.sums.tolist(), strict=True)}


def as_prediction(example: Example, decoded: Decoded) -> Prediction:
    """What the scorer needs of a decoded example."""
    return Prediction(id=example.id, best_text=decoded.best_text, null_score_difference=decoded.null_score_difference)


@dataclass(frozen=True, slots=True)
class AnswerDecision:
    """When "no answer" is given, and how sure an answer is.

    Attributes:
        null_threshold: null score difference above which the answer is "none"; None: always answer.
        from_data: take the threshold of the best F1 on the questions instead, if it holds on held-out ones, else 0.
        temperature: of the confidence; None: one is fitted, and taken likewise, else 1.

    """

    null_threshold: float | None = None
    from_data: bool = False
    temperature: float | None = None


def evaluate_questions(
    model: nn.Module,
    examples: Sequence[Example],
    question_features: QuestionFeatures,
    settings: DecodingSettings,
    decision: AnswerDecision = AnswerDecision(),
    on_example: Callable[[Example, Decoded], None] = lambda example, decoded: None,
) -> QuestionEvaluation:
    """Evaluate in one pass; memory does not grow with the logits of the set.

    Args:
        model: an encoder with a span head; left in evaluation mode.
        examples: the questions; those without gold answers are read and not scored.
        question_features: their features.
        settings: limits of decoding and batching.
        decision: when "no answer" is given.
        on_example: called with each example and what was decoded, in order.

    """
    null_threshold, temperature = decision.null_threshold, decision.temperature
    sums = _FeatureSums.of(model, len(examples), question_features)
    keeper, record = ScoreKeeper(), AnswerRecord()
    # A confidence is taken over a fixed number of candidates, however few are wanted.
    settings = replace(settings, n_best=max(settings.n_best, POOL_SIZE))
    for example, decoded in read_answers(model, examples, question_features, settings, sums.add):
        on_example(example, decoded)
        if not example.has_gold:
            continue
        score = keeper.add(example, as_prediction(example, decoded))
        record.add(
            [candidate.score for candidate in decoded.candidates[:POOL_SIZE]],
            best_is_right=score.exact == 1.0,
            none_is_right=example.is_unanswerable,
        )
    scores = untuned = calibration = refused = None
    if len(keeper):
        scores = keeper.scores(0.0 if decision.from_data else null_threshold)
        if decision.from_data:
            null_threshold = 0.0
            if scores.best_f1_threshold not in (None, 0.0):
                if keeper.threshold_holds():
                    untuned, null_threshold = scores, scores.best_f1_threshold
                    scores = keeper.scores(null_threshold)
                else:
                    refused = scores.best_f1_threshold
        calibration = record.calibrate(null_threshold, temperature)
        if temperature is None and calibration is not None:
            temperature = calibration.temperature
    n_labelled = question_features.n_labelled
    return QuestionEvaluation(
        means=sums.means(n_labelled),
        scores=scores,
        null_threshold=null_threshold,
        temperature=1.0 if temperature is None else temperature,
        n_features=n_labelled,
        untuned=untuned,
        calibration=calibration,
        refused_threshold=refused,
        losses=sums.shares(n_labelled),
    )
