from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from distiltune.labelling.desk import Desk, Said
from distiltune.labelling.retraining import FEWEST, How, Retraining, RunScore, _steps
from tests.labelling.desks import desk_of


def wait_for(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


def desk_with(n: int, folder: Path) -> Desk:
    desk = desk_of([f"text number {i}" for i in range(60)], folder)
    for key in list(desk.items)[:n]:
        desk.save(key, "0", Said({"start": 0, "end": 4}))
    return desk


def retraining_of(desk: Desk, folder: Path, every: int, arguments: Sequence[str]) -> tuple[Retraining, list[Path]]:
    """With a command that ends at once in place of a training; its run is made before."""
    models: list[Path] = []

    def made(train: Path, validation: Path | None, run: Path) -> Sequence[str]:
        (run / "model").mkdir(parents=True)
        return arguments

    how = How(every, made, lambda run: RunScore("F1", 60.0, 50.0, 70.0, 10), lambda run: run / "model")
    return Retraining(desk, folder, how, lambda model, n: models.append(model)), models


def test_a_training_gives_a_model_and_a_point_of_the_curve(tmp_path: Path) -> None:
    desk = desk_with(20, tmp_path)
    retraining, models = retraining_of(desk, tmp_path, 20, ["--version"])
    assert retraining.open() is None
    retraining.consider()
    wait_for(lambda: retraining.told()["state"] == "waiting")
    assert models == [tmp_path / "runs" / "0001" / "model"]
    (point,) = retraining.told()["points"]
    assert (point["n_labels"], point["value"]) == (desk.counts().for_training, 60.0)
    assert retraining.told()["next_in"] == 20
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    measured = [json.loads(line) for line in (tmp_path / "validation.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) + len(measured) == 20
    again, _ = retraining_of(desk, tmp_path, 20, [])
    assert again.open() == models[0]
    assert again.points == retraining.points


def test_it_waits_until_enough_have_come_and_never_runs_twice(tmp_path: Path) -> None:
    desk = desk_with(10, tmp_path)
    retraining, models = retraining_of(desk, tmp_path, 20, ["--version"])
    retraining.open()
    retraining.consider()
    assert retraining.told()["state"] == "waiting"
    assert retraining.told()["next_in"] == 10
    assert retraining.start()
    assert not retraining.start()
    wait_for(lambda: len(models) == 1)


def test_a_training_that_fails_is_told_and_labelling_goes_on(tmp_path: Path) -> None:
    desk = desk_with(20, tmp_path)
    retraining, models = retraining_of(desk, tmp_path, 20, ["train", "--no-such-flag"])
    retraining.open()
    retraining.consider()
    wait_for(lambda: retraining.told()["state"] == "failed")
    assert "no flag --no-such-flag" in retraining.told()["problem"]
    assert models == []
    key = next(iter(item.key for item in desk.unlabelled()))
    desk.save(key, "0", Said({"start": 0, "end": 4}))


def test_how_far_a_training_is_stands_in_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert _steps(log) == (0, 0)
    lines = [{"kind": "start"}, {"kind": "step", "step": 9, "n_steps": 40}, {"kind": "epoch", "step": 9}]
    log.write_text("".join(json.dumps(each) + "\n" for each in lines) + '{"kind": "step", "st', encoding="utf-8")
    assert _steps(log) == (10, 40)


def test_too_few_labels_are_told(tmp_path: Path) -> None:
    desk = desk_with(1, tmp_path)
    retraining, _ = retraining_of(desk, tmp_path, 0, [])
    retraining.open()
    assert not retraining.start()
    assert f"needs {FEWEST} labels" in retraining.told()["problem"]


_PARENT = """
import subprocess, sys
command = ["serve", sys.argv[1], "--port", "0", "--threads", "1"]
command = [sys.executable, "-m", "distiltune.labelling.niced", *command]
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stdout)
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes as Linux shows them")
def test_the_child_gives_way_and_ends_with_whoever_started_it_even_by_kill_9(people_model: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(people_model)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert "http://" in parent.stdout.readline(), "it runs the command"
    assert os.getpriority(os.PRIO_PROCESS, child) >= os.getpriority(os.PRIO_PROCESS, 0) + 10
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()

    def is_gone() -> bool:
        stat = Path(f"/proc/{child}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"

    wait_for(is_gone)


def test_closing_ends_what_runs(tmp_path: Path, people_model: Path) -> None:
    desk = desk_with(20, tmp_path)
    retraining, models = retraining_of(desk, tmp_path, 0, ["serve", str(people_model), "--port", "0"])
    retraining.open()
    assert retraining.start()
    retraining.close()
    assert retraining._child is not None
    assert retraining._child.poll() is not None
    assert not retraining.start()
    assert models == []
