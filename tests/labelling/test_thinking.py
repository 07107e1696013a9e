"""What is worked out beside labelling gives way: also to the end of the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distiltune.labelling.thinking import Thinking
from tests.labelling.desks import desk_of

TEXTS = [f"text number {i}" for i in range(200)]


def _thinking(folder: Path, asked: list[str], first: threading.Event, go_on: threading.Event) -> Thinking:
    def vectors(texts: Sequence[str], n_at_once: int) -> Iterator[npt.NDArray[np.float32]]:
        for start in range(0, len(texts), n_at_once):
            some = texts[start : start + n_at_once]
            asked.extend(some)
            first.set()
            assert go_on.wait(10)
            yield np.array([[len(text), int(text.split()[-1])] for text in some], dtype=np.float32)

    return Thinking(desk_of(TEXTS, folder, "doubt"), vectors, 20)


def test_the_end_waits_for_the_few_texts_being_read_and_for_no_more(tmp_path: Path) -> None:
    asked: list[str] = []
    first, go_on = threading.Event(), threading.Event()
    thinking = _thinking(tmp_path, asked, first, go_on)
    thinking.start()
    assert first.wait(10)
    closing = threading.Thread(target=thinking.close)
    closing.start()
    go_on.set()
    closing.join(10)
    assert not closing.is_alive()
    assert len(asked) < len(TEXTS) / 2
    assert not thinking._thread.is_alive(), "what is amid tensors when the interpreter ends aborts it"
    assert not thinking.desk.choice.spread


def test_what_is_typical_is_found_of_the_parts(tmp_path: Path) -> None:
    asked: list[str] = []
    go_on = threading.Event()
    go_on.set()
    thinking = _thinking(tmp_path, asked, threading.Event(), go_on)
    thinking.find_typical()
    assert len(asked) == sum(not item.for_validation for item in thinking.desk.items.values())
    assert len(thinking.desk.choice.spread) == 20
