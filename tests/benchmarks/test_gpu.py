"""The benchmark of a GPU, rehearsed without one: every stage runs; one that fails costs no other its figures."""

from __future__ import annotations

import functools
import json
import sys
import time
from pathlib import Path

import pytest
import torch
from benchmarks.gpu import __main__ as referee
from benchmarks.gpu.correct import WrongError, correctness
from benchmarks.gpu.work import RESULT, Work

CPU = torch.device("cpu")


@pytest.fixture
def results(tmp_path: Path) -> referee.Results:
    return referee.Results(tmp_path / "gpu.json", CPU)


def test_a_rehearsal_runs_every_stage(results: referee.Results, tmp_path: Path) -> None:
    work, n_threads = Work(CPU, tmp_path, tmp_path, rehearses=True), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name, stage in referee.STAGES.items():
            results.begin(name)
            stage.work(work, functools.partial(results.add, name))
            results.end(name, "done", 1.0)
            assert results.of(name)
    finally:
        torch.set_num_threads(n_threads)
    found = json.loads((tmp_path / "gpu.json").read_text())
    whole = [each for each in found["stages"]["whole"]["results"] if "whole" in each]
    assert whole[0]["steps"] == 20
    lines = referee.table(results).splitlines()
    for contestant in ("distiltune float32", "Trainer TF32", "Trainer bfloat16, torch.compile", "transformers"):
        assert any(line.startswith(f"| {contestant}") for line in lines)
    assert sum("for real" in line for line in lines) == 2


def test_a_stage_that_hangs_or_fails_keeps_what_it_found(
    results: referee.Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"print({RESULT + json.dumps({'figure': 1})!r}, flush=True)"

    def stage(then: str, seconds: float) -> tuple[str, list[dict[str, int]], float]:
        monkeypatch.setattr(referee, "COMMAND", (sys.executable, "-c", f"import sys, time; {said}; {then}"))
        results.begin("ceiling")
        began = time.monotonic()
        outcome = referee.run_stage("ceiling", [], seconds, results)
        return outcome, results.of("ceiling"), time.monotonic() - began

    assert stage("pass", 60)[:2] == ("done", [{"figure": 1}])
    assert stage("sys.exit('no such kernel')", 60)[:2] == ("failed: no such kernel", [{"figure": 1}])
    outcome, found, took = stage("time.sleep(60)", 3)
    assert (outcome, found) == ("stopped after 3 s", [{"figure": 1}])
    assert took < 30


def test_nothing_is_timed_of_wrong_numbers(results: referee.Results, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[str] = []

    def run_stage(name: str, *_: object) -> str:
        run.append(name)
        return "failed: WrongError" if name == "correct" else "done"

    monkeypatch.setattr(referee, "run_stage", run_stage)
    names = ["features", "correct", "ceiling"]
    assert not referee.referee(names, results, [], 100.0, even_if_wrong=False)
    assert run == ["features", "correct"]
    assert not referee.referee(names, results, [], 100.0, even_if_wrong=True)
    assert run[2:] == names


def test_no_stage_begins_when_no_time_is_left(results: referee.Results) -> None:
    assert referee.referee(["ceiling"], results, [], 1.0, even_if_wrong=False)
    assert results.found["stages"]["ceiling"]["outcome"] == "left out: no time was left"


def test_wrong_numbers_are_an_error_and_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks.gpu import correct

    checks = [("right", 0.0, 1e-4), ("too far", 2e-4, 1e-4), ("no number", float("nan"), 1e-4)]
    monkeypatch.setattr(correct, "_devices", lambda work: iter(checks))
    for name in ("_graphs", "_padding", "_one_by_one"):
        monkeypatch.setattr(correct, name, lambda work: iter(()))
    said: list[dict[str, object]] = []
    with pytest.raises(WrongError, match=r"too far: 2.00e-04 where 1e-04 is allowed; no number: nan"):
        correctness(Work(CPU, tmp_path, tmp_path, rehearses=True), said.append)
    assert [each["right"] for each in said] == [True, False, False]
