from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from distiltune.errors import TrainingError
from distiltune.system.lock import NAME, RunLock

pytest.importorskip("fcntl")

HOLD = """
import sys, time
from pathlib import Path
from distiltune.system.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    first, second = RunLock(tmp_path), RunLock(tmp_path)
    first.acquire()
    first.acquire()
    with pytest.raises(TrainingError, match=f"process {os.getpid()}") as caught:
        second.acquire()
    assert str(tmp_path) in caught.value.where
    first.release()
    assert not (tmp_path / NAME).exists()
    second.acquire()
    second.release()
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_no_lock(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    lock = RunLock(tmp_path)
    with pytest.raises(TrainingError, match=f"process {holder.pid}"):
        lock.acquire()
    holder.kill()
    holder.communicate()
    assert (tmp_path / NAME).exists()
    lock.acquire()
    lock.release()


@pytest.mark.parametrize("text", ["", "[]", "{}", "\xff", "{" * 300])
def test_the_files_text_does_not_matter(tmp_path: Path, text: str) -> None:
    first = RunLock(tmp_path)
    first.acquire()
    (tmp_path / NAME).write_text(text)
    with pytest.raises(TrainingError, match="Another run"):
        RunLock(tmp_path).acquire()
    first.release()


def test_a_directory_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be written"):
        RunLock(tmp_path / "absent").acquire()
