"""Checkpoints: weights, optimiser, random states and the place in the data; written beside, checked, renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from distiltune.errors import TrainingError

_WEIGHTS, _OPTIMISER, _STATE = "weights.safetensors", "optimiser.safetensors", "state.json"


@dataclass(frozen=True, slots=True)
class Place:
    """How far a run has come: epochs ended and optimiser steps done."""

    epochs_done: int
    steps_done: int


def write_checkpoint(
    directory: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer | None,
    place: Place,
    extra: Mapping[str, Any],
) -> None:
    """Write a checkpoint in place of the one at ``directory``; at no time is there less than one whole checkpoint.

    Args:
        directory: its name, such as ``checkpoints/last``.
        model: its weights are kept.
        optimiser: its state is kept, if given.
        place: how far the run has come.
        extra: further plain values, kept in ``state.json``.

    Raises:
        TrainingError: if it cannot be written.

    """
    beside = directory.with_name(f".{directory.name}.new")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        files = [_WEIGHTS]
        save_file(_contiguous(model.state_dict()), beside / _WEIGHTS)
        if optimiser is not None:
            files.append(_OPTIMISER)
            save_file(_contiguous(_optimiser_tensors(optimiser)), beside / _OPTIMISER)
        state = {
            "epochs_done": place.epochs_done,
            "steps_done": place.steps_done,
            "torch_random_state": torch.get_rng_state().numpy().tobytes().hex(),
            "sha256": {name: _sha256(beside / name) for name in files},
            **extra,
        }
        (beside / _STATE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
        for path in (*(beside / name for name in files), beside / _STATE, beside):
            _sync(path)
        _swap(beside, directory)
    except (OSError, SafetensorError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise TrainingError(
            f"The checkpoint cannot be written: {reason}.",
            where=str(directory),
            fix="make room or rights there and run again",
        ) from error


def read_weights(directory: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint, checked against its checksum.

    Where writing the next one was broken off between two renames, the one before is still there and is read.

    Raises:
        TrainingError: if the checkpoint is not whole.

    """
    if not directory.exists() and _old(directory).is_dir():
        directory = _old(directory)
    try:
        state = json.loads((directory / _STATE).read_text(encoding="utf-8"))
        if _sha256(directory / _WEIGHTS) != state["sha256"][_WEIGHTS]:
            raise TrainingError("The checkpoint's weights are damaged.", where=str(directory / _WEIGHTS))
        return load_file(directory / _WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"The checkpoint cannot be read: {error}.", where=str(directory)) from error


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's moments and step counts as ``<parameter number>.<name>``, in the optimiser's own order."""
    tensors: dict[str, Tensor] = {}
    for number, values in optimiser.state_dict()["state"].items():
        for name, value in values.items():
            tensors[f"{number}.{name}"] = value if isinstance(value, Tensor) else torch.tensor(value)
    return tensors


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _swap(beside: Path, directory: Path) -> None:
    """Put ``beside`` in the place of ``directory``; the old one goes only once the new one has its name."""
    old = _old(directory)
    if directory.exists():
        shutil.rmtree(old, ignore_errors=True)
        directory.rename(old)
    beside.rename(directory)
    _sync(directory.parent)
    shutil.rmtree(old, ignore_errors=True)


def _old(directory: Path) -> Path:
    """Where the checkpoint before is kept until the new one has its name."""
    return directory.with_name(f".{directory.name}.old")


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Bring a file or directory to the disk, where the system can (Windows cannot open directories)."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
