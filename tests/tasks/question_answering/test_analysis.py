from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distiltune.tasks.analysis import Stretch
from distiltune.tasks.question_answering.analysis import NO_ANSWER, analyse, blind_scores, chance_losses
from distiltune.tasks.question_answering.examples import Answer, Example
from distiltune.tasks.statistics import marked_stretches, mean_interval, share_interval
from tests.helpers import example, feature_set

TEXT = "Ada eats plums. Bob drives a red car. Cem likes jazz very much. Dee fears bats."


def line(of: Example, answer: str, confidence: float) -> dict[str, Any]:
    """What `PredictionFiles` writes, its scores twice as sure as the confidence at the model's temperature of 2."""
    start = of.context.find(answer) if answer else 0
    candidate = {"text": answer or of.context[:3], "start": max(0, start), "end": max(0, start) + len(answer or "abc")}
    best, none = (confidence, 1 - confidence) if answer else (1 - confidence, confidence)
    candidate |= {"score": 2 * math.log(best / none), "probability": 0.001, "confidence": best}
    return {"id": of.id, "answer": answer, "no_answer_confidence": none, "candidates": [candidate]}


def nbest(folder: Path, lines: list[dict[str, Any]]) -> Path:
    path = folder / "nbest.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    return path


@pytest.fixture
def examples() -> list[Example]:
    return [
        example(TEXT, "plums", "What does Ada eat?", "a"),
        example(TEXT, "a red car", "What does Bob drive?", "b"),
        example(TEXT, "jazz", "Who likes what?", "c"),
        example(TEXT, "", "When was Eli born?", "d"),
    ]


def test_scores_by_kind_of_question_and_answer(examples: list[Example], tmp_path: Path) -> None:
    answers = [("plums", 0.95), ("red car", 0.85), ("bats", 0.9), ("", 0.2)]
    analysis, scored = analyse(
        examples, nbest(tmp_path, [line(e, text, p) for e, (text, p) in zip(examples, answers, strict=True)])
    )
    assert [(each.id, each.exact, each.f1) for each in scored] == [
        ("a", 1.0, 1.0),
        ("b", 1.0, 1.0),  # articles do not count
        ("c", 0.0, 0.0),
        ("d", 1.0, 1.0),
    ]
    by_title = {breakdown.title: breakdown for breakdown in analysis.breakdowns}
    assert all(
        sum(row.n for row in breakdown.rows) == 4 for title, breakdown in by_title.items() if "place" not in title
    )
    lengths = {row.label: row for row in by_title["By length of the answer"].rows}
    assert lengths["1 word"].n == 2
    assert lengths["1 word"].scores["Exact match"].value == 50.0
    assert lengths[NO_ANSWER].scores["F1"].value == 100.0
    places = by_title["By place of the answer in the passage"].rows
    assert sum(row.n for row in places) == 3  # what has no answer has no place
    assert analysis.facts["null_share"] == 0.25
    assert analysis.facts["null_share_wanted"] == 0.25
    assert analysis.facts["score"] == 75.0


def test_calibration_is_of_the_confidence_that_is_shown_no_answer_included(
    examples: list[Example], tmp_path: Path
) -> None:
    answers = [("plums", 0.94), ("a red car", 0.95), ("bats", 0.98), ("", 0.96)]
    analysis, scored = analyse(
        examples, nbest(tmp_path, [line(e, text, p) for e, (text, p) in zip(examples, answers, strict=True)])
    )
    (only,) = analysis.calibration
    assert only.n == 4
    assert only.confidence == pytest.approx((0.94 + 0.95 + 0.98 + 0.96) / 4)
    assert only.right.value == pytest.approx(3 / 4)
    assert analysis.calibration_error == pytest.approx(abs(only.confidence - 3 / 4))
    assert [each.confidence for each in scored] == [0.94, 0.95, 0.98, 0.96]
    assert analysis.facts["confidence"] == pytest.approx((0.94 + 0.95 + 0.98) / 3)
    # What the coach looks at is how sure the training made it, before a temperature was fitted.
    assert analysis.facts["confidence_before"] > analysis.facts["confidence"]


def test_the_surest_wrong_answers_are_shown_in_their_passage(examples: list[Example], tmp_path: Path) -> None:
    analysis, _ = analyse(
        examples,
        nbest(
            tmp_path, [line(examples[0], "jazz", 0.5), line(examples[2], "bats", 0.9), line(examples[3], "bats", 0.8)]
        ),
    )
    (hardest,) = analysis.wrong  # one passage is shown once, by the answer that was surest
    assert hardest.title == "Who likes what?"
    assert (hardest.given, hardest.wanted) == ("bats", "jazz")
    marked = {"".join(each.text for each in hardest.passage if mark in each.marks) for mark in ("gold", "given")}
    assert marked == {"jazz", "bats"}
    assert "".join(each.text for each in hardest.passage) == TEXT


def test_long_passages_are_cut_around_the_marks_and_lose_no_character_of_them() -> None:
    context = "x" * 1000 + "GOLD" + "y" * 1000 + "GIVEN" + "z" * 1000
    stretches = marked_stretches(context, [(1000, 1004, "gold"), (2004, 2009, "given")])
    assert Stretch("GOLD", frozenset({"gold"})) in stretches
    assert Stretch("GIVEN", frozenset({"given"})) in stretches
    shown = "".join(each.text for each in stretches)
    assert shown.startswith("… x")
    assert shown.endswith("z …")
    assert len(shown) < 700


def test_marks_may_overlap() -> None:
    stretches = marked_stretches("abcdef", [(1, 4, "gold"), (3, 5, "given")])
    assert [(each.text, set(each.marks)) for each in stretches] == [
        ("a", set()),
        ("bc", {"gold"}),
        ("d", {"gold", "given"}),
        ("e", {"given"}),
        ("f", set()),
    ]


def test_the_chance_losses_are_what_such_a_model_would_have() -> None:
    features = feature_set([[1] * 10, [1] * 20, [1] * 40, [1] * 80], [[3, 4], [5, 6], [0, 0], [7, 7]])
    uniform, blind = chance_losses(features)
    assert uniform == pytest.approx(np.mean(np.log([10, 20, 40, 80])))
    # CLS gets its share 1/4, the rest is spread over the window
    expected = [math.log(10 / 0.75), math.log(20 / 0.75), -math.log(0.25), math.log(80 / 0.75)]
    assert blind == pytest.approx(np.mean(expected))
    none = feature_set([[1] * 10], [[0, 0]])
    assert list(chance_losses(none)) == pytest.approx([math.log(10), 0.0])


@pytest.mark.parametrize(
    ("right", "n", "low", "high"), [(0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (50, 100, 0.404, 0.596)]
)
def test_wilsons_interval(right: int, n: int, low: float, high: float) -> None:
    interval = share_interval(right, n)
    assert [interval.low, interval.high] == pytest.approx([low, high], abs=1e-3)


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says() -> None:
    draw = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        interval = mean_interval(draw.choice([0.0, 0.5, 1.0], 60, p=[0.3, 0.2, 0.5]).tolist())
        hits += interval.low <= 60.0 <= interval.high
    assert 0.92 <= hits / 400 <= 0.98
    assert mean_interval([1.0]).low == 0.0  # one answer says nothing


@pytest.mark.parametrize("turned", [False, True])
def test_the_interval_of_few_answers_that_are_nearly_alike_is_not_narrow(turned: bool) -> None:
    draw = np.random.default_rng(2)
    mean, hits = 0.2 * 0.5, 0
    for _ in range(400):
        values = np.where(draw.random(15) < 0.2, draw.random(15), 0.0)  # the normal interval covers 87 %
        interval = mean_interval((1 - values if turned else values).tolist())
        hits += interval.low <= 100 * (1 - mean if turned else mean) <= interval.high
    assert hits / 400 >= 0.95
    wilson = share_interval(0 if not turned else 15, 15).in_percent()
    alike = mean_interval([float(turned)] * 15)
    assert [alike.low, alike.high] == pytest.approx([wilson.low, wilson.high])
    assert mean_interval([0.5] * 15).high - mean_interval([0.5] * 15).low > 20.0


def test_nothing_to_analyse(tmp_path: Path) -> None:
    analysis, scored = analyse([], nbest(tmp_path, []))
    assert analysis.breakdowns == ()
    assert scored == ()


def test_who_answers_without_reading_has_the_better_of_never_answering_and_the_first_words() -> None:
    context = "one two three four five six"
    first = Example("1", "q?", context, (Answer("one two", 0),))
    last = Example("2", "q?", context, (Answer("six", 24),))
    none = Example("3", "q?", context, ())
    (score,) = blind_scores([first, last])
    assert score.value == pytest.approx(50.0)
    assert (score.who, score.whole) == ("answering with the first 2 words", 100.0)
    assert blind_scores([first, none, none])[0].who == "never answering"
    assert blind_scores([replace(first, has_gold=False)]) == ()
