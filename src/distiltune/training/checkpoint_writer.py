"""When a checkpoint is due, and writing it beside the training: at most an interval's work is ever lost."""

from __future__ import annotations

import contextlib
import math
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from torch import nn

from distiltune.errors import TrainingError
from distiltune.system.durable import left_over_of
from distiltune.training.checkpoint import (
    Position,
    Snapshot,
    checkpoints_in,
    is_checkpoint_name,
    take_snapshot,
    write_checkpoint,
)
from distiltune.training.optimiser import Adam

_BEST: Final = re.compile(r"best-epoch-\d+")

KEPT: Final = 2
"""Checkpoints on the disk: the last, and the one before it in case that the last turns out to be damaged."""

FRESH_S: Final = 5.0
"""So young, the last checkpoint stands for the end of an epoch before its evaluation."""


@dataclass(frozen=True, slots=True)
class CheckpointInterval:
    """Work that may be lost: optimiser steps, or minutes, whichever comes first; 0 means that this one does not count.

    A checkpoint is begun after half of it, and waited for when the whole has passed, so that at no moment there is
    more to lose, however slow the disk.
    """

    steps: int = 0
    minutes: float = 0.0

    def passed(self, steps: int, seconds: float) -> float:
        """How much of the interval this is, as a share."""
        by_steps = steps / self.steps if self.steps else 0.0
        by_time = seconds / (60 * self.minutes) if self.minutes else 0.0
        return max(by_steps, by_time)


@dataclass(frozen=True, slots=True)
class WrittenCheckpoint:
    """A checkpoint that is known to be whole: its position, the best epoch that it refers to, when it was taken."""

    position: Position
    best_epoch: int
    taken: float


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """Where checkpoints are written.

    Attributes:
        path: of the folder.
        before_writing: called on the writing thread before each checkpoint.
        make_again: makes the folder and what is around it anew, should it vanish.

    """

    path: Path
    before_writing: Callable[[], None] = lambda: None
    make_again: Callable[[], None] | None = None


class CheckpointWriter:
    """Writes the checkpoints of one run, one at a time, on a thread of its own, from copies.

    An error of the writing is raised at the next call, after one more try with as much room as can be made.
    """

    def __init__(
        self,
        folder: CheckpointFolder,
        model: nn.Module,
        optimiser: Adam,
        interval: CheckpointInterval,
        *,
        came_from: tuple[Position, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Get ready to write into ``folder``.

        Args:
            folder: where they are written.
            model: the model in training.
            optimiser: its optimiser.
            interval: the most work that may be lost.
            came_from: the position that was resumed, with its best epoch.
            clock: seconds.

        """
        self._folder, self._model, self._optimiser, self._interval = folder.path, model, optimiser, interval
        self._before_writing, self._make_again, self._clock = folder.before_writing, folder.make_again, clock
        position, best = came_from or (Position(0, 0), -1)
        self._kept = [WrittenCheckpoint(position, best, clock())]
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def last(self) -> Position:
        """The position of the last checkpoint that is whole."""
        return self._kept[-1].position

    def is_due(self, step: int) -> bool:
        """Whether one should be taken now, after ``step`` steps; waits where too much would be at stake."""
        if self._is_writing():
            if self._passed(step) < 1.0:
                return False
            self.wait()
        else:
            self.wait()  # which raises what went wrong
        return self._passed(step) >= 0.5

    def is_fresh(self) -> bool:
        """Whether the last one is on the disk, and so young that going on from it costs less than another."""
        is_young = not self._is_writing() and self._clock() - self._kept[-1].taken < FRESH_S
        return is_young and self.is_there()

    def save(self, position: Position, best_epoch: int, state: Mapping[str, Any]) -> None:
        """Take a checkpoint now and write it while training goes on.

        Raises:
            TrainingError: if it, or the one before, could not be written.

        """
        self.wait()
        if position == self.last and self.is_there():
            return
        snapshot = take_snapshot(self._model, self._optimiser, state)
        kept = WrittenCheckpoint(position, best_epoch, self._clock())
        self._thread = threading.Thread(target=self._write, args=(kept, snapshot), name="checkpoint", daemon=True)
        self._thread.start()
        if self._passed(position.steps_done) >= 1.0:
            self.wait()

    def save_best(self, epoch: int, files: Mapping[str, bytes], state: Mapping[str, Any]) -> None:
        """Write the weights as those of the best epoch; the best one before stays while a checkpoint refers to it.

        Raises:
            TrainingError: if it cannot be written.

        """
        self.wait()
        snapshot = take_snapshot(self._model, None, state)
        directory = best_checkpoint(self._folder, epoch)
        try:
            try:
                write_checkpoint(directory, snapshot, files)
            except OSError:
                self._make_room(epoch, directory)
                write_checkpoint(directory, snapshot, files)
        except OSError as error:
            raise self._cannot_write(error) from error

    def wait(self) -> None:
        """Wait until what is being written is whole.

        Raises:
            TrainingError: if it could not be written.

        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise self._cannot_write(error) from error

    def is_there(self) -> bool:
        """Whether the last checkpoint is on the disk; at the very start of a run there is none."""
        return (self._folder / self.last.name).is_dir()

    def tidy(self, best_epoch: int) -> None:
        """The run is done: keep the last checkpoint and the best epoch's, nothing else."""
        self.wait()
        self._prune(self._kept[-1:], {best_epoch})

    def _is_writing(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _passed(self, step: int) -> float:
        last = self._kept[-1]
        return self._interval.passed(step - last.position.steps_done, self._clock() - last.taken)

    def _write(self, kept: WrittenCheckpoint, snapshot: Snapshot) -> None:
        directory = self._folder / kept.position.name
        try:
            self._before_writing()
            self._rescue_if_vanished(directory, snapshot)
            try:
                write_checkpoint(directory, snapshot)
            except OSError:
                self._rescue_if_vanished(directory, snapshot)  # while it was being written
                self._make_room(kept.best_epoch, directory)
                write_checkpoint(directory, snapshot)
            self._kept.append(kept)
            self._prune(self._kept[-KEPT:], {each.best_epoch for each in self._kept[-KEPT:]})
            del self._kept[:-KEPT]
        except BaseException as error:  # raised at the next call, on the thread that trains
            self._error = error

    def _rescue_if_vanished(self, directory: Path, snapshot: Snapshot) -> None:
        """Where everything else is gone, write what is in memory, and say so. The best epoch's weights are gone too."""
        if self._make_again is None or self._folder.is_dir():
            return
        self._make_again()
        best = {**snapshot.state["best"], "epoch": -1, "value": math.nan, "n_since": 0}
        write_checkpoint(directory, replace(snapshot, state={**snapshot.state, "best": best, "log_bytes": 0}))
        raise TrainingError(
            "The run directory has vanished. It was made again, and what was in memory is saved there; the log and the "
            "best epoch so far are lost.",
            where=str(self._folder.parent),
            fix=f"go on with: distiltune train --resume {self._folder.parent}",
        )

    def _make_room(self, best_epoch: int, directory: Path) -> None:
        """Give up the spare checkpoint, so that the disk has room for another try of this one with this best epoch.

        The one to be tried again may be there already, if only bringing its name to the disk failed: it stays.
        """
        self._prune(self._kept[-1:], {best_epoch, *(each.best_epoch for each in self._kept)}, directory.name)

    def _prune(self, kept: list[WrittenCheckpoint], best_epochs: set[int], *more: str) -> None:
        """Remove all other checkpoints and what earlier removals and failed writes left, as far as that can be done."""
        names = {*more, *(each.position.name for each in kept)}
        with contextlib.suppress(OSError):  # what cannot be listed stays until the next time
            for position in checkpoints_in(self._folder):
                if position.name not in names:
                    remove(self._folder / position.name)
        bests = {best_checkpoint(self._folder, epoch).name for epoch in best_epochs} | set(more)
        for path in self._folder.glob("best-epoch-*"):
            if path.name not in bests and _BEST.fullmatch(path.name):
                remove(path)
        clear_hidden(self._folder)

    def _cannot_write(self, error: BaseException) -> TrainingError:
        if isinstance(error, TrainingError):
            return error
        reason = (error.strerror if isinstance(error, OSError) else None) or f"{type(error).__name__}: {error}"
        kept = f"the checkpoint of step {self.last.steps_done} is kept; " if self.is_there() else ""
        return TrainingError(
            f"The checkpoint cannot be written: {reason}.",
            where=str(self._folder),
            fix=f"{kept}make room or rights there, then: distiltune train --resume {self._folder.parent}",
        )


def best_checkpoint(folder: Path, epoch: int) -> Path:
    """Where the weights and answers of the best epoch are, if it is this one."""
    return folder / f"best-epoch-{epoch}"


def clear_hidden(folder: Path) -> None:
    """Remove what earlier removals and broken-off writes of checkpoints left; what has another name stays."""
    for path in folder.glob(".*"):
        name = path.name.removeprefix(".").removesuffix(".gone") if path.name.endswith(".gone") else left_over_of(path)
        if name and (is_checkpoint_name(name) or _BEST.fullmatch(name)) and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def remove(directory: Path) -> None:
    """Remove a checkpoint; its list of checksums goes first, so that a part of it is never taken for a whole one."""
    hidden = directory.with_name(f".{directory.name}.gone")
    shutil.rmtree(hidden, ignore_errors=True)
    try:
        directory.rename(hidden)
    except OSError:
        hidden = directory
    for _ in range(2):  # what fails once may well succeed
        shutil.rmtree(hidden, ignore_errors=True)
