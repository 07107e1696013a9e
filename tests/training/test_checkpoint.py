from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from distiltune.errors import TrainingError
from distiltune.training import checkpoint
from distiltune.training.checkpoint import Place, read_weights, write_checkpoint
from distiltune.training.optimiser import make_optimiser, set_learning_rate


def model_of(value: float) -> nn.Module:
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.fill_(value)
        model.bias.fill_(value)
    return model


def write(directory: Path, value: float = 1.0, optimiser: torch.optim.Optimizer | None = None) -> None:
    write_checkpoint(directory, model_of(value), optimiser, Place(2, 7), {"best_epoch": 1})


def value_in(directory: Path) -> float:
    weights = read_weights(directory)
    assert weights.keys() == {"weight", "bias"}
    (value,) = {float(value) for tensor in weights.values() for value in tensor.flatten()}
    return value


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "checkpoints" / "best", 3.0)
    assert value_in(tmp_path / "checkpoints" / "best") == 3.0
    assert names(tmp_path / "checkpoints") == {"best"}
    assert names(tmp_path / "checkpoints" / "best") == {"weights.safetensors", "state.json"}


def test_the_state_holds_place_random_state_and_a_checksum_of_each_file(tmp_path: Path) -> None:
    torch.manual_seed(11)
    model = model_of(0.0)
    optimiser = make_optimiser(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    write_checkpoint(tmp_path / "last", model, optimiser, Place(2, 7), {"best_epoch": 1})
    state = json.loads((tmp_path / "last" / "state.json").read_text())
    assert (state["epochs_done"], state["steps_done"], state["best_epoch"]) == (2, 7, 1)
    files = names(tmp_path / "last") - {"state.json"}
    assert files == {"weights.safetensors", "optimiser.safetensors"}
    assert state["sha256"] == {
        name: hashlib.sha256((tmp_path / "last" / name).read_bytes()).hexdigest() for name in files
    }
    expected = torch.rand(3)
    torch.set_rng_state(torch.frombuffer(bytearray.fromhex(state["torch_random_state"]), dtype=torch.uint8))
    assert torch.equal(torch.rand(3), expected)


def test_the_optimisers_moments_are_kept(tmp_path: Path) -> None:
    model = model_of(0.5)
    optimiser = make_optimiser(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    set_learning_rate(optimiser, 0.1)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 2.0)
    optimiser.step()
    write_checkpoint(tmp_path / "last", model, optimiser, Place(1, 1), {})
    kept = load_file(tmp_path / "last" / "optimiser.safetensors")
    expected = optimiser.state_dict()["state"]
    assert kept.keys() == {f"{number}.{name}" for number, values in expected.items() for name in values}
    for number, values in expected.items():
        for name, value in values.items():
            assert torch.equal(kept[f"{number}.{name}"], torch.as_tensor(value))
    assert float(kept["0.exp_avg"].flatten()[0]) == pytest.approx(0.2)


def test_a_view_is_kept(tmp_path: Path) -> None:
    model = nn.Module()
    whole = torch.arange(6.0).view(2, 3)
    model.register_buffer("turned", whole.T)
    write_checkpoint(tmp_path / "last", model, None, Place(1, 1), {})
    assert torch.equal(read_weights(tmp_path / "last")["turned"], whole.T)


def test_a_new_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    write(tmp_path / "last", 1.0)
    (tmp_path / "last" / "something").write_text("")
    write(tmp_path / "last", 2.0)
    assert value_in(tmp_path / "last") == 2.0
    assert names(tmp_path) == {"last"}
    assert "something" not in names(tmp_path / "last")


def flip_a_byte(directory: Path) -> None:
    data = bytearray((directory / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (directory / "weights.safetensors").write_bytes(data)


def cut_short(directory: Path) -> None:
    data = (directory / "weights.safetensors").read_bytes()
    (directory / "weights.safetensors").write_bytes(data[:-4])


def put_state(text: str) -> Callable[[Path], None]:
    def write_state(directory: Path) -> None:
        (directory / "state.json").write_text(text)

    return write_state


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a byte flipped": flip_a_byte,
    "cut short": cut_short,
    "weights gone": lambda directory: (directory / "weights.safetensors").unlink(),
    "state gone": lambda directory: (directory / "state.json").unlink(),
    "state cut": put_state('{"epochs_done": 1,'),
    "state without checksums": put_state('{"epochs_done": 1}'),
    "state a list": put_state("[]"),
    "checksums a list": put_state('{"sha256": []}'),
    "all gone": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_detected(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    write(tmp_path / "last")
    damage(tmp_path / "last")
    with pytest.raises(TrainingError) as caught:
        read_weights(tmp_path / "last")
    assert str(tmp_path / "last") in caught.value.where


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
        (Path, "write_text"),
        (checkpoint, "save_file"),
        (checkpoint, "_sync"),
        (shutil, "rmtree"),
    ):
        guarded(owner, name)
    return calls


def write_until_killed(directory: Path, value: float, call: int) -> bool:
    """Write, but end the process at that change; whether the writing was done by then."""
    with pytest.MonkeyPatch.context() as patch:
        kill_at(call, patch)
        try:
            write(directory, value)
        except Killed:
            return False
    return True


def test_whenever_it_is_killed_a_whole_checkpoint_is_read(tmp_path: Path) -> None:
    """Killed once at every place, and while writing the next one once more at every place."""
    n_changes = 0
    while not write_until_killed(tmp_path / f"count-{n_changes}" / "last", 1.0, n_changes):
        n_changes += 1
    assert n_changes > 8
    for first, second in itertools.product(range(n_changes + 2), repeat=2):
        directory = tmp_path / f"{first}-{second}" / "last"
        write(directory, 1.0)
        write_until_killed(directory, 2.0, first)
        assert value_in(directory) in (1.0, 2.0), f"killed before change {first}"
        write_until_killed(directory, 3.0, second)
        assert value_in(directory) in (1.0, 2.0, 3.0), f"killed before changes {first} and {second}"
        # Whatever was left behind does not keep the next one from being written.
        write(directory, 4.0)
        assert value_in(directory) == 4.0
        assert names(directory.parent) == {"last"}


def test_the_new_one_is_on_the_disk_before_the_old_one_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "last", 1.0)
    calls = kill_at(1_000, monkeypatch)
    write(tmp_path / "last", 2.0)
    first_rename, last_rename = calls.index("rename"), len(calls) - 1 - calls[::-1].index("rename")
    assert calls[:first_rename].count("_sync") == 3  # weights, state, their directory
    assert calls[last_rename + 1 :] == ["_sync", "rmtree"]


def test_a_checkpoint_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written") as caught:
        write(tmp_path / "file" / "last")
    assert caught.value.where == str(tmp_path / "file" / "last")


def test_a_full_disk_says_so_and_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What safetensors raises is no OSError: here it is made to write where it cannot."""
    write(tmp_path / "last", 1.0)
    monkeypatch.setattr(checkpoint, "save_file", lambda tensors, path: save_file(tensors, tmp_path / "absent" / "file"))
    with pytest.raises(TrainingError, match="cannot be written") as caught:
        write(tmp_path / "last", 2.0)
    assert "No such file or directory" in str(caught.value)
    assert value_in(tmp_path / "last") == 1.0
