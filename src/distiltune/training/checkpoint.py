"""Checkpoints: weights, optimiser, random states and plain values; written beside, with checksums, then renamed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from distiltune.errors import TrainingError
from distiltune.model.encoder import model_device
from distiltune.system.durable import (
    CHECKSUMS,
    checksum_lines,
    clear_leftovers,
    find_damage,
    write_synced,
    writing_directory,
)
from distiltune.system.tensor_file import write_tensors
from distiltune.training.optimiser import Adam

FORMAT: Final = 2
"""Raised when the meaning of what a checkpoint holds changes; another one is refused."""

_WEIGHTS, _OPTIMISER, _STATE = "weights.safetensors", "optimiser.safetensors", "state.json"
USE_ANOTHER: Final = "resume the run, which goes on from the last checkpoint that is whole"
"""What to do about one that is not."""

_NAME = re.compile(r"step-(\d{8,})-epochs-(\d+)")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a checkpoint holds, on the host.

    Attributes:
        weights: the model's tensors by name.
        optimiser: Adam's moments and counts, as `Adam.tensors` names them; empty where only the model is kept.
        state: plain values, random states among them.

    """

    weights: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far a run has come: optimiser steps done, and epochs ended with their evaluation."""

    steps_done: int
    epochs_done: int

    @property
    def name(self) -> str:
        """The checkpoint's name, which sorts as the position does."""
        return f"step-{self.steps_done:08d}-epochs-{self.epochs_done}"


def checkpoints_in(folder: Path) -> list[Position]:
    """The positions of the checkpoints in a folder, the furthest first; whether they are whole is not looked at.

    Raises:
        OSError: if the folder is there and cannot be read, which is not the same as one without checkpoints.

    """
    try:
        matches = [_NAME.fullmatch(path.name) for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted((Position(int(match[1]), int(match[2])) for match in matches if match), reverse=True)


def is_checkpoint_name(name: str) -> bool:
    """Whether a checkpoint could be called so."""
    return _NAME.fullmatch(name) is not None


def take_snapshot(model: nn.Module, optimiser: Adam | None, state: Mapping[str, Any]) -> Snapshot:
    """Copy what training is about to change, so that it can be written while training goes on."""
    return Snapshot(
        _copies(model.state_dict()),
        _copies(optimiser.tensors()) if optimiser is not None else {},
        {"format": FORMAT, "random": random_states(model_device(model)), **state},
    )


def restore(snapshot: Snapshot, model: nn.Module, optimiser: Adam) -> None:
    """Put weights, optimiser and random states back as they were.

    Raises:
        TrainingError: if the checkpoint is of another model.

    """
    try:
        model.load_state_dict(dict(snapshot.weights), strict=True)
        optimiser.restore(snapshot.optimiser)
        set_random_states(snapshot.state["random"], model_device(model))
    except (RuntimeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise TrainingError(
            f"The checkpoint does not fit the model: {str(error).splitlines()[0]}",
            fix="resume with the recipe and the model that the run was begun with",
        ) from error


def random_states(device: torch.device) -> dict[str, Any]:
    """The states of every generator that a training on the device may draw from, as plain values."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    states: dict[str, Any] = {
        "torch": torch.get_rng_state().numpy().tobytes().hex(),
        "numpy": [kind, np.asarray(keys).tobytes().hex(), int(position), int(has_gauss), float(gauss)],
        "python": random.getstate(),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device).numpy().tobytes().hex()
    if device.type == "mps":
        states["mps"] = torch.mps.get_rng_state().numpy().tobytes().hex()
    return states


def set_random_states(states: Mapping[str, Any], device: torch.device) -> None:
    """Put the generators back as ``random_states`` found them."""
    torch.set_rng_state(_bytes(states["torch"]))
    kind, keys, *others = states["numpy"]
    np.random.set_state((kind, np.frombuffer(bytes.fromhex(keys), dtype=np.uint32), *others))
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(_bytes(states["cuda"]), device)
    if "mps" in states and device.type == "mps":
        torch.mps.set_rng_state(_bytes(states["mps"]))


def write_checkpoint(directory: Path, snapshot: Snapshot, files: Mapping[str, bytes] | None = None) -> None:
    """Write a checkpoint under a name that there is not yet, or replace what is there.

    At every moment the name holds a whole checkpoint or none: it is written beside, each file is brought to the disk,
    and then renamed.

    Args:
        directory: its name; the folder that it is in must be there.
        snapshot: what it is to hold.
        files: further files by name.

    Raises:
        OSError: if it cannot be written; nothing of it is then left, as far as that can be done.

    """
    clear_leftovers(directory)
    with writing_directory(directory) as beside:
        sums = {_WEIGHTS: write_tensors(beside / _WEIGHTS, snapshot.weights)}
        if snapshot.optimiser:
            sums[_OPTIMISER] = write_tensors(beside / _OPTIMISER, snapshot.optimiser)
        state = json.dumps(snapshot.state, indent=None, separators=(",", ":")).encode() + b"\n"
        for name, content in {_STATE: state, **(files or {})}.items():
            sums[name] = write_synced(beside / name, content)
        write_synced(beside / CHECKSUMS, checksum_lines(sums))


def read_state(directory: Path, *, with_optimiser: bool = True) -> Mapping[str, Any]:
    """The plain values of a checkpoint, after checking every bit of it; no tensor is loaded.

    Raises:
        TrainingError: if it is not whole, or of another version of distiltune.

    """
    required = {_WEIGHTS, _STATE} | ({_OPTIMISER} if with_optimiser else set())
    if damage := find_damage(directory, frozenset(required)):
        raise TrainingError(f"The checkpoint is damaged: {damage}.", where=str(directory), fix=USE_ANOTHER)
    try:
        state = json.loads((directory / _STATE).read_text(encoding="utf-8"))
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise TrainingError(
                "The checkpoint was written by another version of distiltune.",
                where=str(directory),
                fix="resume with the version named in the run's recipe.toml",
            )
    except (OSError, ValueError, RecursionError) as error:
        raise _cannot_be_read(directory, error) from error
    return state


def read_checkpoint(directory: Path, *, with_optimiser: bool = True) -> Snapshot:
    """Read a checkpoint after checking every bit of it. No code in it is ever run.

    Raises:
        TrainingError: if it is not whole, or of another version of distiltune.

    """
    state = read_state(directory, with_optimiser=with_optimiser)
    try:
        optimiser = load_file(directory / _OPTIMISER) if with_optimiser else {}
        return Snapshot(load_file(directory / _WEIGHTS), optimiser, state)
    except (OSError, ValueError, SafetensorError) as error:
        raise _cannot_be_read(directory, error) from error


def _cannot_be_read(directory: Path, error: Exception) -> TrainingError:
    return TrainingError(f"The checkpoint cannot be read: {error}.", where=str(directory), fix=USE_ANOTHER)


def read_weights(directory: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint, checked.

    Raises:
        TrainingError: if the checkpoint is not whole.

    """
    return dict(read_checkpoint(directory, with_optimiser=False).weights)


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }


def _bytes(text: str) -> Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)
