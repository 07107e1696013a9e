from __future__ import annotations

import errno
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from distiltune.errors import TrainingError
from distiltune.training import checkpoint_writer as module
from distiltune.training.checkpoint import Position, Snapshot, read_checkpoint, write_checkpoint
from distiltune.training.checkpoint_writer import FRESH_S, CheckpointFolder, CheckpointInterval, CheckpointWriter
from distiltune.training.optimiser import Adam

STATE: dict[str, Any] = {"best": {"epoch": -1}}


class Folder:
    """A checkpointer on a folder, with a clock that is set by hand."""

    def __init__(
        self,
        path: Path,
        interval: CheckpointInterval | None = None,
        came_from: tuple[Position, int] | None = None,
        **named: Any,
    ) -> None:
        self.now = 1_000.0
        self.path = path
        self.model = torch.nn.Linear(2, 2)
        optimiser = Adam(self.model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
        for parameter in self.model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimiser.step()
        self.it = CheckpointWriter(
            CheckpointFolder(path, **named),
            self.model,
            optimiser,
            interval or CheckpointInterval(),
            came_from=came_from,
            clock=lambda: self.now,
        )

    def save(self, step: int, epochs: int = 0, best: int = -1) -> None:
        self.it.save(Position(step, epochs), best, {**STATE, "step": step})

    @property
    def names(self) -> set[str]:
        return {path.name for path in self.path.iterdir()}


def test_an_interval_is_passed_by_steps_or_by_time() -> None:
    assert CheckpointInterval(10, 2.0).passed(5, 0.0) == 0.5
    assert CheckpointInterval(10, 2.0).passed(1, 180.0) == 1.5
    assert CheckpointInterval(0, 0.0).passed(10**6, 1e9) == 0.0


def test_one_is_due_after_half_of_the_interval(tmp_path: Path) -> None:
    folder = Folder(tmp_path, CheckpointInterval(10, 2.0))
    assert [step for step in range(1, 11) if folder.it.is_due(step)] == [5, 6, 7, 8, 9, 10]
    folder.save(5)
    folder.it.wait()
    assert [step for step in range(6, 14) if folder.it.is_due(step)] == [10, 11, 12, 13]
    folder.now += 59.0
    assert not folder.it.is_due(6)
    folder.now += 1.0
    assert folder.it.is_due(6)


class SlowDisk:
    """Writes begin and do not end before they are let go."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.may_end = threading.Event()
        patch.setattr(module, "write_checkpoint", self.write)

    def write(self, directory: Path, snapshot: Snapshot, files: Mapping[str, bytes] | None = None) -> None:
        assert self.may_end.wait(30)
        write_checkpoint(directory, snapshot, files)


def test_one_is_fresh_while_it_is_young_and_there(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert not folder.it.is_fresh(), "there is none at the beginning"
    folder.save(3)
    folder.it.wait()
    assert folder.it.is_fresh()
    folder.now += FRESH_S
    assert not folder.it.is_fresh()
    folder.save(4)
    folder.it.wait()
    shutil.rmtree(tmp_path / Position(4, 0).name)
    assert not folder.it.is_fresh()


def test_training_goes_on_while_it_is_written_but_not_beyond_the_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    folder = Folder(tmp_path, CheckpointInterval(10, 0.0))
    folder.save(5)
    assert not any(folder.it.is_due(step) for step in range(6, 10))
    assert folder.names == set()
    timer = threading.Timer(0.2, disk.may_end.set)
    timer.start()
    assert folder.it.is_due(10)  # which has waited
    assert disk.may_end.is_set()
    assert folder.it.last == Position(5, 0)


def test_with_an_interval_of_one_step_every_step_is_safe_before_the_next(tmp_path: Path) -> None:
    folder = Folder(tmp_path, CheckpointInterval(1, 0.0))
    for step in (1, 2, 3):
        assert folder.it.is_due(step)
        folder.save(step)
        assert folder.it.last == Position(step, 0)


def test_two_are_kept_and_the_best_epochs_that_they_refer_to(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for epoch in range(3):
        folder.it.save_best(epoch, {"answers.json": b"{}"}, STATE)
        folder.save(10 * epoch + 10, epoch + 1, best=epoch)
    folder.it.wait()
    assert folder.names == {
        *("best-epoch-1", "best-epoch-2", "step-00000020-epochs-2", "step-00000030-epochs-3"),
    }
    folder.it.tidy(2)
    assert folder.names == {"best-epoch-2", "step-00000030-epochs-3"}
    assert (tmp_path / "best-epoch-2" / "answers.json").read_bytes() == b"{}"


def test_the_resumed_one_is_kept_as_the_one_before(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.save(5)
    folder.it.wait()
    again = Folder(tmp_path, came_from=(Position(5, 0), -1))
    again.save(9)
    again.it.wait()
    assert folder.names == {"step-00000005-epochs-0", "step-00000009-epochs-0"}


def test_what_is_written_is_what_was_there_when_it_was_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SlowDisk(monkeypatch)
    folder = Folder(tmp_path)
    before = folder.model.weight.detach().clone()
    folder.save(5)
    with torch.no_grad():
        folder.model.weight.add_(1.0)
    disk.may_end.set()
    folder.it.wait()
    assert torch.equal(read_checkpoint(tmp_path / "step-00000005-epochs-0").weights["weight"], before)


class FullDisk:
    """The first ``n`` writes fail."""

    def __init__(self, patch: pytest.MonkeyPatch, n: int) -> None:
        self.left = n
        patch.setattr(module, "write_checkpoint", self.write)

    def write(self, directory: Path, snapshot: Snapshot, files: Mapping[str, bytes] | None = None) -> None:
        self.left -= 1
        if self.left >= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_checkpoint(directory, snapshot, files)


def test_a_failed_write_is_tried_again_with_more_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path)
    for step in (1, 2):
        folder.save(step)
    folder.it.wait()
    FullDisk(monkeypatch, 1)
    folder.save(3)
    folder.it.wait()
    assert folder.names == {"step-00000002-epochs-0", "step-00000003-epochs-0"}


def test_room_is_not_made_at_the_new_best_epochs_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is about to be written refers to a best epoch that none of the checkpoints on the disk does."""
    folder = Folder(tmp_path)
    folder.it.save_best(0, {}, STATE)
    folder.save(2, 1, best=0)
    folder.it.save_best(1, {}, STATE)
    FullDisk(monkeypatch, 1)
    folder.save(4, 2, best=1)
    folder.it.wait()
    assert {"best-epoch-1", "step-00000004-epochs-2"} <= folder.names


@pytest.mark.parametrize("best", [False, True])
def test_what_is_whole_stays_where_only_its_name_could_not_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: bool
) -> None:
    """It may be the only one there is."""
    folder = Folder(tmp_path)
    n_left = 1

    def write(directory: Path, snapshot: Snapshot, files: Mapping[str, bytes] | None = None) -> None:
        nonlocal n_left
        if n_left:
            write_checkpoint(directory, snapshot, files)
        n_left -= 1
        raise OSError(errno.EIO, "Input/output error")

    def save() -> None:
        if best:
            folder.it.save_best(0, {}, STATE)
        folder.save(2)
        folder.it.wait()

    monkeypatch.setattr(module, "write_checkpoint", write)
    with pytest.raises(TrainingError, match="Input/output error"):
        save()
    assert folder.names == {"best-epoch-0" if best else "step-00000002-epochs-0"}


def test_what_a_failed_removal_left_goes_with_the_next(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for name in (".step-00000001-epochs-0.gone", ".best-epoch-0.7-0123abcd.new", ".best-epoch-0.8-0123abcd.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.safetensors").write_bytes(b"x")
    folder.save(2)
    folder.it.wait()
    assert folder.names == {"step-00000002-epochs-0"}


@pytest.mark.parametrize("best", [False, True])
def test_a_disk_that_stays_full_is_said_and_the_last_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: bool
) -> None:
    folder = Folder(tmp_path / "checkpoints")
    folder.path.mkdir()
    folder.save(2)
    folder.it.wait()
    FullDisk(monkeypatch, 9)

    def save() -> None:
        if best:
            folder.it.save_best(0, {}, STATE)
        folder.save(3)
        folder.it.wait()

    with pytest.raises(TrainingError, match="No space left") as caught:
        save()
    assert "step 2 is kept" in caught.value.fix
    assert f"--resume {tmp_path}" in caught.value.fix
    assert folder.names == {"step-00000002-epochs-0"}


def test_the_log_is_on_the_disk_before_the_checkpoint(tmp_path: Path) -> None:
    seen: list[set[str]] = []
    folder = Folder(tmp_path, before_writing=lambda: seen.append({path.name for path in tmp_path.iterdir()}))
    folder.save(5)
    folder.it.wait()
    assert seen == [set()]


def test_a_folder_that_has_vanished_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "run" / "checkpoints"
    folder = Folder(path, make_again=lambda: path.mkdir(parents=True))
    folder.save(5, best=3)
    with pytest.raises(TrainingError, match="vanished"):
        folder.it.wait()
    state = read_checkpoint(path / "step-00000005-epochs-0").state
    assert (state["best"]["epoch"], state["log_bytes"]) == (-1, 0)


def test_a_folder_that_vanishes_while_it_is_written_to_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run" / "checkpoints"
    path.mkdir(parents=True)
    gone: list[Path] = []

    def vanish_first(*arguments: Any) -> None:
        if not gone:
            shutil.rmtree(path.parent)
            gone.append(path)
            raise FileNotFoundError(2, "No such file or directory")
        write_checkpoint(*arguments)

    monkeypatch.setattr(module, "write_checkpoint", vanish_first)
    folder = Folder(path, make_again=lambda: path.mkdir(parents=True))
    folder.save(5, best=3)
    with pytest.raises(TrainingError, match="vanished"):
        folder.it.wait()
    assert read_checkpoint(path / "step-00000005-epochs-0").state["best"]["epoch"] == -1
