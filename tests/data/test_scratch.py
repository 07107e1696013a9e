"""Files without a name: what was written is there, and what a killed process leaves is known as the cache's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distiltune.data import cache, scratch
from distiltune.data.scratch import LongArray, Scratch
from distiltune.errors import DataError


@pytest.mark.parametrize("most", [1 << 20, 24])
def test_an_array_grows_in_memory_or_on_disk(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "_BYTES_IN_MEMORY", most)
    array = LongArray(np.int32)
    for first in range(0, 20, 5):
        array.append(np.arange(first, first + 5))
    array.append(np.zeros(0, dtype=np.int64))
    done = array.done()
    assert done.tolist() == list(range(20))
    assert done.dtype == np.int32
    assert isinstance(done, np.memmap) is (most == 24)
    assert LongArray(np.int32).done().tolist() == []


def test_what_a_killed_process_leaves_is_cleared_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_cache = tmp_path / "cache"  # in which nothing of other tests lies
    monkeypatch.setenv("DISTILTUNE_CACHE", str(own_cache))
    file = Scratch()
    file.write(b"abc")
    (folder,) = own_cache.iterdir()
    assert cache._OURS.fullmatch(folder.name)
    assert file.mapped().tobytes() == b"abc"
    assert not list(own_cache.iterdir())


def test_no_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(data: object) -> int:
        raise OSError(28, "No space left on device")

    file = Scratch()
    monkeypatch.setattr(file, "_file", type("Full", (), {"write": staticmethod(full), "close": lambda self: None})())
    with pytest.raises(DataError, match="cannot be kept on disk: No space left"):
        file.write(b"abc")
