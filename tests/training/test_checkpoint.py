from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from distiltune.errors import TrainingError
from distiltune.system import durable
from distiltune.system.durable import CHECKSUMS
from distiltune.system.tensor_file import write_tensors
from distiltune.training import checkpoint
from distiltune.training.checkpoint import (
    Position,
    checkpoints_in,
    random_states,
    read_checkpoint,
    read_weights,
    restore,
    set_random_states,
    take_snapshot,
    write_checkpoint,
)
from distiltune.training.optimiser import Adam

CPU = torch.device("cpu")
FILES = {"weights.safetensors", "optimiser.safetensors", "state.json", CHECKSUMS}


def model_of(value: float) -> nn.Module:
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.fill_(value)
        model.bias.fill_(value)
    return model


def trained(value: float = 1.0, n_steps: int = 1) -> tuple[nn.Module, Adam]:
    model = model_of(value)
    optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    optimiser.learning_rate = 0.1
    for step in range(n_steps):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 2.0 + step)
        optimiser.step()
    return model, optimiser


def write(directory: Path, value: float = 1.0) -> None:
    model, optimiser = trained(value, n_steps=0)
    snapshot = take_snapshot(model, optimiser, {"value": value})
    snapshot = checkpoint.Snapshot(snapshot.weights, {"0.exp_avg": torch.zeros(2)}, snapshot.state)
    write_checkpoint(directory, snapshot, {"notes.txt": b"notes"})


def value_in(directory: Path) -> float:
    snapshot = read_checkpoint(directory)
    (value,) = {float(value) for tensor in snapshot.weights.values() for value in tensor.flatten()}
    assert value == snapshot.state["value"]
    return value


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "last", 3.0)
    assert value_in(tmp_path / "last") == 3.0
    assert names(tmp_path) == {"last"}
    assert names(tmp_path / "last") == FILES | {"notes.txt"}


def test_sha256sum_can_check_it(tmp_path: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("needs sha256sum")
    write(tmp_path / "last")
    subprocess.run(["sha256sum", "--check", "--strict", CHECKSUMS], cwd=tmp_path / "last", check=True)


def test_training_goes_on_bit_by_bit(tmp_path: Path) -> None:
    model, optimiser = trained(n_steps=3)
    write_checkpoint(tmp_path / "last", take_snapshot(model, optimiser, {}))
    expected = torch.rand(2).tolist(), np.random.random(2).tolist(), random.random()
    again, new = trained(9.0, n_steps=1)
    torch.rand(7), np.random.random(7), random.random()
    restore(read_checkpoint(tmp_path / "last"), again, new)
    assert (torch.rand(2).tolist(), np.random.random(2).tolist(), random.random()) == expected
    for one, two in ((model, optimiser), (again, new)):
        for parameter in one.parameters():
            parameter.grad = torch.full_like(parameter, 0.3)
        two.learning_rate = 0.01
        two.step()
    for ours, theirs in zip(again.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_snapshot_does_not_change_with_the_model(tmp_path: Path) -> None:
    model, optimiser = trained()
    snapshot = take_snapshot(model, optimiser, {})
    before = {name: value.clone() for name, value in snapshot.weights.items()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    assert all(torch.equal(snapshot.weights[name], before[name]) for name in before)


def test_random_states_go_through_json() -> None:
    np.random.standard_normal()
    states = json.loads(json.dumps(random_states(CPU)))
    expected = float(np.random.standard_normal()), float(torch.rand(1)), random.gauss()
    set_random_states(states, CPU)
    assert (float(np.random.standard_normal()), float(torch.rand(1)), random.gauss()) == expected


def test_the_random_state_of_a_gpu_is_that_of_the_trainings_own(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = [torch.full((16,), number, dtype=torch.uint8) for number in range(3)]

    def set_state(state: torch.Tensor, device: torch.device) -> None:
        gpus[device.index] = state

    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: gpus[device.index])
    monkeypatch.setattr(torch.cuda, "set_rng_state", set_state)
    states = json.loads(json.dumps(random_states(torch.device("cuda", 2))))
    set_random_states(states, torch.device("cuda", 1))
    assert [int(state[0]) for state in gpus] == [0, 2, 2]
    set_random_states(states, CPU)  # where it goes on without one
    assert "cuda" not in random_states(CPU)


def test_another_model_is_refused(tmp_path: Path) -> None:
    model, optimiser = trained()
    snapshot = take_snapshot(model, optimiser, {})
    other = nn.Linear(4, 2)
    with pytest.raises(TrainingError, match="does not fit"):
        restore(snapshot, other, Adam(other, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_tensors_of_every_type_and_form_are_read_by_the_library(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {
        "turned": torch.arange(6).view(2, 3).to(dtype).T,
        "scalar": torch.ones((), dtype=dtype),
        "empty": torch.ones(0, 3, dtype=dtype),
        "single": torch.ones(3),
    }
    write_tensors(tmp_path / "x.safetensors", tensors)
    read = load_file(tmp_path / "x.safetensors")
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], value) for name, value in tensors.items())


def cut_short(directory: Path) -> None:
    data = (directory / "weights.safetensors").read_bytes()
    (directory / "weights.safetensors").write_bytes(data[:-4])


def put(name: str, text: str) -> Callable[[Path], None]:
    def write_text(directory: Path) -> None:
        (directory / name).write_text(text)

    return write_text


def drop_a_line(directory: Path) -> None:
    lines = (directory / CHECKSUMS).read_text().splitlines(keepends=True)
    (directory / CHECKSUMS).write_text("".join(line for line in lines if "optimiser" not in line))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut short": cut_short,
    "weights gone": lambda directory: (directory / "weights.safetensors").unlink(),
    "state gone": lambda directory: (directory / "state.json").unlink(),
    "checksums gone": lambda directory: (directory / CHECKSUMS).unlink(),
    "state cut": put("state.json", '{"epochs_done": 1,'),
    "state a list": put("state.json", "[]"),
    "checksums empty": put(CHECKSUMS, ""),
    "checksums of elsewhere": put(CHECKSUMS, f"{'0' * 64}  ../weights.safetensors\n"),
    "a checksum less": drop_a_line,
    "all gone": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_detected(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    write(tmp_path / "last")
    damage(tmp_path / "last")
    with pytest.raises(TrainingError) as caught:
        read_checkpoint(tmp_path / "last")
    assert str(tmp_path / "last") in caught.value.where


def test_every_flipped_bit_is_detected(tmp_path: Path) -> None:
    """1,000 bits drawn over all files of a checkpoint, the list of checksums among them."""
    write(tmp_path / "last")
    draw = random.Random(0)
    files = sorted((tmp_path / "last").iterdir())
    for _ in range(1_000):
        file = draw.choice(files)
        before = file.read_bytes()
        data = bytearray(before)
        bit = draw.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        file.write_bytes(data)
        with pytest.raises(TrainingError):
            read_checkpoint(tmp_path / "last")
        file.write_bytes(before)
    assert value_in(tmp_path / "last") == 1.0


def test_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "last")
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    with pytest.raises(TrainingError, match="another version"):
        read_checkpoint(tmp_path / "last")


def test_places_are_in_order(tmp_path: Path) -> None:
    places = [Position(9, 0), Position(100, 1), Position(100, 2), Position(100_000_000, 3)]
    for position in reversed(places):
        (tmp_path / position.name).mkdir()
    for other in ("best-epoch-1", ".step-00000007-epochs-0.new", "step-7", "base"):
        (tmp_path / other).mkdir()
    assert checkpoints_in(tmp_path) == places[::-1]
    assert checkpoints_in(tmp_path / "absent") == []
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        checkpoints_in(tmp_path / "file")


class Killed(BaseException):
    """The process ends here."""


def kill_at(call: int, patch: pytest.MonkeyPatch) -> list[str]:
    """End the process just before the ``call``-th time that something on disk would change; counts from 0."""
    calls: list[str] = []

    def guarded(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def guard(*arguments: Any, **named: Any) -> Any:
            calls.append(name)
            if len(calls) > call:
                raise Killed
            return original(*arguments, **named)

        patch.setattr(owner, name, guard)

    for owner, name in (
        (Path, "mkdir"),
        (Path, "rename"),
        (checkpoint, "write_tensors"),
        (checkpoint, "write_synced"),
        (durable, "sync"),
        (shutil, "rmtree"),
    ):
        guarded(owner, name)
    return calls


@pytest.mark.parametrize("replaced", [False, True])
def test_whenever_it_is_killed_there_is_a_whole_checkpoint_or_none(tmp_path: Path, replaced: bool) -> None:
    n_changes = 0
    while True:
        directory = tmp_path / f"{n_changes}" / "last"
        directory.parent.mkdir()
        if replaced:
            write(directory, 1.0)
        with pytest.MonkeyPatch.context() as patch:
            calls = kill_at(n_changes, patch)
            try:
                write(directory, 2.0)
                break
            except Killed:
                pass
        if directory.exists():
            assert value_in(directory) in ((1.0, 2.0) if replaced else (2.0,)), calls
        write(directory, 4.0)  # whatever was left behind does not keep the next one from being written
        assert value_in(directory) == 4.0
        assert names(directory.parent) == {"last"}
        n_changes += 1
    assert n_changes > 6


def test_everything_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    original = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        original(descriptor)

    rename = Path.rename

    def note_rename(self: Path, target: Path) -> Path:
        synced.append("RENAME")
        return rename(self, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", note_rename)
    write(tmp_path / "last")
    before, after = synced[: synced.index("RENAME")], synced[synced.index("RENAME") + 1 :]
    assert set(before) > FILES
    assert before[-1].startswith(".last.")
    assert after == [tmp_path.name]


def test_a_full_disk_leaves_nothing_of_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "last", 1.0)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "last", 2.0)
    monkeypatch.undo()
    assert value_in(tmp_path / "last") == 1.0
    assert names(tmp_path) == {"last"}


def test_weights_alone(tmp_path: Path) -> None:
    model, _ = trained(2.0, n_steps=0)
    write_checkpoint(tmp_path / "best", take_snapshot(model, None, {}))
    assert names(tmp_path / "best") == FILES - {"optimiser.safetensors"}
    assert set(read_weights(tmp_path / "best")) == {"weight", "bias"}
    with pytest.raises(TrainingError):
        read_checkpoint(tmp_path / "best")
