"""The report's first sentence: whether the model is good enough, and against which baseline."""

from __future__ import annotations

from distiltune.coach.scores import BlindScore
from distiltune.report.run_summary import RunSummary
from distiltune.report.wording import shown_metric

GOOD, FAIR = 0.8, 0.5
"""Share of the way from the baseline to a model without fault, from which a model is called so."""


def verdict(summary: RunSummary) -> str:
    """One sentence for a run with validation data, or without."""
    guide, metrics = summary.guide, summary.final_metrics
    name = guide.decisive or "loss"
    if name not in metrics:
        return "Whether it is good enough is not known: there was no validation data to measure that with."
    label = guide.label(name)
    score = f"{label.in_a_sentence} {shown_metric(metrics[name], label)}"
    baseline = next((each for each in summary.baselines if each.metric == name), None)
    if baseline is None:
        return f"Measured: {score}. There is no baseline to hold it against."
    value = metrics[name]
    against = f"{baseline.who} gets {shown_metric(baseline.value, label)}"
    margin = _margin(summary, value, baseline.whole)
    give = f" (give or take {shown_metric(margin, label)})" if margin is not None else ""
    if not baseline.is_beaten_by(value):
        reach = shown_metric(baseline.reach, label)
        return f"Not good enough: {score}, no better than chance: {against}, and by chance up to {reach}."
    share = _way(baseline, value)
    word = "Good" if share >= GOOD else "Fair" if share >= FAIR else "Weak, but better than chance"
    return f"{word}: {score}{give}, {share:.0%} of the way from the baseline, {against}, to no fault at all."


def _margin(summary: RunSummary, value: float, whole: float) -> float | None:
    """Half of the score's interval of 95 %, as the coach tells it; None if it was taken of another score."""
    facts = summary.analysis.facts if summary.analysis is not None else {}
    if "score" not in facts or abs(facts["score"] * whole / 100 - value) > 0.001 * whole:
        return None
    return facts["score_margin"] * whole / 100


def _way(baseline: BlindScore, value: float) -> float:
    """How much of what the baseline leaves to be won is won."""
    left = baseline.whole - baseline.value
    return (value - baseline.value) / left if left > 0 else 0.0
