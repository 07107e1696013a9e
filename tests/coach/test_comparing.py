from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distiltune.coach.comparing import compare_runs, paired_bootstrap
from distiltune.errors import TrainingError
from distiltune.fine_tuning import FineTuned, fine_tune
from distiltune.report.comparison import comparison_lines, draw_comparison
from tests.helpers import TINY, people, write_squad, write_tiny_model

PEOPLE = people()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[FineTuned, FineTuned]:
    """Two runs of different learning rates on the same data."""
    folder = tmp_path_factory.mktemp("runs")
    config = replace(TINY, vocab_size=PEOPLE.tokenizer.get_vocab_size(), max_position_embeddings=64)
    shared: dict[str, Any] = {
        "model": str(write_tiny_model(folder / "tiny", PEOPLE.tokenizer, config)),
        "train": str(write_squad(folder / "train.json", PEOPLE.examples)),
        "validation": str(write_squad(folder / "dev.json", PEOPLE.examples)),
        "max_length": 48,
        "stride": 8,
        "threads": 1,
    }
    slow = fine_tune(output=folder / "slow", epochs=1, learning_rate=1e-6, **shared)
    quick = fine_tune(output=folder / "quick", epochs=8, learning_rate=1e-2, **shared)
    return slow, quick


def test_what_differs_and_whether_it_is_real(runs: tuple[FineTuned, FineTuned], tmp_path: Path) -> None:
    comparison = compare_runs([run.directory for run in runs])
    assert set(comparison.differing) == {"epochs", "learning_rate"}
    assert comparison.differing["epochs"] == (1, 8)
    (pair,) = comparison.pairs
    by_metric = {score.metric: score for score in pair.scores}
    expected = runs[1].best.validation["f1"] - runs[0].best.validation["f1"]
    assert by_metric["F1"].difference == pytest.approx(expected, abs=0.01)
    assert by_metric["F1"].n == len(PEOPLE.examples)
    assert pair.changed
    changes = [abs(each.f1_change) for each in pair.changed]
    assert changes == sorted(changes, reverse=True)
    text = "\n".join(comparison_lines(comparison))
    assert "learning_rate: 1e-06 | 0.01" in text
    assert "slow" in text
    assert "points" in text
    assert json.loads(json.dumps(comparison.as_json()))["runs"][1]["name"] == "quick"
    for name in ("curves.svg", "curves.png"):
        draw_comparison(comparison, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5_000


def test_a_run_with_itself_differs_in_nothing(runs: tuple[FineTuned, FineTuned]) -> None:
    comparison = compare_runs([runs[0].directory, runs[0].directory])
    assert not comparison.differing
    assert not comparison.pairs[0].changed
    assert not any(score.is_real for score in comparison.pairs[0].scores)
    assert "the recipes are the same" in comparison_lines(comparison)


def test_what_is_no_run_is_refused(runs: tuple[FineTuned, FineTuned], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="only one run"):
        compare_runs([runs[0].directory])
    with pytest.raises(TrainingError, match="no run"):
        compare_runs([runs[0].directory, tmp_path])


@pytest.mark.parametrize(("gain", "real"), [(0.10, True), (0.0, False)])
def test_the_bootstrap_tells_a_real_difference(gain: float, real: bool) -> None:
    draw = np.random.default_rng(3)
    first = (draw.random(1000) < 0.6).astype(float)
    second = np.where(draw.random(1000) < gain, 1.0, first)
    score = paired_bootstrap("F1", first, second)
    assert score.is_real == real
    assert score.low <= score.difference <= score.high
    assert (score.p_value < 0.05) == real


def test_the_bootstrap_agrees_with_the_plain_one() -> None:
    """One multinomial draw over the distinct differences is what drawing questions one by one is."""
    draw = np.random.default_rng(5)
    first, second = draw.choice([0.0, 0.5, 1.0], 200), draw.choice([0.0, 0.5, 1.0], 200)
    plain = [100 * (second - first)[draw.integers(0, 200, 200)].mean() for _ in range(10_000)]
    score = paired_bootstrap("F1", first, second)
    assert [score.low, score.high] == pytest.approx(np.percentile(plain, [2.5, 97.5]).tolist(), abs=0.6)


def test_a_change_in_every_question_has_the_interval_of_a_coin_never_tossed() -> None:
    score = paired_bootstrap("F1", np.zeros(50), np.ones(50))
    assert (score.low, score.high, score.difference) == (100.0, 100.0, 100.0)
    assert score.p_value < 0.001
