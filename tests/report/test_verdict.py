"""The report's first sentence, for what is good, fair, weak, no better than chance, and not measured."""

from __future__ import annotations

import pytest

from distiltune.coach.scores import BlindScore
from distiltune.report.verdict import verdict
from distiltune.tasks.analysis import Analysis

from .a_run import SCORES, a_run

BLIND = BlindScore("f1", 20.0, 1_000, whole=100.0, who="answering with the first 5 words")


@pytest.mark.parametrize(
    ("f1", "says"),
    [
        (90.0, "Good: F1 90.00 %"),
        (70.0, "Fair: F1 70.00 %"),
        (40.0, "Weak, but better than chance: F1 40.00 %"),
        (21.0, "Not good enough: F1 21.00 %, no better than chance"),
    ],
    ids=["good", "fair", "weak", "chance"],
)
def test_how_good_it_is_beside_who_reads_nothing(f1: float, says: str) -> None:
    said = verdict(a_run(final_metrics={**SCORES, "f1": f1}, baselines=(BLIND,)))
    assert said.startswith(says)
    assert "answering with the first 5 words gets 20.00 %" in said
    assert said.count(".") - said.count(".00") <= 5  # one sentence: the others are decimals


def test_the_way_from_the_baseline_and_how_sure_that_is() -> None:
    metrics = {**SCORES, "f1": 60.0}
    analysis = Analysis(facts={"score": 60.0, "score_margin": 3.0})
    said = verdict(a_run(final_metrics=metrics, baselines=(BLIND,), analysis=analysis))
    assert "50% of the way from the baseline" in said
    assert "F1 60.00 % (give or take 3.00 %)" in said
    other = Analysis(facts={"score": 40.0, "score_margin": 3.0})  # of another score
    assert "give or take" not in verdict(a_run(final_metrics=metrics, baselines=(BLIND,), analysis=other))


def test_what_was_not_measured_is_said() -> None:
    assert "no validation data" in verdict(a_run(2, validation=False))
    assert "no baseline" in verdict(a_run())
