"""How sure an answer is: its confidence among the candidates, the temperature that makes it honest, and the error left.

A candidate's confidence is the softmax of its score over the best candidates of the question and "no answer", at a
temperature: exp(score / T) over the sum of exp(score_i / T). The temperature is the one number that is fitted, on
validation data (Guo et al. 2017, "On Calibration of Modern Neural Networks"). It changes no order, so no answer. It is
kept only if each half of the questions is more honest at what the other half gave (`distiltune.tasks.held_out`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distiltune.tasks.held_out import first_half, is_calibrated_better
from distiltune.tasks.statistics import best_temperature, calibration_in_bins

POOL_SIZE = 20
"""Candidates that a confidence is taken over; fixed, so that it does not change with how many are shown."""

MIN_QUESTIONS = 30
"""Fewer validation questions than this say too little to fit a temperature to."""


Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a temperature does for a set of answered questions.

    Attributes:
        temperature: what scores are divided by.
        error_before: expected calibration error at temperature 1, from 0 to 1.
        error_after: the same at ``temperature``.
        n: questions that this was measured on.
        fitted: the temperature of all questions; ``temperature`` is 1 where it was not kept. None: none was fitted.
        error_held_out: the error of each half at what was fitted on the other; None likewise.

    """

    temperature: float
    error_before: float
    error_after: float
    n: int
    fitted: float | None = None
    error_held_out: float | None = None

    @property
    def is_kept(self) -> bool:
        """Whether a temperature was fitted and is better on questions that it was not fitted on."""
        return self.fitted is not None and self.temperature == self.fitted


def pool(scores: Sequence[float]) -> Scores:
    """``(POOL_SIZE + 1,)``: the 0 of "no answer", then the best candidates' scores, filled up with -inf.

    Args:
        scores: logarithms of the candidates' odds against "no answer", best first.

    """
    row = np.full(POOL_SIZE + 1, -np.inf)
    row[0] = 0.0
    best = scores[:POOL_SIZE]
    row[1 : 1 + len(best)] = best
    return row


def confidences(pools: Scores, temperature: float | Scores) -> Scores:
    """The softmax of each row at a temperature: ``(..., POOL_SIZE + 1)`` → the same shape; column 0 is "no answer".

    The temperature is one for all, or ``(n, 1)``: each row's own.
    """
    scaled = pools / temperature
    scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    shares: Scores = scaled / scaled.sum(axis=-1, keepdims=True)
    return shares


def confidence_among(scores: Sequence[float], temperature: float) -> Callable[[float], float]:
    """From a score to its confidence among the candidates of a question; that of "no answer" has the score 0.

    A candidate too far down for the pool gets what its score would have had there.

    Args:
        scores: the question's candidates', best first.
        temperature: above 0.

    """
    total = float(np.logaddexp.reduce(pool(scores) / temperature))
    return lambda score: math.exp(score / temperature - total)


def fit_temperature(pools: Scores, chosen: npt.NDArray[np.int64], right: npt.NDArray[np.bool_]) -> float:
    """The temperature at which the confidence of the answer given says best whether it is right (least log loss).

    Golden-section search over the logarithm of the temperature; 1.0 where all or none of the answers are right or
    there are fewer than `MIN_QUESTIONS`, since nothing can be learned from these.

    Args:
        pools: ``(n, POOL_SIZE + 1)`` as `pool` makes them.
        chosen: ``(n,)`` column of the answer given; 0 is "no answer".
        right: ``(n,)`` whether it was right.

    """
    if len(right) < MIN_QUESTIONS or bool(right.all()) or not bool(right.any()):
        return 1.0

    def loss(temperature: float) -> float:
        given = confidences(pools, temperature)[np.arange(len(chosen)), chosen]
        given = np.clip(given, 1e-12, 1.0 - 1e-12)
        return float(-np.where(right, np.log(given), np.log1p(-given)).mean())

    return best_temperature(loss)


def calibrate(
    pools: Scores, chosen: npt.NDArray[np.int64], right: npt.NDArray[np.bool_], temperature: float | None = None
) -> Calibration:
    """Fit a temperature, unless one is given, keep it if it holds on held-out questions, and measure the error."""
    rows = np.arange(len(chosen))

    def given(at: float | Scores) -> Scores:
        """``(n,)`` confidences of the answers given, at one temperature or at each question's own."""
        return confidences(pools, at if isinstance(at, float) else at[:, None])[rows, chosen]

    before = given(1.0)
    fitted = error_held_out = None
    if temperature is None:
        temperature = fit_temperature(pools, chosen, right)
        if temperature != 1.0:
            fitted = temperature
            held_out = given(_of_the_other_half(pools, chosen, right))
            error_held_out = _error(held_out, right)
            if not is_calibrated_better(before, held_out, right):
                temperature = 1.0
    return Calibration(
        temperature=temperature,
        error_before=_error(before, right),
        error_after=_error(given(temperature), right),
        n=len(right),
        fitted=fitted,
        error_held_out=error_held_out,
    )


def _of_the_other_half(pools: Scores, chosen: npt.NDArray[np.int64], right: npt.NDArray[np.bool_]) -> Scores:
    """``(n,)`` for each question the temperature that the half without it gives."""
    inside, temperatures = first_half(len(right)), np.ones(len(right))
    for fitted_on in (inside, ~inside):
        temperatures[~fitted_on] = fit_temperature(pools[fitted_on], chosen[fitted_on], right[fitted_on])
    return temperatures


def _error(given: Scores, right: npt.NDArray[np.bool_]) -> float:
    return calibration_in_bins(zip(given.tolist(), right.tolist(), strict=True))[1]


class AnswerRecord:
    """Keeps, question by question, what `calibrate` needs: a few numbers and no text."""

    def __init__(self) -> None:
        self._pools: list[Scores] = []
        self._best_is_right: list[bool] = []
        self._none_is_right: list[bool] = []

    def add(self, scores: Sequence[float], *, best_is_right: bool, none_is_right: bool) -> None:
        """Add one question: its candidates' scores, best first, and whether the best, or no answer, is right."""
        self._pools.append(pool(scores))
        self._best_is_right.append(best_is_right)
        self._none_is_right.append(none_is_right)

    def calibrate(self, null_threshold: float | None, temperature: float | None = None) -> Calibration | None:
        """As the function `calibrate`; None with fewer than `MIN_QUESTIONS`.

        Args:
            null_threshold: null score difference above which "no answer" is given; None: always an answer.
            temperature: the one to measure; by default one is fitted.

        """
        if len(self._pools) < MIN_QUESTIONS:
            return None
        pools = np.stack(self._pools)
        threshold = np.inf if null_threshold is None else null_threshold
        says_none = np.isneginf(pools[:, 1]) | (pools[:, 0] - pools[:, 1] > threshold)
        right = np.where(says_none, self._none_is_right, self._best_is_right)
        return calibrate(pools, np.where(says_none, 0, 1), right, temperature)
