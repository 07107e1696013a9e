"""Several processes give what one gives. Real processes, started as a user starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from safetensors.torch import load_file

from distiltune.training.distributed import Processes, in_turn, processes
from tests.helpers import TINY, people, write_squad, write_tiny_model

pytestmark = pytest.mark.skipif(not dist.is_gloo_available(), reason="this PyTorch has no gloo")

SETTINGS = (
    *("--epochs", "2", "--batch-size", "7", "--max-length", "64", "--stride", "16"),
    *("--dropout", "0", "--attention-dropout", "0", "--head-dropout", "0", "--threads", "1", "--log-every", "1"),
)


def command(folder: Path, output: Path, n_processes: int) -> list[str]:
    start = [sys.executable]
    if n_processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n_processes)]
    train = [
        "-m",
        "distiltune",
        "train",
        "--train",
        str(folder / "train.json"),
        "--validation",
        str(folder / "dev.json"),
    ]
    return [*start, *train, "--model", str(folder / "model"), "--output", str(output), *SETTINGS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("distributed")
    known = people()
    write_squad(path / "train.json", known.examples[:23])  # 23 of 7 a batch: the last of 2
    write_squad(path / "dev.json", known.examples[23:])
    shape = replace(TINY, vocab_size=known.tokenizer.get_vocab_size(), max_position_embeddings=64)
    write_tiny_model(path / "model", known.tokenizer, shape)
    return path


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}


def log(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == kind]


@pytest.mark.parametrize("n_processes", [2, 3])
def test_losses_and_weights_are_those_of_one_process(folder: Path, n_processes: int) -> None:
    runs = [folder / "one", folder / f"several{n_processes}"]
    for run, n in zip(runs, (1, n_processes), strict=True):
        if not run.exists():
            options: Any = {"env": environment(folder), "capture_output": True, "text": True, "timeout": 240}
            done = subprocess.run(command(folder, run, n), check=False, **options)
            assert done.returncode == 0, done.stderr
            assert done.stdout.count("Validation Loss") <= 1, "one process talks"
    one, several = (log(run, "step") for run in runs)
    assert len(one) == len(several) == 8
    for ours, expected in zip(several, one, strict=True):
        assert ours["loss"] == pytest.approx(expected["loss"], abs=2e-6)
    epochs = [log(run, "epoch") for run in runs]
    for ours, expected in zip(epochs[1], epochs[0], strict=True):
        assert (ours["n_features"], ours["n_tokens"]) == (expected["n_features"], expected["n_tokens"])
        for name, value in expected["validation"].items():
            assert ours["validation"][name] == pytest.approx(value, abs=1e-4), name
    weights = [load_file(run / "model" / "model.safetensors") for run in runs]
    for name, value in weights[0].items():
        assert float((weights[1][name] - value).abs().max()) < 1e-4, name
    answers = [json.loads((run / "predictions.json").read_text(encoding="utf-8")) for run in runs]
    assert answers[0] == answers[1]


def test_all_end_when_one_is_killed(folder: Path) -> None:
    started = subprocess.Popen(
        [*command(folder, folder / "killed", 2), "--epochs", "100000", "--overwrite"],
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        children = wait_for_children(started.pid, 2)
        wait_for_a_step(folder / "killed" / "log.jsonl")
        os.kill(children[-1], signal.SIGKILL)
        assert started.wait(timeout=60) != 0
        assert not any(Path(f"/proc/{child}/stat").exists() for child in children)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)


def wait_for_children(pid: int, n: int) -> list[int]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if len(children) >= n:
            return [int(child) for child in children]
        time.sleep(0.1)
    raise AssertionError("the processes did not start")


def wait_for_a_step(path: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if path.exists() and '"step"' in path.read_text(encoding="utf-8"):
            return
        time.sleep(0.1)
    raise AssertionError("no step was logged")


def test_one_process_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert processes() == Processes(0, 1, 0, 1)
    for name, value in (("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "4")):
        monkeypatch.setenv(name, value)
    assert processes() == Processes(5, 8, 1, 4)
    assert not processes().writes


@pytest.mark.parametrize("place", [0, 1])
def test_the_others_wait_as_long_as_the_first_takes(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    """Not in a collective of the training, which gives up after 10 or 30 minutes."""
    done: list[str] = []

    def new_group(backend: str, timeout: timedelta) -> str:
        assert backend == "gloo"
        assert timedelta(days=1) <= timeout < timedelta(milliseconds=2**31)
        return "patient"

    monkeypatch.setattr(dist, "new_group", new_group)
    monkeypatch.setattr(dist, "barrier", done.append)
    with in_turn(Processes(place, 2, place, 2)):
        done.append("work")
    assert done == (["work", "patient"] if place == 0 else ["patient", "work"])
    with in_turn(Processes()):
        pass
