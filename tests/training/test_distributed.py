"""Several processes give what one gives. Real processes, started as a user starts them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from distiltune.errors import TrainingError
from distiltune.training.distributed import Processes, check_same, in_turn, joined, largest_of_all, processes
from tests.helpers import TINY, people, write_squad, write_tiny_model

pytestmark = pytest.mark.skipif(not dist.is_gloo_available(), reason="this PyTorch has no gloo")

SETTINGS = (
    *("--recipe", "classic"),
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


@pytest.mark.parametrize(
    "more",
    [("--freeze", "1", "--average", "epochs", "--layer-rate-decay", "0.5"), ("--lora-rank", "2", "--average", "steps")],
    ids=["frozen", "adapters"],
)
def test_where_only_a_part_is_trained(folder: Path, more: tuple[str, ...]) -> None:
    runs = [folder / f"one-{more[1]}{more[0]}", folder / f"two-{more[1]}{more[0]}"]
    for run, n in zip(runs, (1, 2), strict=True):
        options: Any = {"env": environment(folder), "capture_output": True, "text": True, "timeout": 240}
        done = subprocess.run([*command(folder, run, n), *more], check=False, **options)
        assert done.returncode == 0, done.stderr
    weights = [load_file(run / "model" / "model.safetensors") for run in runs]
    for name, value in weights[0].items():
        assert float((weights[1][name] - value).abs().max()) < 1e-4, name
    losses = [[line["validation"]["loss"] for line in log(run, "epoch")] for run in runs]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)


LABELS = ("1", "01", "001", "2", "02", "002")


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended."""

    code: int
    output: str


def train_side_by_side(train: Sequence[Path], model: Path, output: Path, seeds: Sequence[str]) -> list[Ended]:
    """A text classifier trained by as many processes, each with its own file and its own seed of Python's hashes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    arguments = [sys.executable, "-m", "distiltune", "train", "--model", str(model), "--output", str(output)]
    begun = [
        subprocess.Popen(
            [*arguments, "--train", str(file), "--validation-share", "0", "--learning-rate", "1e-3", *SETTINGS],
            env={
                **environment(model.parent),
                "RANK": str(place),
                "LOCAL_RANK": str(place),
                "PYTHONHASHSEED": seed,
                **dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(len(train))),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for place, (file, seed) in enumerate(zip(train, seeds, strict=True))
    ]
    try:
        outputs = [each.communicate(timeout=120)[0] for each in begun]
        return [Ended(each.returncode, text) for each, text in zip(begun, outputs, strict=True)]
    finally:
        for each in begun:
            each.kill()


def write_labelled(path: Path, labels: tuple[str, ...]) -> Path:
    rows = [
        {"text": f"{word} was here", "label": label} for word, label in zip("abcdefghijkl", labels * 2, strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_labels_of_one_value_are_in_the_same_order_in_every_process(folder: Path) -> None:
    train = write_labelled(folder / "numbers.jsonl", LABELS)
    weights, labels = [], []
    for name, seeds in (("alone", "0"), ("other", "3"), ("both", "12")):
        run = folder / f"numbers-{name}"
        ended = train_side_by_side([train] * len(seeds), folder / "model", run, seeds)
        assert [each.code for each in ended] == [0] * len(seeds), ended
        weights.append(load_file(run / "model" / "model.safetensors"))
        labels.append(list(json.loads((run / "model" / "config.json").read_text())["id2label"].values()))
    assert labels == [["001", "01", "1", "002", "02", "2"]] * 3
    for name, value in weights[0].items():
        assert torch.equal(weights[1][name], value), name
        assert float((weights[2][name] - value).abs().max()) < 1e-4, name


@pytest.mark.parametrize("n_processes", [2, 3])
def test_all_stop_at_once_where_one_was_given_other_data(folder: Path, n_processes: int) -> None:
    train = [write_labelled(folder / f"{name}.jsonl", LABELS) for name in "abc"[:n_processes]]
    write_labelled(train[-1], (*LABELS[:-1], "3"))
    run = folder / f"apart{n_processes}"
    ended = train_side_by_side(train, folder / "model", run, "0" * n_processes)
    for place, each in enumerate(ended):
        assert each.code == 1, each.output
        assert "The processes cannot train one model" in each.output
        assert f"the training data (not as in process 0: {n_processes - 1})" in each.output
        assert f"the labels (not as in process 0: {n_processes - 1})" in each.output
        assert "the setting" not in each.output
        assert f"process {place} of {n_processes}" in each.output
    assert not run.exists()


def test_what_is_the_same_in_all_processes_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_gather(gathered: list[torch.Tensor], mine: torch.Tensor) -> None:
        for each in gathered:
            each.copy_(mine)
        gathered[2][1, 0] += other

    monkeypatch.setattr(dist, "all_gather", all_gather)
    other = 0
    check_same(Processes(1, 3, 1, 3), {"the data": "a", "the labels": "b"})
    other = 1
    with pytest.raises(TrainingError, match=r"same\n  the labels \(not as in process 0: 2\)\n"):
        check_same(Processes(1, 3, 1, 3), {"the data": "a", "the labels": "b"})
    check_same(Processes(), {"the data": "a"})


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


def test_processes_agree_on_the_host_also_where_each_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """At every step they ask each other whether to stop: a number on the GPU would make each step wait for it."""
    backends: list[str] = []
    monkeypatch.setattr(dist, "init_process_group", backends.append)
    two = Processes(1, 2, 1, 2)
    with joined(two, "cuda"):
        pass
    of_device = dist.distributed_c10d.BackendConfig(dist.Backend(backends[0])).get_device_backend_map()
    assert of_device == {"cpu": "gloo", "cuda": "nccl"}

    def all_reduce(number: torch.Tensor, op: object) -> None:
        assert number.device.type == "cpu"
        assert op == dist.ReduceOp.MAX
        number.fill_(15)

    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    assert largest_of_all(two, 2) == 15
    assert largest_of_all(Processes(), 2) == 2


def test_one_process_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert processes() == Processes(0, 1, 0, 1)
    for name, value in (("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "4")):
        monkeypatch.setenv(name, value)
    assert processes() == Processes(5, 8, 1, 4)
    assert not processes().writes


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"RANK": "1", "WORLD_SIZE": "2"}, "has no LOCAL_RANK, no LOCAL_WORLD_SIZE"),
        ({"RANK": "one", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}, "no number"),
        ({"RANK": "-1", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}, "no number"),
        ({"RANK": "2", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}, "cannot be"),
        ({"RANK": "0", "WORLD_SIZE": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "0"}, "cannot be"),
    ],
)
def test_what_the_environment_says_of_processes_is_checked(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str], what: str
) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=what) as caught:
        processes()
    assert "torchrun" in caught.value.fix


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
