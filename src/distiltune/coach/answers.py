"""What the answers show: none given, one for all, one place for all, too sure of themselves; the wrong epoch kept."""

from __future__ import annotations

import math
from collections.abc import Iterable

from distiltune.checks.concerns import Severity
from distiltune.coach.evidence import Evidence
from distiltune.coach.scores import ENOUGH_TO_SCORE
from distiltune.coach.sickness import Advice, joined

FEW_ANSWERS = 20
"""From fewer nothing is said of answers as a set."""
NOTHING_GIVEN = 0.1
"""Of the labels or entities that are wanted, the share below which a model gives none to speak of."""
ALL_ALIKE, SOME_ALIKE = 0.97, 0.9
"""The share of texts given one label that is all; and the share that does have it above which that is right."""
TOO_FEW = 25
"""Validation examples below which little that a score says is more than chance."""
LEAST_LOSS = 0.02
"""Of the whole, what a score has to lose before a kept epoch is the wrong one."""


def epoch_against_score(evidence: Evidence) -> Iterable[Advice]:
    """The monitor, a loss, chose an epoch whose score is clearly below that of another."""
    facts, kept = evidence.facts, evidence.kept_epoch
    if not evidence.ended or facts.monitor != "validation_loss" or kept < 0:
        return
    for blind in facts.blind_scores:
        scores = [epoch.validation.get(blind.metric, math.nan) for epoch in evidence.epochs]
        finite = [i for i, score in enumerate(scores) if math.isfinite(score)]
        if kept not in finite:
            continue
        best = max(finite, key=lambda i: scores[i])
        lost = scores[best] - scores[kept]
        margin = blind.margin_at(scores[kept])  # wide, since the best of many epochs is also lucky
        if lost <= max(LEAST_LOSS * blind.whole, margin) or not blind.is_beaten_by(scores[best]):
            continue
        name, decimals = blind.metric.replace("_", " "), 1 if blind.whole == 100.0 else 3
        if blind.n < ENOUGH_TO_SCORE and blind.is_beaten_by(scores[kept]):
            continue  # the recipe `auto` chooses by the loss there, and rightly: the best score of many epochs is luck
        shown = (
            f"epoch {kept} is kept, by the validation loss, with {name} {scores[kept]:.{decimals}f}; epoch {best} has "
            f"{scores[best]:.{decimals}f}"
        )
        message = "the best epoch was chosen against the score"
        severity: Severity = "warning" if blind.is_beaten_by(scores[kept]) else "error"
        yield Advice(severity, "epoch_against_score", message, shown, f"{facts.again} --monitor {blind.metric}")
        return


def predicts_nothing(evidence: Evidence) -> Iterable[Advice]:
    """No label, no entity, no answer where there are some; or one label for all."""
    facts = evidence.answers
    if not facts or facts.get("n", 0) < FEW_ANSWERS:
        return
    if any(advice.severity == "error" for advice in epoch_against_score(evidence)):
        return  # the kept epoch's model does; another's does not
    standing = next((blind.shown(score) for blind, score in evidence.scores), "")
    longer = f"{evidence.facts.again} --epochs {2 * max(1, evidence.facts.planned_epochs)}"
    given, wanted = facts.get("n_given", math.nan), facts.get("n_wanted", math.nan)
    if given < NOTHING_GIVEN * wanted:
        shown = joined(f"{given:,.0f} are given, and {wanted:,.0f} are wanted", standing)
        yield Advice("error", "predicts_nothing", "the model gives nothing to speak of", shown, longer)
    alike, right = facts.get("one_label_share", 0.0), facts.get("one_label_wanted", 1.0)
    if alike >= ALL_ALIKE and right < SOME_ALIKE:
        shown = joined(f"{alike:.0%} of the texts are given one label, which {right:.0%} have", standing)
        command = f"{longer} --class-weights balanced" if right > 1 / 2 else longer
        command += f", or ask: {evidence.facts.find_lr}"  # a rate too high for these data ends so, too
        yield Advice("error", "one_class", "the model gives one label to every text", shown, command)
    null_share, null_wanted = facts.get("null_share", 0.0), facts.get("null_share_wanted", 0.0)
    if null_share > 0.95 and null_wanted < 0.8:
        shown = f"{null_share:.0%} of the answers are “none”, and {null_wanted:.0%} should be"
        command = f"{longer}; or balance answerable and unanswerable questions, or set --null-threshold higher"
        yield Advice("error", "all_null", "the model answers nothing", shown, command)


def answers(evidence: Evidence) -> Iterable[Advice]:
    """What else the answers look like."""
    facts = evidence.answers
    if not facts or facts.get("n", 0) < FEW_ANSWERS:
        return
    one_place = facts.get("one_place_share", 0.0)
    if one_place > 0.8 and facts.get("null_share", 0.0) < 0.5:
        shown = f"{one_place:.0%} of the answers begin in the same place of their text"
        command = f"ask: {evidence.facts.check}"
        yield Advice("error", "one_place", "the model answers by place, not by question", shown, command)
    # A temperature that is fitted afterwards hides from who asks what the training has done.
    confidence = facts.get("confidence_before", facts.get("confidence", 0.0))
    right = facts.get("right_share", facts.get("score", 100.0) / 100)
    if confidence > 0.9 and right < 0.5:
        by_itself = ", before its temperature is fitted," if "confidence_before" in facts else ""
        shown = f"the model{by_itself} is {confidence:.0%} sure on average, and {right:.0%} right"
        command = f"stop earlier ({evidence.facts.again} --patience 1), or lower --learning-rate"
        message = "the model is sure of nearly everything, and often wrong"
        yield Advice("warning", "saturated_head", message, shown, command)


def validation_size(evidence: Evidence) -> Iterable[Advice]:
    """How much the figures can be trusted."""
    n, margin = evidence.facts.n_validation, evidence.answers.get("score_margin", 0.0)
    if n == 0 or margin < 3.0:
        return
    score = evidence.answers.get("score", 0.0)
    yield Advice(
        "warning" if n < TOO_FEW else "note",
        "validation_too_small",
        "the validation data is too small to tell small differences",
        f"on {n:,} examples the score of {score:.1f} is known to within ±{margin:.1f} points",
        f"use about {_enough(n, margin):,} validation examples to know it to within ±2 points",
    )


def _enough(n: int, margin: float) -> int:
    return int(-(-(n * (margin / 2.0) ** 2) // 100) * 100)
