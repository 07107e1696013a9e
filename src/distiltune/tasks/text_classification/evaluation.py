"""Predictions of a model on texts, what they are worth, and the files that hold them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from distiltune.coach.pairs import Losses
from distiltune.inference.predictor import outputs
from distiltune.system.durable import write_whole, writing_text
from distiltune.tasks.analysis import CalibrationBin
from distiltune.tasks.prediction_rows import every_row
from distiltune.tasks.statistics import calibration_in_bins
from distiltune.tasks.text_classification.features import TextData
from distiltune.tasks.text_classification.head import TextLoss, probabilities
from distiltune.tasks.text_classification.metrics import (
    ClassScores,
    confusion,
    label_metrics,
    label_set_metrics,
    number_metrics,
)
from distiltune.tasks.text_classification.names import PREDICTION_FILES
from distiltune.tasks.text_classification.targets import Targets, names_of

FEATURES_AT_ONCE = 4_096
THRESHOLD = 0.5
"""Probability from which one of several labels is given."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says of texts.

    Attributes:
        values: ``(n_examples, n_labels)`` probabilities, or the number; the mean over a text's windows.
        loss: mean over the texts that have labels, those of a text's windows averaged; NaN without any.
        losses: what each text adds to it.

    """

    values: npt.NDArray[np.float64]
    loss: float
    losses: Losses | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TextEvaluation:
    """What a model is worth on a set of texts.

    Attributes:
        metrics: by the names that the log, the table and the recipe's ``monitor`` use; shares from 0 to 1.
        classes: each label's scores, in the order of the ids; none for numbers.
        table: how often each gold label was given each label; None but for one label a text.
        bins: predictions by confidence; none but for one label a text.
        compared: what is right of the texts that have labels, and what the model says: labels by name, arrays of 0 and
            1 ``(n, n_labels)``, or numbers ``(n,)``.
        losses: what each text adds to the mean loss; None where no text has labels.

    """

    metrics: dict[str, float]
    classes: tuple[ClassScores, ...] = ()
    table: npt.NDArray[np.int64] | None = None
    bins: tuple[CalibrationBin, ...] = ()
    compared: tuple[Any, Any] = ((), ())
    losses: Losses | None = field(default=None, compare=False, repr=False)


def score_texts(
    model: nn.Module,
    data: TextData,
    targets: Targets,
    batch_tokens: int,
    on_progress: Callable[[int], None] = lambda n_done: None,
) -> Scores:
    """Run the texts, dropout off; the loss is without weights of labels and smoothing.

    Args:
        model: an encoder with a sequence head.
        data: the texts and their features.
        targets: what the model predicts.
        batch_tokens: most tokens in a batch.
        on_progress: told how many examples are done.

    """
    features = data.features
    loss, as_shown = TextLoss(targets.problem, spread=targets.spread), probabilities(targets.problem)
    example_of = features.example_of
    share = 1.0 / np.bincount(example_of, minlength=data.n_examples)[example_of]
    has_gold = np.array([example.gold is not None for example in data.examples], dtype=bool)[example_of]
    values = np.zeros((data.n_examples, len(targets.labels)))
    total, by_example = torch.zeros((), dtype=torch.float64), np.zeros(data.n_examples)
    n_done = 0
    for first in range(0, len(features), FEATURES_AT_ONCE):
        chunk = np.arange(first, min(first + FEATURES_AT_ONCE, len(features)))
        for batch, output in outputs(model, features, chunk, batch_tokens):
            scores = output.float()
            ids = batch.feature_ids
            np.add.at(values, example_of[ids], share[ids, None] * as_shown(scores).cpu().double().numpy())
            known = torch.from_numpy(has_gold[ids])
            if bool(known.any()):
                labels = batch.labels.cpu()[known]
                losses = loss.losses(scores.cpu()[known], labels).double()
                weighed = losses * torch.from_numpy(share[ids])[known]
                total += weighed.sum()
                np.add.at(by_example, example_of[ids][known.numpy()], weighed.numpy())
            n_done += len(ids)
            on_progress(round(n_done / len(features) * data.n_examples))
    n_known = sum(example.gold is not None for example in data.examples)
    if not n_known:
        return Scores(values, float("nan"))
    return Scores(values, float(total) / n_known, (by_example / n_known).astype(np.float32))


def evaluate_texts(data: TextData, targets: Targets, scores: Scores) -> TextEvaluation:
    """What the scores are worth against the gold labels; nothing where there are none."""
    known = [i for i, example in enumerate(data.examples) if example.gold is not None]
    if not known:
        return TextEvaluation({})
    values, examples = scores.values[known], [data.examples[i] for i in known]
    own = {"loss": scores.loss, "n": float(len(known))}
    if targets.is_regression:
        gold = np.array([float(names_of(example)[0]) for example in examples])
        numbers = values[:, 0]
        return TextEvaluation({**own, **number_metrics(gold, numbers)}, compared=(gold, numbers), losses=scores.losses)
    if targets.problem == "multi-label":
        wanted = np.zeros(values.shape, dtype=bool)
        for i, example in enumerate(examples):
            wanted[i, list(targets.ids(example))] = True
        chosen = values > THRESHOLD
        metrics, classes = label_set_metrics(wanted, chosen)
        compared = wanted.astype(int), chosen.astype(int)
        return TextEvaluation({**own, **metrics}, tuple(classes), compared=compared, losses=scores.losses)
    ids = np.array([targets.ids(example)[0] for example in examples])
    given = values.argmax(axis=1)
    metrics, classes = label_metrics(ids, given, len(targets.labels))
    bins, error = calibration_in_bins(zip(values.max(axis=1).tolist(), (ids == given).tolist(), strict=True))
    return TextEvaluation(
        {**own, **metrics, "calibration_error": error},
        tuple(classes),
        confusion(ids, given, len(targets.labels)),
        bins,
        ([targets.labels[i] for i in ids.tolist()], [targets.labels[i] for i in given.tolist()]),
        scores.losses,
    )


def predictions(data: TextData, targets: Targets, scores: Scores) -> Iterator[dict[str, Any]]:
    """One object a row, as `every_row` says: what was predicted, the probabilities by label, the gold if there is."""
    lines: list[tuple[str, dict[str, Any]]] = []
    for example, values in zip(data.examples, scores.values.tolist(), strict=True):
        line: dict[str, Any] = {"id": example.id, **prediction(targets, values)}
        if example.gold is not None:
            line["gold"] = _gold(targets, names_of(example))
        lines.append((example.where, line))
    yield from every_row(lines, data.findings, {"label": None})


def _gold(targets: Targets, names: tuple[str, ...]) -> float | str | list[str]:
    if targets.problem == "multi-label":
        return list(names)
    return float(names[0]) if targets.is_regression else names[0]


def prediction(targets: Targets, values: list[float]) -> dict[str, Any]:
    """What one text's scores say, as plain values."""
    if targets.is_regression:
        return {"number": round(values[0], 6)}
    by_label = {name: round(value, 6) for name, value in zip(targets.labels, values, strict=True)}
    if targets.problem == "multi-label":
        return {"labels": [name for name, value in by_label.items() if value > THRESHOLD], "scores": by_label}
    best = int(np.argmax(values))
    return {"label": targets.labels[best], "score": round(values[best], 6), "scores": by_label}


def write_predictions(
    directory: Path, data: TextData, targets: Targets, scores: Scores, evaluation: TextEvaluation
) -> None:
    """Write `PREDICTION_FILES` as far as there is something to write."""
    with writing_text(directory / PREDICTION_FILES[0]) as file:
        for line in predictions(data, targets, scores):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    if evaluation.classes:
        by_label = {name: asdict(each) for name, each in zip(targets.labels, evaluation.classes, strict=True)}
        found = {"classes": by_label, "calibration": [asdict(each) for each in evaluation.bins]}
        write_whole(directory / PREDICTION_FILES[1], json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if evaluation.table is not None:
        from distiltune.tasks.text_classification.picture import draw_confusion

        draw_confusion(evaluation.table, targets.labels, *(directory / name for name in PREDICTION_FILES[2:]))
