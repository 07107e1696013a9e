"""Where a model of choices is right and where it is wrong: by place, by number of choices, by confidence."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distiltune.coach.scores import BlindScore
from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import required
from distiltune.tasks.analysis import Analysis, Breakdown, Counts, Interval, ScoredAnswer, ShownAnswer
from distiltune.tasks.multiple_choice.examples import ChoiceExample
from distiltune.tasks.statistics import breakdown, calibration_in_bins, marked_stretches, mean_interval, share_interval

N_WRONG = 8
_TITLE_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class _Given:
    """What was chosen for one question; what is right is known."""

    example: ChoiceExample
    gold: int
    choice: int
    confidence: float

    @property
    def exact(self) -> float:
        return float(self.choice == self.gold)


def analyse(examples: Sequence[ChoiceExample], predictions: Path) -> tuple[Analysis, tuple[ScoredAnswer, ...]]:
    """Analyse the file of predictions that an evaluation of ``examples`` wrote."""
    by_id = {example.id: example for example in examples}
    with predictions.open(encoding="utf-8") as file:
        lines = [line for line in map(json.loads, file) if "gold" in line and line["id"] in by_id]
    given = [_Given(by_id[each["id"]], each["gold"], each["choice"], each["score"]) for each in lines]
    if not given:
        return Analysis(), ()
    bins, error = calibration_in_bins((each.confidence, each.exact) for each in given)
    exact = mean_interval([each.exact for each in given])
    place, count = Counter(each.choice for each in given).most_common(1)[0]
    facts = {
        "n": float(len(given)),
        "score": exact.value,
        "score_margin": (exact.high - exact.low) / 2,
        "confidence": sum(each.confidence for each in given) / len(given),
        "one_label_share": count / len(given),
        "one_label_wanted": sum(each.gold == place for each in given) / len(given),
    }
    wrong = sorted((each for each in given if not each.exact), key=lambda each: -each.confidence)
    analysis = Analysis(
        breakdowns=_breakdowns(given),
        calibration=bins,
        calibration_error=error,
        wrong=tuple(map(_wrong_answer, wrong[:N_WRONG])),
        facts=facts,
    )
    return analysis, tuple(map(_scored, given))


def chance_losses(features: FeatureSet) -> tuple[float, float]:
    """The loss of guessing evenly among each question's choices; and of knowing how often which place is right."""
    groups = required(features.group_of, "groups")
    n_choices = np.unique(groups, return_counts=True)[1]
    firsts = np.flatnonzero(np.diff(groups, prepend=-1))
    places = (np.arange(len(groups)) - firsts[groups])[features.labels[:, 0] == 1]
    uniform = float(np.log(n_choices).mean())
    if len(places) == 0 or len(set(n_choices.tolist())) > 1:
        return uniform, uniform
    shares = np.bincount(places) / len(places)
    return uniform, float(-sum(share * math.log(share) for share in shares.tolist() if share > 0))


def blind_scores(training: Sequence[ChoiceExample], validation: Sequence[ChoiceExample]) -> tuple[BlindScore, ...]:
    """The accuracy on ``validation`` of who takes the place that is right most often in ``training``."""
    known = [each for each in validation if each.gold is not None]
    before = Counter(each.gold for each in training if each.gold is not None)
    if not known or not before:
        return ()
    usual = before.most_common(1)[0][0]
    share = sum(each.gold == usual for each in known) / len(known)
    return (BlindScore("accuracy", share, len(known), who=f"always choice {usual}"),)


def _breakdowns(given: Sequence[_Given]) -> tuple[Breakdown, ...]:
    return (
        breakdown(
            "By place of the right choice",
            given,
            lambda each: f"choice {each.gold}",
            [f"choice {i}" for i in range(1 + max(each.gold for each in given))],
            _scores,
        ),
        breakdown(
            "By number of choices",
            given,
            lambda each: f"{len(each.example.choices)} choices",
            [f"{n} choices" for n in sorted({len(each.example.choices) for each in given})],
            _scores,
        ),
    )


def _scores(group: Sequence[_Given]) -> dict[str, Interval]:
    return {"Right": share_interval(sum(each.exact for each in group), len(group)).in_percent()}


def _wrong_answer(each: _Given) -> ShownAnswer:
    example = each.example
    asked = example.question or example.context
    return ShownAnswer(
        title=asked if len(asked) <= _TITLE_CHARACTERS else f"{asked[:_TITLE_CHARACTERS]}…",
        given=example.choices[each.choice],
        wanted=example.choices[each.gold],
        confidence=each.confidence,
        passage=tuple(marked_stretches(f"{example.context} {example.question}".strip(), [])),
    )


def _scored(each: _Given) -> ScoredAnswer:
    example = each.example
    return ScoredAnswer(
        id=example.id,
        asked=f"{example.context} {example.question}".strip(),
        given=example.choices[each.choice],
        wanted=(example.choices[each.gold],),
        exact=each.exact,
        f1=each.exact,
        confidence=round(each.confidence, 6),
        counts=Counts(int(each.exact), 1, 1),
    )
