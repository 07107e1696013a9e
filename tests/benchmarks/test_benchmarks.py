"""The benchmark's own arithmetic, and one contestant's turn at a tiny size."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.contestant import CONTESTANTS, Turns, inference_parts
from benchmarks.run import Row, Stretch, plan, quiet_line, table, take_turns

from benchmarks import run, workload


def test_lengths_are_those_of_squad() -> None:
    lengths = workload.features(20_000).lengths
    assert lengths.mean() == pytest.approx(170.8, abs=1.5)
    batches = lengths.reshape(-1, workload.BATCH_SIZE)
    assert 384 / lengths.mean() == pytest.approx(2.25, abs=0.02)
    assert (batches.max(1) * workload.BATCH_SIZE).sum() / lengths.sum() == pytest.approx(1.795, abs=0.03)


@pytest.mark.parametrize(("name", "mean"), [("emotion", 22.3), ("wnut", 31.3), ("long", 370.0), ("pairs", 61.6)])
def test_lengths_of_other_data_are_theirs(name: str, mean: float) -> None:
    data = workload.DATA[name]
    features = workload.features(20_000, data=data)
    assert features.lengths.mean() == pytest.approx(mean, rel=0.03)
    assert features.lengths.max() <= data.max_length
    has_one_each = features.token_labels is None
    assert has_one_each == (data.task != "token-classification")


def test_a_table_of_all_data_has_each_ratio_and_none_for_the_others() -> None:
    rates = {"training/distiltune": (100.0, 50.0, 80.0), "training/Trainer": (50.0, 10.0, 20.0)}
    rows = [Row(name, 8.0, 1.0, 1.0, 0.5, 1.0, 0.0, 2.0, values) for name, values in rates.items()]
    lines = run.overview({"emotion": rows, "long": rows}).splitlines()
    assert lines[0].endswith("| first step after | over Trainer |")
    assert lines[2] == "| emotion | distiltune | 8.00 | 50% | 1 | 2.0 s | 4.00x |"
    assert lines[5] == "| long documents | Trainer | 8.00 | 50% | 1 | 2.0 s | |"


def test_of_short_texts_a_stretch_has_more_batches() -> None:
    by_data = {data: plan(False, "training", ["float32"], data=data) for data in workload.DATA}
    batches = {data: each.batches["training/distiltune float32"] for data, each in by_data.items()}
    assert batches == {"squad": 6, "emotion": 48, "wnut": 30, "long": 6, "pairs": 18}


def test_operations_of_a_small_case_by_hand() -> None:
    shape = workload.Shape("tiny", hidden=4, n_layers=2, n_heads=2, intermediate=8)
    lengths = np.array([3, 1])
    linear = 2 * 4 * (4 * 16 + 2 * 32)  # 2 a multiply-add, 4 tokens, four square weights and two of the feed-forward
    attention = 4 * 4 * (9 + 1)
    assert workload.forward_flops(shape, lengths) == 2 * (linear + attention)
    assert workload.training_flops(shape, lengths) == 3 * workload.forward_flops(shape, lengths)


def test_every_contestant_has_its_turn_in_one_plan() -> None:
    named = {name for kind in ("training", "inference") for name in plan(True, kind, []).contestants}
    assert named == set(CONTESTANTS)
    assert plan(False, "training", ["grouped"]).contestants == (
        "training/Trainer grouped",
        "training/Trainer grouped bfloat16",
    )


def test_no_two_contestants_are_timed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Contestant:
        def __init__(self, name: str, *_: object) -> None:
            self.name = name

        def begin(self, n_batches: int) -> None:
            said.append(f"{self.name} begins {n_batches}")

        def end(self) -> Stretch:
            said.append(f"{self.name} ends")
            return Stretch(1.0, 1, 1, 1.0, 0.0, 1.0)

        def stop(self) -> None:
            return

    monkeypatch.setattr(run, "Contestant", Contestant)
    short = plan(True, "inference", [])
    names = short.contestants[:2]
    one, other = names
    assert list(take_turns(names, Path(), 0, short)) == [one, other]
    assert said[:2] == [f"{one} begins 1", f"{other} begins 1"]
    assert said[4:] == [f"{one} begins 1", f"{one} ends", f"{other} begins 1", f"{other} ends"]


def test_a_machine_that_was_busy_is_told() -> None:
    assert quiet_line([100.0, 97.0, 99.0]).startswith(
        "the machine was quiet: its ceiling was 100 GFLOP/s before and 99"
    )
    assert quiet_line([100.0, 60.0, 99.0]).startswith("THE MACHINE WAS NOT QUIET")
    assert "60 at its least" in quiet_line([100.0, 60.0, 99.0])


def test_ratios_are_taken_within_a_round() -> None:
    rates = {"training/distiltune": (100.0, 50.0, 80.0), "training/other": (50.0, 10.0, 20.0)}
    rows = [Row(name, 1.0, 1.0, 1.0, 0.5, 1.0, 0.0, 2.0, values) for name, values in rates.items()]
    assert table(rows).splitlines()[-1].endswith("| 4.00x |")


def test_a_stretch_ends_after_its_batches() -> None:
    answers = io.StringIO()
    turns = Turns(io.StringIO("run 2\nrun 1\n"), answers)
    turns.wait()
    turns.batch_done(16, 100)
    assert answers.getvalue() == ""
    turns.batch_done(16, 50)
    stretch = json.loads(answers.getvalue())
    assert (stretch["features"], stretch["tokens"]) == (32, 150)


def test_parts_of_inference_are_everything_once() -> None:
    parts = inference_parts(0)
    seen = np.concatenate([next(parts) for _ in range(8)])
    assert sorted(seen.tolist()) == list(range(1_020))


def test_the_model_is_read_by_both_sides(tmp_path: Path) -> None:
    shape = workload.Shape("tiny", hidden=8, n_layers=1, n_heads=2, intermediate=16, vocab_size=40)
    workload.write_model(shape, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["dim"], config["n_layers"]) == (8, 1)
    assert (tmp_path / "vocab.txt").read_text().splitlines()[4] == "[MASK]"
