"""Where a model is right and where it is wrong: scores by kind of question, calibration, the hardest wrong answers."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from distiltune.data.feature_set import FeatureSet
from distiltune.tasks.analysis import (
    Analysis,
    Breakdown,
    BreakdownRow,
    CalibrationBin,
    Interval,
    ScoredAnswer,
    Stretch,
    WrongAnswer,
)
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.metrics import score_answer
from distiltune.tasks.question_answering.question_class import QUESTION_CLASSES, question_class

NO_ANSWER = "no answer"
N_BINS = 10
N_WRONG = 8
_Z95 = 1.959964
_CONTEXT_CHARACTERS = 160  # shown on either side of a marked answer
_LONG_SPAN = 400

_ANSWER_WORDS = ((1, "1 word"), (2, "2 words"), (4, "3 to 4 words"), (8, "5 to 8 words"), (10**9, "9 words or more"))
_PASSAGE_WORDS = (
    (80, "up to 80 words"),
    (120, "81 to 120 words"),
    (160, "121 to 160 words"),
    (240, "161 to 240 words"),
    (10**9, "over 240 words"),
)
_FIFTHS = ("first fifth", "second fifth", "third fifth", "fourth fifth", "last fifth")


@dataclass(frozen=True, slots=True)
class _Given:
    """What was said to one question."""

    example: Example
    text: str
    start: int  # -1 for none
    end: int
    confidence: float
    exact: float
    f1: float


def analyse(examples: Sequence[Example], nbest: Path) -> tuple[Analysis, tuple[ScoredAnswer, ...]]:
    """Analyse the answers in the file ``nbest.jsonl`` that an evaluation of ``examples`` wrote."""
    by_id = {example.id: example for example in examples}
    with nbest.open(encoding="utf-8") as file:
        given = [_given(by_id[line["id"]], line) for line in map(json.loads, file) if line["id"] in by_id]
    if not given:
        return Analysis(), ()
    bins = _calibration(given)
    n_answers = sum(each.n for each in bins)
    analysis = Analysis(
        breakdowns=tuple(_breakdowns(given)),
        calibration=bins,
        calibration_error=sum(each.n * abs(each.confidence - each.right.value) for each in bins) / max(1, n_answers),
        wrong=tuple(_wrong_answer(each) for each in _hardest(given)),
        facts=_facts(given),
    )
    return analysis, tuple(map(_scored, given))


def chance_losses(features: FeatureSet) -> tuple[float, float]:
    """Mean loss of an even guess over a window's tokens; and of one that knows the share of windows without answer.

    The second gives ``[CLS]`` that share of the probability and spreads the rest: what a model reaches that has learned
    how many windows hold no answer, and nothing about reading.
    """
    lengths = features.lengths.astype(np.float64)
    uniform = float(np.log(lengths).mean())
    empty = features.labels[:, 0] == 0
    share = float(empty.mean())
    if share in (0.0, 1.0):
        return uniform, 0.0 if share == 1.0 else uniform
    losses = np.where(empty, -math.log(share), np.log(lengths) - math.log(1 - share))
    return uniform, float(losses.mean())


def _given(example: Example, line: dict[str, object]) -> _Given:
    candidates = line["candidates"]
    assert isinstance(candidates, list)
    text = str(line["answer"])
    score = score_answer(text, [answer.text for answer in example.answers])
    best = candidates[0] if candidates and text else None
    confidence = float(best["probability"]) if best else 1.0 - float(candidates[0]["probability"] if candidates else 0)
    start, end = (int(best["start"]), int(best["end"])) if best else (-1, -1)
    return _Given(example, text, start, end, min(1.0, max(0.0, confidence)), score.exact, score.f1)


def _scored(each: _Given) -> ScoredAnswer:
    wanted = tuple(dict.fromkeys(answer.text for answer in each.example.answers))
    return ScoredAnswer(
        each.example.id,
        each.example.question,
        each.text,
        wanted,
        each.exact,
        round(each.f1, 6),
        round(each.confidence, 6),
    )


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean and its interval by the normal approximation, in percent, within 0 and 100.

    Where all values are 0 or all are 1 that has no width; then it is Wilson's, as of a share.
    """
    if len(values) > 1 and values[0] in (0.0, 1.0) and all(value == values[0] for value in values):
        share = share_interval(sum(values), len(values))
        return Interval(100 * share.value, 100 * share.low, 100 * share.high)
    array = 100 * np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    margin = _Z95 * float(array.std(ddof=1)) / math.sqrt(len(array)) if len(array) > 1 else 100.0
    return Interval(mean, max(0.0, mean - margin), min(100.0, mean + margin))


def share_interval(n_right: float, n: int) -> Interval:
    """A share, 0 to 1, with Wilson's interval (1927), which stays sensible for few answers and near 0 and 1."""
    share = n_right / n
    centre = (share + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    margin = _Z95 * math.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n**2)) / (1 + _Z95**2 / n)
    return Interval(share, max(0.0, min(share, centre - margin)), min(1.0, max(share, centre + margin)))


def _breakdowns(given: Sequence[_Given]) -> Iterable[Breakdown]:
    yield _breakdown("By question", given, lambda each: question_class(each.example.question), QUESTION_CLASSES)
    yield _breakdown(
        "By length of the answer",
        given,
        _answer_length,
        (*(name for _, name in _ANSWER_WORDS), NO_ANSWER),
    )
    yield _breakdown(
        "By length of the passage",
        given,
        lambda each: _step(_PASSAGE_WORDS, len(each.example.context.split())),
        tuple(name for _, name in _PASSAGE_WORDS),
    )
    answered = [each for each in given if each.example.answers]
    if answered:
        yield _breakdown(
            "By place of the answer in the passage",
            answered,
            lambda each: _FIFTHS[min(4, 5 * each.example.answers[0].start // max(1, len(each.example.context)))],
            _FIFTHS,
        )


def _answer_length(each: _Given) -> str:
    answers = each.example.answers
    return _step(_ANSWER_WORDS, len(answers[0].text.split())) if answers else NO_ANSWER


def _step(steps: Sequence[tuple[int, str]], value: int) -> str:
    return next(name for limit, name in steps if value <= limit)


def _breakdown(title: str, given: Sequence[_Given], label: Callable[[_Given], str], order: Sequence[str]) -> Breakdown:
    groups: dict[str, list[_Given]] = {}
    for each in given:
        groups.setdefault(label(each), []).append(each)
    rows = []
    for name in order:
        if group := groups.get(name):
            right = share_interval(sum(each.exact for each in group), len(group))
            exact = Interval(100 * right.value, 100 * right.low, 100 * right.high)
            f1 = mean_interval([each.f1 for each in group])
            rows.append(BreakdownRow(name, len(group), {"Exact match": exact, "F1": f1}))
    return Breakdown(title, tuple(rows))


def _calibration(given: Sequence[_Given]) -> tuple[CalibrationBin, ...]:
    """Answers (those that are not "none") in bins of equal width."""
    bins: list[list[_Given]] = [[] for _ in range(N_BINS)]
    for each in given:
        if each.text:
            bins[min(N_BINS - 1, int(each.confidence * N_BINS))].append(each)
    return tuple(
        CalibrationBin(
            len(group),
            sum(each.confidence for each in group) / len(group),
            share_interval(sum(each.exact for each in group), len(group)),
        )
        for group in bins
        if group
    )


def _hardest(given: Sequence[_Given]) -> list[_Given]:
    """Wrong answers that share no word with a gold answer, the surest first, no passage twice."""
    wrong = sorted((each for each in given if each.f1 == 0.0), key=lambda each: -each.confidence)
    seen: set[str] = set()
    chosen = []
    for each in wrong:
        if each.example.context not in seen:
            seen.add(each.example.context)
            chosen.append(each)
    return chosen[:N_WRONG]


def _wrong_answer(each: _Given) -> WrongAnswer:
    gold = each.example.answers[0] if each.example.answers else None
    spans = [(gold.start, gold.end, "gold")] if gold is not None else []
    if each.start >= 0:
        spans.append((each.start, each.end, "given"))
    return WrongAnswer(
        title=each.example.question,
        given=each.text or NO_ANSWER,
        wanted=gold.text if gold is not None else NO_ANSWER,
        confidence=each.confidence,
        passage=tuple(marked_stretches(each.example.context, spans)),
    )


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


def _facts(given: Sequence[_Given]) -> dict[str, float]:
    f1 = mean_interval([each.f1 for each in given])
    answered = [each for each in given if each.text]
    starts = Counter(each.start for each in answered)
    n = len(given)
    return {
        "n": float(n),
        "score": f1.value,
        "score_margin": (f1.high - f1.low) / 2,
        "null_share": 1 - len(answered) / n,
        "null_share_wanted": sum(not each.example.answers for each in given) / n,
        "confidence": sum(each.confidence for each in answered) / max(1, len(answered)),
        "one_place_share": starts.most_common(1)[0][1] / len(answered) if answered else 0.0,
    }
