"""The tools that make and measure the starters: they go on where they were stopped, and measure what users run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from tools.starter_model import build, measure
from tools.starter_model.build import Places

ROOT = Path(__file__).parents[2]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands instead of their being run."""
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(build, "distiltune", lambda *arguments: commands.append(tuple(map(str, arguments))))
    return commands


def log(run: Path, *lines: dict[str, object]) -> None:
    run.mkdir(exist_ok=True)
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_a_run_is_begun_then_resumed_then_passed_over(tmp_path: Path, said: list[tuple[str, ...]]) -> None:
    run, places = tmp_path / "run", Places(tmp_path, tmp_path, more=("--precision", "float32"))
    command = ("train", "--seed", "1")
    new = ("train", "--seed", "1", "--precision", "float32", "--output", str(run))
    resumed = ("train", "--resume", str(run))
    steps: list[tuple[dict[str, object] | None, tuple[str, ...] | None]] = [
        (None, new),  # nothing is there, or a lock alone
        ({"kind": "step"}, resumed),
        ({"kind": "end", "outcome": "interrupted"}, resumed),  # which has written a model
        ({"kind": "end", "outcome": "failed"}, resumed),
        ({"kind": "end", "outcome": "done"}, None),
    ]
    for last, expected in steps:
        said.clear()
        if last is not None:
            log(run, {"kind": "start"}, last)
            (run / "recipe.toml").touch()
        assert build.train(run, command, places) == run / "model"
        assert said == ([expected] if expected else [])


def test_a_line_cut_short_is_no_end(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "log.jsonl").write_text('{"kind": "end", "outcome": "do', encoding="utf-8")
    assert not build.is_finished(run)


def test_the_results_keep_what_was_measured_before(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    log(tmp_path / "run", {"kind": "epoch", "train_seconds": 2.0}, {"kind": "epoch", "train_seconds": 3.0})
    measure.Results(file).note("plain", {"f1": 1.0}, tmp_path / "run")
    measure.Results(file).note("random", {"f1": 2.0})
    assert json.loads(file.read_text(encoding="utf-8")) == {
        "plain": {"f1": 1.0, "train_seconds": 5.0, "epochs": 2},
        "random": {"f1": 2.0},
    }
    assert [path.name for path in tmp_path.glob("*results*")] == [file.name]


def test_the_quickstart_is_measured_as_it_is_run() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    line = next(line for line in makefile.splitlines() if "distiltune train --train starter" in line)
    flags = shlex.split(line.partition("distiltune ")[2].partition("--output")[0])
    assert sorted(flags) == sorted(measure.QUICKSTART)


def test_a_log_that_is_shown_names_no_place_of_the_machine_that_made_it(tmp_path: Path) -> None:
    places = Places(tmp_path / "there", tmp_path / "work")
    data, teacher = str(places.shared / "data"), str(places.work / "teacher" / "model")
    lines = [
        {"kind": "start", "recipe": {"train": [data], "teacher": teacher, "model": str(places.work / "encoder")}},
        {"kind": "event", "event": "vitals"},
        {"kind": "step", "step": 3, "loss": 0.5},
    ]
    told = build.public_log("".join(json.dumps(line) + "\n" for line in lines), places).splitlines()
    assert [json.loads(line)["kind"] for line in told] == ["start", "step"]
    assert json.loads(told[0])["recipe"] == {
        "train": ["../shared/data"],
        "teacher": "runs/starter/teacher/model",
        "model": "runs/starter/encoder",
    }
    assert str(tmp_path) not in "".join(told)


def test_the_papers_of_the_tutorial_are_thirty_passages_of_the_starter() -> None:
    from tools.starter_data.papers import FOLDER, N, papers

    wanted = papers()
    assert len(wanted) == N
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == wanted
