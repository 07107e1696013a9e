"""Where a marker of entities is right and where wrong: by label, by length, by confidence; the hardest wrong ones."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distiltune.coach.scores import BlindScore
from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import NO_LABEL, required
from distiltune.tasks.analysis import (
    Analysis,
    Breakdown,
    BreakdownRow,
    Counts,
    Interval,
    LabelScores,
    ScoredAnswer,
    ShownAnswer,
)
from distiltune.tasks.statistics import (
    breakdown,
    calibration_in_bins,
    f1_interval,
    marked_stretches,
    share_interval,
    spread_out,
    step,
)
from distiltune.tasks.token_classification.examples import TokenExample

N_WRONG = 8
N_MISSED = 4
N_RIGHT = 5
NOTHING = "nothing"
_FEATURES_AT_ONCE = 1 << 16
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
    def counts(self) -> Counts:
        return Counts(len(self.found.keys() & self.gold), len(self.found), len(self.gold))

    @property
    def missed(self) -> list[Span]:
        """What should have been marked where nothing is, in order."""
        gold = self.gold - self.found.keys()
        return sorted((span for span in gold if not any(_touch(span, each) for each in self.found)), key=_place)

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
    bins, error = calibration_in_bins(marks)
    facts = {
        "n": float(len(given)),
        "n_given": float(sum(len(each.found) for each in given)),
        "n_wanted": float(sum(len(each.gold) for each in given)),
    }
    if (f1 := _f1(given)) is not None:
        facts |= {"score": f1.value, "score_margin": (f1.high - f1.low) / 2}
    if marks:
        scores, right = zip(*marks, strict=True)
        facts |= {"confidence": sum(scores) / len(marks), "right_share": sum(right) / len(marks)}
    analysis = Analysis(
        breakdowns=(_by_label(given), _by_length(given)),
        calibration=bins,
        calibration_error=error,
        wrong=tuple(_wrong(given)),
        right=tuple(_right(given)),
        labels=_label_scores(given),
        facts=facts,
    )
    return analysis, tuple(map(_scored, given))


def chance_losses(features: FeatureSet, n_tags: int) -> tuple[float, float]:
    """The loss of guessing evenly among the tags, and that of knowing how often each occurs."""
    labels, weights = required(features.token_labels, "token_labels"), required(features.weights, "weights")
    counts = np.zeros(n_tags)
    for first in range(0, len(features), _FEATURES_AT_ONCE):
        bounds = features.offsets[first : first + _FEATURES_AT_ONCE + 1]
        there = labels[bounds[0] : bounds[-1]]
        is_labelled = there != NO_LABEL
        n_labels = np.add.reduceat(np.append(is_labelled, False), bounds[:-1] - bounds[0], dtype=np.int64)
        each = weights[first : first + _FEATURES_AT_ONCE] / np.maximum(n_labels, 1)
        counts += np.bincount(there[is_labelled], np.repeat(each, n_labels), minlength=n_tags)
    shares = counts / (counts.sum() or 1.0)
    return math.log(n_tags), float(-(shares * np.log(np.where(shares > 0, shares, 1.0))).sum())


def blind_scores(examples: Sequence[TokenExample]) -> tuple[BlindScore, ...]:
    """The F1 of who marks nothing, which is 0."""
    n = sum(len(example.gold or ()) for example in examples)
    return (BlindScore("f1", 0.0, n, who="marking nothing"),) if n else ()


def _given(line: dict[str, Any]) -> _Given:
    found = {_span(each): float(each["score"]) for each in line["entities"]}
    return _Given(line["id"], line["text"], found, frozenset(map(_span, line["gold"])))


def _span(entity: dict[str, Any]) -> Span:
    return entity["label"], entity["start"], entity["end"]


def _place(span: Span) -> tuple[int, int, str]:
    label, start, end = span
    return start, end, label


def _touch(one: Span, other: Span) -> bool:
    return one[1] < other[2] and other[1] < one[2]


def _f1(group: Sequence[_Given]) -> Interval | None:
    """Of all entities of these texts, as every other figure of that name; None where there are none."""
    counts = [each.counts for each in group]
    return f1_interval(counts) if any(each.n_given or each.n_wanted for each in counts) else None


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
    f1 = _f1(group)
    return {"All right": exact.in_percent(), **({"F1": f1} if f1 is not None else {})}


def _wrong(given: Sequence[_Given]) -> Iterable[ShownAnswer]:
    """What was marked wrongly, the surest first; then what was missed, the most of one text first; no text twice."""
    wrong = sorted(
        ((score, each, span) for each in given for span, score in each.found.items() if span not in each.gold),
        key=lambda of: -of[0],
    )
    seen: set[str] = set()
    for score, each, span in wrong:
        if each.id not in seen and len(seen) < N_WRONG:
            seen.add(each.id)
            yield _shown_answer(each, [span], [gold for gold in each.gold if _touch(gold, span)], score)
    missed = [(each, spans) for each in given if each.id not in seen and (spans := each.missed)]
    for each, spans in sorted(missed, key=lambda of: -len(of[1]))[:N_MISSED]:
        yield _shown_answer(each, [], spans, None)


def _right(given: Sequence[_Given]) -> Iterable[ShownAnswer]:
    """Texts in which all that is marked is right, and nothing is missed."""
    right = sorted((each for each in given if each.exact and each.found), key=lambda each: -each.confidence)
    for each in spread_out(right, N_RIGHT):
        spans = sorted(each.gold, key=_place)
        yield _shown_answer(each, spans, spans, each.confidence)


def _label_scores(given: Sequence[_Given]) -> tuple[LabelScores, ...]:
    gold = Counter(label for each in given for label, _, _ in each.gold)
    found = Counter(label for each in given for label, _, _ in each.found)
    right = Counter(label for each in given for label, _, _ in each.found.keys() & each.gold)
    return tuple(LabelScores(name, gold[name], found[name], right[name]) for name in sorted({*gold, *found}))


def _shown_answer(each: _Given, marked: Sequence[Span], gold: Sequence[Span], score: float | None) -> ShownAnswer:
    marks = [(start, end, name) for name, spans in (("given", marked), ("gold", gold)) for _, start, end in spans]
    text = each.text
    return ShownAnswer(
        title=text if len(text) <= _TITLE_CHARACTERS else f"{text[:_TITLE_CHARACTERS]}…",
        given=_shown(text, marked),
        wanted=_shown(text, gold),
        confidence=score,
        passage=tuple(marked_stretches(text, marks)),
    )


def _shown(text: str, spans: Iterable[Span]) -> str:
    in_order = sorted(spans, key=_place)
    return ", ".join(f"{text[start:end]} ({label})" for label, start, end in in_order) or NOTHING


def _scored(each: _Given) -> ScoredAnswer:
    return ScoredAnswer(
        id=each.id,
        asked=each.text,
        given=_shown(each.text, each.found),
        wanted=(_shown(each.text, each.gold),),
        exact=each.exact,
        f1=round(each.counts.f1, 6),
        confidence=round(each.confidence, 6),
        counts=each.counts,
    )
