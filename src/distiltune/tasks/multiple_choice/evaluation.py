"""What a model chooses, what that is worth, and the file that holds it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from distiltune.coach.pairs import Losses
from distiltune.data.packing import cumulative_lengths
from distiltune.inference.predictor import outputs
from distiltune.system.durable import writing_text
from distiltune.tasks.multiple_choice.features import ChoiceData
from distiltune.tasks.multiple_choice.names import PREDICTION_FILES
from distiltune.tasks.prediction_rows import every_row
from distiltune.tasks.statistics import calibration_in_bins

Shares = list[npt.NDArray[np.float64]]
"""For each question the probabilities of its choices, ``(n_choices,)``, which sum to 1."""


@dataclass(frozen=True, slots=True)
class ChoiceEvaluation:
    """What a model is worth on a set of questions.

    Attributes:
        metrics: by the names that the log, the table and the recipe's ``monitor`` use; shares from 0 to 1.
        losses: what each question adds to the mean loss; None where nothing is known to be right.

    """

    metrics: dict[str, float]
    losses: Losses | None = field(default=None, compare=False, repr=False)


def shares_of(
    model: nn.Module, data: ChoiceData, batch_tokens: int, on_progress: Callable[[int], None] = lambda n_done: None
) -> Shares:
    """Run the questions, dropout off.

    Args:
        model: an encoder with a head of one score.
        data: the questions and their features.
        batch_tokens: most tokens in a batch; the choices of a question are never parted.
        on_progress: told how many questions are done.

    """
    scores, n_done = np.zeros(len(data.features)), 0
    for batch, output in outputs(model, data.features, np.arange(len(data.features)), batch_tokens):
        scores[batch.feature_ids] = output[:, 0].cpu().double().numpy()
        n_done += len(batch.feature_ids)
        on_progress(round(n_done / len(data.features) * data.n_examples))
    return shares_of_scores(data, scores)


def shares_of_scores(data: ChoiceData, scores: npt.NDArray[np.float64]) -> Shares:
    """From the scores ``(n_features,)`` the probabilities of each question's choices."""
    bounds = cumulative_lengths([len(each.choices) for each in data.examples])
    found = []
    for part in np.split(scores, bounds[1:-1]):
        powers = np.exp(part - part.max())
        found.append(powers / powers.sum())
    return found


def evaluate_choices(data: ChoiceData, shares: Shares) -> ChoiceEvaluation:
    """What the choices are worth against the right ones; nothing where none is known."""
    known = [(each.gold, share) for each, share in zip(data.examples, shares, strict=True) if each.gold is not None]
    if not known:
        return ChoiceEvaluation({})
    right = [int(share.argmax()) == gold for gold, share in known]
    losses = np.array([-np.log(max(share[gold], np.finfo(np.float64).tiny)) for gold, share in known])
    _, error = calibration_in_bins(
        (float(share.max()), float(is_right)) for (_, share), is_right in zip(known, right, strict=True)
    )
    by_example = np.zeros(len(data.examples))
    by_example[[i for i, each in enumerate(data.examples) if each.gold is not None]] = losses / len(known)
    metrics = {
        "loss": float(losses.mean()),
        "n": float(len(known)),
        "accuracy": float(np.mean(right)),
        "calibration_error": error,
    }
    return ChoiceEvaluation(metrics, by_example.astype(np.float32))


def write_predictions(directory: Path, data: ChoiceData, shares: Shares) -> None:
    """Write `PREDICTION_FILES`."""
    with writing_text(directory / PREDICTION_FILES[0]) as file:
        for line in _lines(data, shares):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _lines(data: ChoiceData, shares: Shares) -> Iterator[dict[str, Any]]:
    """One object a row, as `every_row` says: the choice, its text, every choice's probability, the gold if known."""
    lines: list[tuple[str, dict[str, Any]]] = []
    for example, share in zip(data.examples, shares, strict=True):
        best = int(share.argmax())
        line: dict[str, Any] = {
            "id": example.id,
            "choice": best,
            "text": example.choices[best],
            "score": round(float(share[best]), 6),
            "scores": [round(float(each), 6) for each in share],
        }
        if example.gold is not None:
            line["gold"] = example.gold
        lines.append((example.where, line))
    yield from every_row(lines, data.findings, {"choice": None})
