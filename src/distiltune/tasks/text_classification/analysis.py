"""Where a model of texts is right and where it is wrong: by label, by length, by confidence; the hardest wrong ones."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distiltune.coach.scores import BlindScore, independent
from distiltune.data.feature_set import FeatureSet
from distiltune.tasks.analysis import (
    Analysis,
    Breakdown,
    Confusion,
    Counts,
    Interval,
    LabelScores,
    ScoredAnswer,
    ShownAnswer,
)
from distiltune.tasks.statistics import (
    breakdown,
    calibration_in_bins,
    marked_stretches,
    mean_interval,
    share_interval,
    spread_out,
    step,
)
from distiltune.tasks.text_classification.examples import TextExample, text_kinds
from distiltune.tasks.text_classification.targets import Targets, names_of

N_WRONG = 8
N_RIGHT = 5
MOST_LABELS = 20
"""Of more the commonest are shown: a table with more columns cannot be read."""
NO_LABEL = "no label"
_TITLE_CHARACTERS = 80
_WORDS = ((5, "up to 5 words"), (10, "6 to 10 words"), (20, "11 to 20 words"), (50, "21 to 50 words"))
_MORE_WORDS = (10**9, "over 50 words")


@dataclass(frozen=True, slots=True)
class _Given:
    """What was said of one text."""

    example: TextExample
    labels: tuple[str, ...]
    wanted: tuple[str, ...]
    confidence: float

    @property
    def exact(self) -> float:
        return float(set(self.labels) == set(self.wanted))

    @property
    def counts(self) -> Counts:
        labels, wanted = set(self.labels), set(self.wanted)
        return Counts(len(labels & wanted), len(labels), len(wanted))


def analyse(
    examples: Sequence[TextExample], targets: Targets, predictions: Path
) -> tuple[Analysis, tuple[ScoredAnswer, ...]]:
    """Analyse the file of predictions that an evaluation of ``examples`` wrote; numbers are not right or wrong."""
    if targets.is_regression:
        return Analysis(), ()
    by_id = {example.id: example for example in examples}
    with predictions.open(encoding="utf-8") as file:
        lines = [line for line in map(json.loads, file) if "gold" in line and line["id"] in by_id]
    given = [_given(by_id[line["id"]], line) for line in lines]
    if not given:
        return Analysis(), ()
    bins, error = calibration_in_bins((each.confidence, each.exact) for each in given)
    exact = mean_interval([each.exact for each in given])
    facts = {
        "n": float(len(given)),
        "score": exact.value,
        "score_margin": (exact.high - exact.low) / 2,
        "confidence": sum(each.confidence for each in given) / len(given),
        **_given_facts(given, targets),
    }
    wrong = sorted((each for each in given if not each.exact), key=lambda each: -each.confidence)
    right = sorted((each for each in given if each.exact), key=lambda each: -each.confidence)
    analysis = Analysis(
        breakdowns=_breakdowns(given, targets),
        calibration=bins,
        calibration_error=error,
        wrong=tuple(map(_shown_answer, wrong[:N_WRONG])),
        right=tuple(map(_shown_answer, spread_out(right, N_RIGHT))),
        labels=_label_scores(given, targets),
        confusion=_confusion(given, targets) if targets.problem == "single-label" else None,
        facts=facts,
    )
    return analysis, tuple(map(_scored, given))


def chance_losses(features: FeatureSet, targets: Targets) -> tuple[float, float]:
    """The loss of guessing evenly among the labels, and that of knowing how often each occurs.

    Of numbers there is no even guess; the second is their variance, in the unit that the loss is taken in: the spread
    of those that the targets were found from.
    """
    labels = features.labels
    weights = np.ones(len(labels)) if features.weights is None else features.weights.astype(np.float64)
    total = float(weights.sum()) or 1.0
    if targets.is_regression:
        numbers = labels[:, 0].astype(np.float64)
        mean = float(weights @ numbers) / total
        return 0.0, float(weights @ (numbers - mean) ** 2) / total / targets.spread**2
    if targets.problem == "multi-label":
        shares = (weights @ labels.astype(np.float64)) / total
        return math.log(2), float(np.mean(_entropy(shares) + _entropy(1 - shares)))
    counts = np.bincount(labels[:, 0], weights=weights, minlength=len(targets.labels))
    return math.log(len(targets.labels)), float(_entropy(counts / total).sum())


def blind_scores(
    training: Sequence[TextExample], validation: Sequence[TextExample], targets: Targets
) -> tuple[BlindScore, ...]:
    """What scores of ``validation`` come to for who knows how often each label occurs in ``training``.

    Of one label a text: giving the commonest to all, or each as often as it occurs, whichever the score likes better.
    Of several: giving those that most texts have, or the commonest set. Of numbers: one to all.
    """
    known = [example for example in validation if example.gold is not None]
    if not known:
        return ()
    if targets.is_regression:
        return tuple(
            BlindScore(name, 0.0, len(known), kind="correlation", who="one number for all")
            for name in ("pearson", "spearman")
        )
    counts, n = Counter(name for each in known for name in names_of(each)), len(known)
    n_macro = independent([counts[name] for name in targets.labels])
    before: Counter[tuple[str, ...]] = Counter()
    kinds = text_kinds(training)
    for first, count in zip(kinds.firsts, kinds.counts.tolist(), strict=True):
        if first.gold is not None:
            before[tuple(sorted(names_of(first)))] += count
    usual = before.most_common(1)[0][0]
    accuracy = sum(tuple(sorted(names_of(each))) == usual for each in known) / n
    always = f"always {', '.join(usual) or NO_LABEL!r}" if targets.problem == "multi-label" else f"always {usual[0]!r}"
    exact = BlindScore("accuracy", accuracy, n, who=always)
    if targets.problem == "single-label":
        there = max(1, sum(count > 0 for count in counts.values()))
        return exact, BlindScore("macro_f1", 1 / there, n_macro, who="each label as often as it occurs")
    n_before = sum(before.values())
    often = Counter(name for names, count in before.items() for name in names * count)
    given = {name for name in targets.labels if often[name] > n_before / 2}
    f1 = sum(2 * counts[name] / (counts[name] + n) for name in given) / max(1, len(targets.labels))
    return BlindScore("macro_f1", f1, n_macro, who="the labels that most texts have"), exact


def _entropy(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return -shares * np.log(np.where(shares > 0, shares, 1.0))


def _given_facts(given: Sequence[_Given], targets: Targets) -> dict[str, float]:
    """How many labels are given and wanted; where texts have one each, how alike they are."""
    if targets.problem == "multi-label":
        return {
            "n_given": float(sum(len(each.labels) for each in given)),
            "n_wanted": float(sum(len(each.wanted) for each in given)),
        }
    label, count = Counter(each.labels for each in given).most_common(1)[0]
    wanted = sum(each.wanted == label for each in given)
    return {"one_label_share": count / len(given), "one_label_wanted": wanted / len(given)}


def _given(example: TextExample, line: dict[str, object]) -> _Given:
    gold = line["gold"]
    wanted = tuple(map(str, gold)) if isinstance(gold, list) else (str(gold),)
    scores = line["scores"]
    assert isinstance(scores, dict)
    if "labels" not in line:
        return _Given(example, (str(line["label"]),), wanted, float(scores[line["label"]]))
    labels = line["labels"]
    assert isinstance(labels, list)
    # All of several decisions are right with the product of their chances.
    chances = (score if name in labels else 1 - score for name, score in scores.items())
    return _Given(example, tuple(labels), wanted, math.prod(chances))


def _breakdowns(given: Sequence[_Given], targets: Targets) -> tuple[Breakdown, ...]:
    order = (*targets.labels, *sorted({_joined(each.wanted) for each in given} - set(targets.labels)))
    steps = (*_WORDS, _MORE_WORDS)
    return (
        breakdown("By right label", given, lambda each: _joined(each.wanted), order, _scores),
        breakdown(
            "By length of the text",
            given,
            lambda each: step(steps, len(each.example.text.split())),
            tuple(name for _, name in steps),
            _scores,
        ),
    )


def _label_scores(given: Sequence[_Given], targets: Targets) -> tuple[LabelScores, ...]:
    n = Counter(name for each in given for name in set(each.wanted))
    n_given = Counter(name for each in given for name in set(each.labels))
    n_right = Counter(name for each in given for name in {*each.wanted} & {*each.labels})
    return tuple(LabelScores(name, n[name], n_given[name], n_right[name]) for name in targets.labels)


def _confusion(given: Sequence[_Given], targets: Targets) -> Confusion:
    """Of all labels, or of the commonest, in the order that they have."""
    pairs = Counter((each.wanted[0], each.labels[0]) for each in given)
    n = Counter(label for pair, count in pairs.items() for label in pair for _ in range(count))
    common = {name for name, _ in n.most_common(MOST_LABELS)} if len(targets.labels) > MOST_LABELS else targets.labels
    names = tuple(name for name in targets.labels if name in common)
    counts = tuple(tuple(pairs[wanted, label] for label in names) for wanted in names)
    return Confusion(names, counts, len(targets.labels))


def _scores(group: Sequence[_Given]) -> dict[str, Interval]:
    return {"Right": share_interval(sum(each.exact for each in group), len(group)).in_percent()}


def _joined(labels: Sequence[str]) -> str:
    return ", ".join(sorted(labels)) or NO_LABEL


def _shown_answer(each: _Given) -> ShownAnswer:
    text = each.example.text
    title = text if len(text) <= _TITLE_CHARACTERS else f"{text[:_TITLE_CHARACTERS]}…"
    more = [] if each.example.pair is None else marked_stretches(f" / {each.example.pair}", [])
    return ShownAnswer(
        title=title,
        given=_joined(each.labels),
        wanted=_joined(each.wanted),
        confidence=each.confidence,
        passage=(*marked_stretches(text, []), *more),
    )


def _scored(each: _Given) -> ScoredAnswer:
    text, pair = each.example.text, each.example.pair
    return ScoredAnswer(
        id=each.example.id,
        asked=text if pair is None else f"{text} / {pair}",
        given=", ".join(each.labels),
        wanted=(", ".join(each.wanted),),
        exact=each.exact,
        f1=round(each.counts.f1, 6),
        confidence=round(each.confidence, 6),
        counts=each.counts,
    )
