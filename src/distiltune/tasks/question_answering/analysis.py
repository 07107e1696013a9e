"""Where a model is right and where it is wrong: scores by kind of question, calibration, the hardest wrong answers."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distiltune.coach.scores import BlindScore
from distiltune.data.feature_set import FeatureSet
from distiltune.tasks.analysis import Analysis, Breakdown, Interval, ScoredAnswer, ShownAnswer
from distiltune.tasks.question_answering.calibration import confidence_among
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.metrics import score_answer
from distiltune.tasks.question_answering.question_class import QUESTION_CLASSES, question_class
from distiltune.tasks.statistics import (
    breakdown,
    calibration_in_bins,
    marked_stretches,
    mean_interval,
    share_interval,
    spread_out,
    step,
)

NO_ANSWER = "no answer"
N_WRONG = 8
N_RIGHT = 5

_ANSWER_WORDS = ((1, "1 word"), (2, "2 words"), (4, "3 to 4 words"), (8, "5 to 8 words"), (10**9, "9 words or more"))
_PASSAGE_WORDS = (
    (80, "up to 80 words"),
    (120, "81 to 120 words"),
    (160, "121 to 160 words"),
    (240, "161 to 240 words"),
    (10**9, "over 240 words"),
)
_FIRST_WORDS = (2, 3, 5, 10, 30)
_ASKED = 500
_FIFTHS = ("first fifth", "second fifth", "third fifth", "fourth fifth", "last fifth")


@dataclass(frozen=True, slots=True)
class _Given:
    """What was said to one question."""

    example: Example
    text: str
    start: int  # -1 for none
    end: int
    confidence: float
    confidence_before: float  # at temperature 1
    exact: float
    f1: float


def analyse(examples: Sequence[Example], nbest: Path) -> tuple[Analysis, tuple[ScoredAnswer, ...]]:
    """Analyse the answers in the file ``nbest.jsonl`` that an evaluation of ``examples`` wrote."""
    by_id = {example.id: example for example in examples if example.has_gold}
    with nbest.open(encoding="utf-8") as file:
        given = [_given(by_id[line["id"]], line) for line in map(json.loads, file) if line["id"] in by_id]
    if not given:
        return Analysis(), ()
    bins, error = calibration_in_bins((each.confidence, each.exact) for each in given)
    analysis = Analysis(
        breakdowns=tuple(_breakdowns(given)),
        calibration=bins,
        calibration_error=error,
        wrong=tuple(map(_shown_answer, _hardest(given))),
        right=tuple(map(_shown_answer, _some_right(given))),
        facts=_facts(given),
    )
    return analysis, tuple(map(_scored, given))


def chance_losses(features: FeatureSet) -> tuple[float, float]:
    """Mean loss of an even guess over a window's tokens; and of one that knows the share of windows without answer.

    The second gives ``[CLS]`` that share of the probability and spreads the rest: what a model reaches that has learned
    how many windows hold no answer, and nothing about reading.
    """
    lengths, heavy = features.lengths.astype(np.float64), features.weights
    uniform = float(np.average(np.log(lengths), weights=heavy))
    empty = features.labels[:, 0] == 0
    share = float(np.average(empty, weights=heavy))
    if share in (0.0, 1.0):
        return uniform, 0.0 if share == 1.0 else uniform
    losses = np.where(empty, -math.log(share), np.log(lengths) - math.log(1 - share))
    return uniform, float(np.average(losses, weights=heavy))


def blind_scores(examples: Sequence[Example]) -> tuple[BlindScore, ...]:
    """The F1, in percent, of the best of a few answers that no question was read for.

    These are no answer, and the first words of the text, so many of them. Of many examples some hundreds are asked.
    """
    known = [example for example in examples if example.has_gold]
    asked = known[:: max(1, len(known) // _ASKED)]
    if not asked:
        return ()

    def f1(answer: Callable[[Example], str]) -> float:
        return 100 * sum(score_answer(answer(each), each.gold_texts).f1 for each in asked) / len(asked)

    def first(n_words: int) -> Callable[[Example], str]:
        return lambda example: " ".join(example.context.split()[:n_words])

    found = {f"answering with the first {n} words": f1(first(n)) for n in _FIRST_WORDS}
    found["never answering"] = f1(lambda example: "")
    who = max(found, key=lambda name: found[name])
    return (BlindScore("f1", found[who], len(known), whole=100.0, who=who),)


def _given(example: Example, line: dict[str, Any]) -> _Given:
    candidates = line["candidates"]
    text = str(line["answer"])
    score = score_answer(text, example.gold_texts)
    best = candidates[0] if candidates and text else None
    before = confidence_among([float(each["score"]) for each in candidates], 1.0)
    return _Given(
        example,
        text,
        start=int(best["start"]) if best else -1,
        end=int(best["end"]) if best else -1,
        confidence=float(best["confidence"] if best else line["no_answer_confidence"]),
        confidence_before=before(float(best["score"]) if best else 0.0),
        exact=score.exact,
        f1=score.f1,
    )


def _scored(each: _Given) -> ScoredAnswer:
    wanted = tuple(dict.fromkeys(each.example.gold_texts))
    return ScoredAnswer(
        each.example.id,
        each.example.question,
        each.text,
        wanted,
        each.exact,
        round(each.f1, 6),
        round(each.confidence, 6),
    )


def _breakdowns(given: Sequence[_Given]) -> Iterable[Breakdown]:
    yield _by("By question", given, lambda each: question_class(each.example.question), QUESTION_CLASSES)
    yield _by(
        "By length of the answer",
        given,
        _answer_length,
        (*(name for _, name in _ANSWER_WORDS), NO_ANSWER),
    )
    yield _by(
        "By length of the passage",
        given,
        lambda each: step(_PASSAGE_WORDS, len(each.example.context.split())),
        tuple(name for _, name in _PASSAGE_WORDS),
    )
    answered = [each for each in given if each.example.answers]
    if answered:
        yield _by(
            "By place of the answer in the passage",
            answered,
            lambda each: _FIFTHS[min(4, 5 * each.example.answers[0].start // max(1, len(each.example.context)))],
            _FIFTHS,
        )


def _answer_length(each: _Given) -> str:
    golds = each.example.gold_texts
    return step(_ANSWER_WORDS, len(golds[0].split())) if golds else NO_ANSWER


def _by(title: str, given: Sequence[_Given], label: Callable[[_Given], str], order: Sequence[str]) -> Breakdown:
    return breakdown(title, given, label, order, _scores)


def _scores(group: Sequence[_Given]) -> dict[str, Interval]:
    exact = share_interval(sum(each.exact for each in group), len(group))
    return {"Exact match": exact.in_percent(), "F1": mean_interval([each.f1 for each in group])}


def _hardest(given: Sequence[_Given]) -> list[_Given]:
    """Wrong answers that share no word with a gold answer, the surest first, no passage twice."""
    return _one_a_passage(each for each in given if each.f1 == 0.0)[:N_WRONG]


def _some_right(given: Sequence[_Given]) -> list[_Given]:
    """Answers that are exactly right, from the surest to the least sure, no passage twice."""
    return spread_out(_one_a_passage(each for each in given if each.exact and each.text), N_RIGHT)


def _one_a_passage(given: Iterable[_Given]) -> list[_Given]:
    """The surest of each passage, the surest first."""
    seen: set[str] = set()
    chosen = []
    for each in sorted(given, key=lambda each: -each.confidence):
        if each.example.context not in seen:
            seen.add(each.example.context)
            chosen.append(each)
    return chosen


def _shown_answer(each: _Given) -> ShownAnswer:
    gold = each.example.answers[0] if each.example.answers else None
    spans = [(gold.start, gold.end, "gold")] if gold is not None else []
    if each.start >= 0:
        spans.append((each.start, each.end, "given"))
    return ShownAnswer(
        title=each.example.question,
        given=each.text or NO_ANSWER,
        wanted=next(iter(each.example.gold_texts), NO_ANSWER),
        confidence=each.confidence,
        passage=tuple(marked_stretches(each.example.context, spans)),
    )


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
        "null_share_wanted": sum(each.example.is_unanswerable for each in given) / n,
        "confidence": sum(each.confidence for each in answered) / max(1, len(answered)),
        "confidence_before": sum(each.confidence_before for each in answered) / max(1, len(answered)),
        "one_place_share": starts.most_common(1)[0][1] / len(answered) if answered else 0.0,
    }
