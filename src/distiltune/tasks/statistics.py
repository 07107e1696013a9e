"""What the tasks' analyses of their answers share: intervals, scores by kind, calibration, marked passages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np

from distiltune.tasks.analysis import Breakdown, BreakdownRow, CalibrationBin, Counts, Interval, Stretch

G = TypeVar("G")

N_BINS = 15
"""Of confidence, all equally wide; as in Guo et al. 2017, so that errors can be compared with those of others."""
_Z95 = 1.959964
_CONTEXT_CHARACTERS = 160  # shown on either side of a marked answer
_LONG_SPAN = 400
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.1, 10.0
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_N_CUTS = 40  # leaves a bracket of 5e-9 of the first one


def where_least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls and then rises is least between two numbers: golden-section search."""
    for _ in range(_N_CUTS):
        step = _GOLDEN * (high - low)
        if function(high - step) <= function(low + step):
            high = low + step
        else:
            low = high - step
    return (low + high) / 2.0


def best_temperature(loss: Callable[[float], float]) -> float:
    """The temperature, from 0.1 to 10, at which a loss is least that falls and then rises with its logarithm."""
    low, high = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)
    return math.exp(where_least(lambda logarithm: loss(math.exp(logarithm)), low, high))


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of values from 0 to 1 and its interval by the normal approximation, in percent, within 0 and 100.

    No narrower than that of as many answers that are all wrong (see `_around`).
    """
    array = np.asarray(values, dtype=np.float64)
    mean, n = float(array.mean()), len(array)
    if n == 1:  # which says nothing of others
        return Interval(100 * mean, 0.0, 100.0)
    return _around(mean, _Z95 * float(array.std(ddof=1)) / math.sqrt(n), n).in_percent()


def _around(mean: float, margin: float, n: float) -> Interval:
    """A mean and its interval within 0 and 1, at least as wide as Wilson's is for ``n`` answers that are all wrong.

    A few answers may be nearly alike by chance, and the normal approximation takes that for certainty: of 15 answers,
    one of them a third right and all others wrong, it would know the mean to within 2.5 points.
    """
    narrowest = share_interval(0.0, n).high
    margin = max(margin, narrowest / 2)
    low, high = mean - margin, mean + margin
    if low < 0.0:
        low, high = 0.0, max(high, narrowest)
    if high > 1.0:
        low, high = min(low, 1.0 - narrowest), 1.0
    return Interval(mean, max(0.0, low), high)


def share_interval(n_right: float, n: float) -> Interval:
    """A share, 0 to 1, with Wilson's interval (1927), which stays sensible for few answers and near 0 and 1."""
    share = n_right / n
    centre = (share + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    margin = _Z95 * math.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n**2)) / (1 + _Z95**2 / n)
    return Interval(share, max(0.0, min(share, centre - margin)), min(1.0, max(share, centre + margin)))


def f1_interval(counts: Sequence[Counts]) -> Interval:
    """The F1 over all examples together (micro-F1) and its interval, in percent, within 0 and 100.

    The normal approximation of a ratio of sums (Cochran 1977, "Sampling Techniques", section 2.11), the examples being
    what was drawn; no narrower than Wilson's for as many labels that are all wrong.

    Args:
        counts: of the examples, in which at least one label or entity is wanted or given.

    """
    right = np.array([each.n_right for each in counts], dtype=np.float64)
    either = np.array([each.n_given + each.n_wanted for each in counts], dtype=np.float64)
    n, n_right, n_either = len(counts), float(right.sum()), float(either.sum())
    f1 = 2 * n_right / n_either
    if n == 1:  # which says nothing of others
        return Interval(100 * f1, 0.0, 100.0)
    spread = float(((2 * right - f1 * either) ** 2).sum()) * n / (n - 1)
    return _around(f1, _Z95 * math.sqrt(spread) / n_either, n_either / 2).in_percent()


def breakdown(
    title: str,
    given: Sequence[G],
    label: Callable[[G], str],
    order: Sequence[str],
    scores: Callable[[Sequence[G]], Mapping[str, Interval]],
) -> Breakdown:
    """The scores of each group of answers that have one label, in this order; labels of no answer are left out."""
    groups: dict[str, list[G]] = {}
    for each in given:
        groups.setdefault(label(each), []).append(each)
    rows = [BreakdownRow(name, len(groups[name]), scores(groups[name])) for name in order if name in groups]
    return Breakdown(title, tuple(rows))


def step(steps: Sequence[tuple[int, str]], value: int) -> str:
    """The name of the first step that is not below the value."""
    return next(name for limit, name in steps if value <= limit)


def calibration_in_bins(answers: Iterable[tuple[float, float]]) -> tuple[tuple[CalibrationBin, ...], float]:
    """Answers in bins by confidence, and their expected calibration error (Guo et al. 2017), 0 to 1.

    Args:
        answers: of each its confidence, 0 to 1, and 1 if it is right, else 0.

    """
    groups: list[list[tuple[float, float]]] = [[] for _ in range(N_BINS)]
    for confidence, right in answers:
        groups[min(N_BINS - 1, int(confidence * N_BINS))].append((confidence, right))
    bins = tuple(
        CalibrationBin(
            len(group),
            sum(confidence for confidence, _ in group) / len(group),
            share_interval(sum(right for _, right in group), len(group)),
        )
        for group in groups
        if group
    )
    n = sum(each.n for each in bins)
    return bins, sum(each.n * abs(each.confidence - each.right.value) for each in bins) / max(1, n)


def spread_out(values: Sequence[G], n: int) -> list[G]:
    """At most ``n`` of the values, the first, the last and what lies evenly between."""
    if len(values) <= n:
        return list(values)
    return [values[round(i * (len(values) - 1) / (n - 1))] for i in range(n)]


def marked_stretches(context: str, spans: Sequence[tuple[int, int, str]]) -> list[Stretch]:
    """The passage around the spans, cut where they begin and end; "…" where something is left out."""
    if not spans:
        text = context[: 2 * _CONTEXT_CHARACTERS]
        return [Stretch(text + (" …" if len(context) > len(text) else ""))]
    windows: list[list[int]] = []
    for start, end, _ in sorted(spans):
        end = min(end, start + _LONG_SPAN)
        low = _word_before(context, start, start - _CONTEXT_CHARACTERS)
        high = _word_after(context, end, end + _CONTEXT_CHARACTERS)
        if windows and low <= windows[-1][1]:
            windows[-1][1] = max(windows[-1][1], high)
        else:
            windows.append([low, high])
    stretches: list[Stretch] = []
    for low, high in windows:
        if low > 0:
            stretches.append(Stretch("… " if not stretches else " … "))
        cuts = sorted({low, high, *(place for start, end, _ in spans for place in (start, end) if low < place < high)})
        for first, last in pairwise(cuts):
            marks = frozenset(mark for start, end, mark in spans if start <= first and last <= end)
            stretches.append(Stretch(context[first:last], marks))
    if windows[-1][1] < len(context):
        stretches.append(Stretch(" …"))
    return stretches


def _word_before(context: str, start: int, low: int) -> int:
    """The first place from ``low`` on at which a word begins, if there is one before ``start``."""
    if low <= 0:
        return 0
    blank = context.find(" ", low - 1, start)
    return blank + 1 if blank >= 0 else low


def _word_after(context: str, end: int, high: int) -> int:
    """The last place up to ``high`` at which a word ends, if there is one behind ``end``."""
    if high >= len(context):
        return len(context)
    blank = context.rfind(" ", end, high + 1)
    return blank if blank >= 0 else high
