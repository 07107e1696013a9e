"""Where entities are marked rightly and where not; each figure called F1 is that of the evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distiltune.tasks.token_classification.analysis import N_MISSED, Span, analyse, blind_scores
from distiltune.tasks.token_classification.examples import Entity, TokenExample

TEXT = "ada saw rome"
ADA, ROME = ("person", 0, 3), ("place", 8, 12)


Lines = list[tuple[list[Span], list[Span]]]


def write(path: Path, lines: Lines) -> Path:
    """Predictions of texts in which these entities are marked, and these should have been."""

    def entity(span: Span, **more: float) -> dict[str, Any]:
        label, start, end = span
        return {"label": label, "start": start, "end": end, "text": TEXT[start:end], **more}

    values = [
        {
            "id": str(i),
            "text": TEXT,
            "entities": [entity(span, score=0.9) for span in found],
            "gold": [entity(span) for span in gold],
        }
        for i, (found, gold) in enumerate(lines)
    ]
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def test_f1_is_that_of_all_entities(tmp_path: Path) -> None:
    """90 texts with nothing to mark, and 10 of whose 20 entities 18 are missed."""
    lines: Lines = [([], [])] * 90 + [([ADA], [ADA, ROME])] * 2 + [([], [ADA, ROME])] * 8
    analysis, scored = analyse(write(tmp_path / "predictions.jsonl", lines))
    assert analysis.facts["score"] == pytest.approx(100 * 2 * 2 / (2 + 20))
    assert 5 < analysis.facts["score_margin"] < 40
    assert analysis.facts["confidence"] == pytest.approx(0.9)
    assert analysis.facts["right_share"] == 1.0
    by_length = analysis.breakdowns[1].rows[0]
    assert by_length.scores["F1"].value == analysis.facts["score"]
    assert by_length.scores["All right"].value == 90.0
    counts = [each.counts for each in scored if each.counts is not None]
    assert len(counts) == 100
    assert [sum(of) for of in zip(*((c.n_right, c.n_given, c.n_wanted) for c in counts), strict=True)] == [2, 2, 20]


def test_without_any_entity_there_is_no_score(tmp_path: Path) -> None:
    analysis, scored = analyse(write(tmp_path / "predictions.jsonl", [([], [])] * 3))
    assert analysis.facts == {"n": 3.0, "n_given": 0.0, "n_wanted": 0.0}
    assert set(analysis.breakdowns[1].rows[0].scores) == {"All right"}
    assert [each.f1 for each in scored] == [1.0] * 3


def test_what_was_missed_comes_after_what_is_wrong(tmp_path: Path) -> None:
    wrong, cut = ("place", 0, 3), ("place", 8, 11)
    lines: Lines = [
        ([], [ROME]),
        ([wrong], [ADA, ROME]),  # which is shown for its wrong mark
        ([], [ADA, ROME]),
        ([ADA, cut], [ADA, ROME]),  # not missed: the mark is too short
        ([ADA, ROME], [ADA, ROME]),
        *[([], [ADA])] * 6,
    ]
    analysis, _ = analyse(write(tmp_path / "predictions.jsonl", lines))
    shown = [(each.given, each.wanted, each.confidence) for each in analysis.wrong]
    assert shown[:4] == [
        ("ada (place)", "ada (person)", 0.9),
        ("rom (place)", "rome (place)", 0.9),
        ("nothing", "ada (person), rome (place)", None),
        ("nothing", "rome (place)", None),
    ]
    assert len(shown) == 2 + N_MISSED
    assert ["gold" in stretch.marks for stretch in analysis.wrong[2].passage] == [True, False, True]


def test_who_marks_nothing_has_no_f1() -> None:
    entities = (Entity(0, 1, "person"), Entity(1, 2, "place"))
    examples = [TokenExample("1", "Ada Rome", ((0, 3), (4, 8)), entities), TokenExample("2", "so", ((0, 2),), ())]
    (f1,) = blind_scores(examples)
    assert (f1.metric, f1.value, f1.n) == ("f1", 0.0, 2)
    assert blind_scores(examples[1:]) == (), "without an entity there is nothing to find"
