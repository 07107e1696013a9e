"""Where a marker of entities is right and where wrong: by label, by length, by confidence; the hardest wrong ones."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distiltune.data.feature_set import FeatureSet
from distiltune.tasks.analysing import breakdown, calibrate, marked_stretches, mean_interval, share_interval, step
from distiltune.tasks.analysis import Analysis, Breakdown, BreakdownRow, Interval, ScoredAnswer, WrongAnswer
from distiltune.tasks.token_classification.features import NO_LABEL

N_WRONG = 8
NOTHING = "nothing"
_TITLE_CHARACTERS = 80
_WORDS = ((10, "up to 10 words"), (20, "11 to 20 words"), (40, "21 to 40 words"), (10**9, "over 40 words"))

Span = tuple[str, int, int]
"""Label, first character, one past the last."""


@dataclass(frozen=True, slots=True)
class _Given:
    """What was marked in one text, with how sure the model was of each, and what should have been."""

    id: str
    text: str
    found: dict[Span, float]
    gold: frozenset[Span]

    @property
    def exact(self) -> float:
        return float(self.found.keys() == self.gold)

    @property
    def f1(self) -> float:
        """Of this text alone; 1 where nothing is to be marked and nothing is."""
        n = len(self.found) + len(self.gold)
        return 2 * len(self.found.keys() & self.gold) / n if n else 1.0

    @property
    def confidence(self) -> float:
        """That all that is marked is right, as if these were independent."""
        return math.prod(self.found.values())


def analyse(predictions: Path) -> tuple[Analysis, tuple[ScoredAnswer, ...]]:
    """Analyse the file of predictions that an evaluation wrote."""
    with predictions.open(encoding="utf-8") as file:
        given = [_given(line) for line in map(json.loads, file) if "gold" in line]
    if not given:
        return Analysis(), ()
    marks = [(score, float(span in each.gold)) for each in given for span, score in each.found.items()]
    bins, error = calibrate(marks)
    f1 = mean_interval([each.f1 for each in given])
    facts = {
        "n": float(len(given)),
        "score": f1.value,
        "score_margin": (f1.high - f1.low) / 2,
        "confidence": sum(score for score, _ in marks) / max(1, len(marks)),
    }
    analysis = Analysis(
        breakdowns=(_by_label(given), _by_length(given)),
        calibration=bins,
        calibration_error=error,
        wrong=tuple(_wrong(given)),
        facts=facts,
    )
    return analysis, tuple(map(_scored, given))


def chance_losses(features: FeatureSet, n_tags: int) -> tuple[float, float]:
    """The loss of guessing evenly among the tags, and that of knowing how often each occurs."""
    tags = features.labels[features.labels != NO_LABEL]
    shares = np.bincount(tags, minlength=n_tags) / max(1, len(tags))
    return math.log(n_tags), float(-(shares * np.log(np.where(shares > 0, shares, 1.0))).sum())


def _given(line: dict[str, Any]) -> _Given:
    found = {_span(each): float(each["score"]) for each in line["entities"]}
    return _Given(line["id"], line["text"], found, frozenset(map(_span, line["gold"])))


def _span(entity: dict[str, Any]) -> Span:
    return entity["label"], entity["start"], entity["end"]


def _by_label(given: Sequence[_Given]) -> Breakdown:
    """Of each label, the share of its entities that were found, and of those given that are right."""
    labels = sorted({label for each in given for label, _, _ in (*each.gold, *each.found)})
    rows = []
    for name in labels:
        gold = [span in each.found for each in given for span in each.gold if span[0] == name]
        found = [span in each.gold for each in given for span in each.found if span[0] == name]
        shares = {"Found (recall)": gold, "Right (precision)": found}
        scores = {title: share_interval(sum(of), len(of)).in_percent() for title, of in shares.items() if of}
        rows.append(BreakdownRow(name, len(gold), scores))
    return Breakdown("By label", tuple(rows))


def _by_length(given: Sequence[_Given]) -> Breakdown:
    names = tuple(name for _, name in _WORDS)
    return breakdown("By length of the text", given, lambda each: step(_WORDS, len(each.text.split())), names, _scores)


def _scores(group: Sequence[_Given]) -> dict[str, Interval]:
    exact = share_interval(sum(each.exact for each in group), len(group))
    return {"All right": exact.in_percent(), "F1 of a text": mean_interval([each.f1 for each in group])}


def _wrong(given: Sequence[_Given]) -> Iterable[WrongAnswer]:
    """What was marked wrongly, the surest first, no text twice; then what was missed."""
    wrong = sorted(
        ((score, each, span) for each in given for span, score in each.found.items() if span not in each.gold),
        key=lambda of: -of[0],
    )
    seen: set[str] = set()
    for score, each, span in wrong:
        if each.id not in seen and len(seen) < N_WRONG:
            seen.add(each.id)
            yield _wrong_answer(each, span, score)


def _wrong_answer(each: _Given, span: Span, score: float) -> WrongAnswer:
    _, start, end = span
    touched = sorted(gold for gold in each.gold if gold[1] < end and start < gold[2])
    marks = [(start, end, "given"), *((first, last, "gold") for _, first, last in touched)]
    text = each.text
    return WrongAnswer(
        title=text if len(text) <= _TITLE_CHARACTERS else f"{text[:_TITLE_CHARACTERS]}…",
        given=_shown(text, [span]),
        wanted=_shown(text, touched),
        confidence=score,
        passage=tuple(marked_stretches(text, marks)),
    )


def _shown(text: str, spans: Iterable[Span]) -> str:
    return ", ".join(f"{text[start:end]} ({label})" for label, start, end in spans) or NOTHING


def _scored(each: _Given) -> ScoredAnswer:
    def in_order(spans: Iterable[Span]) -> str:
        return _shown(each.text, sorted(spans, key=lambda span: span[1:]))

    return ScoredAnswer(
        id=each.id,
        asked=each.text,
        given=in_order(each.found),
        wanted=(in_order(each.gold),),
        exact=each.exact,
        f1=round(each.f1, 6),
        confidence=round(each.confidence, 6),
    )
