"""The page on the architecture: current, its picture sound, and both paths what happens."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any
from xml.etree import ElementTree

import pytest
from tools.docs import architecture, layers
from tools.docs.architecture import LEARNING_RATE, PAGE, PICTURE, QUESTION, Step
from tools.imports import LAYERS, SOURCE, unit_arrows

from distiltune.runs.evaluate import predict
from distiltune.runs.fine_tune import fine_tune
from tests.helpers import TINY, people, write_squad, write_tiny_model

RUN_IT = "run: python -m tools.docs.architecture"


def test_page_and_picture_are_what_the_imports_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == architecture.page(), RUN_IT
    assert PICTURE.read_bytes() == architecture.picture().encode(), RUN_IT


def test_every_function_on_the_paths_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture.check_steps()
    monkeypatch.setattr(architecture, "QUESTION", (Step("training/optimiser.py", "Adam.stride", ""),))
    with pytest.raises(LookupError, match=r"no Adam\.stride in training/optimiser"):
        architecture.check_steps()


@contextmanager
def first_calls(seen: list[tuple[str, str]]) -> Iterator[None]:
    """Every function of ours in the order of its first call, of all threads, as (file, qualified name)."""
    known: set[int] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and id(code) not in known:
            known.add(id(code))
            if code.co_filename.startswith(str(SOURCE)):
                seen.append((Path(code.co_filename).relative_to(SOURCE).as_posix(), code.co_qualname))

    hook: Callable[[FrameType, str, object], None] = note
    threading.setprofile(hook)
    sys.setprofile(hook)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def in_order(seen: Sequence[tuple[str, str]], steps: Sequence[Step]) -> list[str]:
    """The functions of these steps that were called, in order."""
    named = {(step.module, step.function): step.function for step in steps}
    return [named[each] for each in dict.fromkeys(seen) if each in named]


def test_both_paths_are_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))  # features that another test kept are not made anew
    known = people()
    train, data = write_squad(tmp_path / "train.json", known.examples), tmp_path / "data.json"
    write_squad(data, known.examples[:8])
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size())
    model = write_tiny_model(tmp_path / "tiny", known.tokenizer, config)
    small: dict[str, Any] = {"max_length": 48, "stride": 8, "epochs": 1, "threads": 1, "learning_rate": 1e-4}
    seen: list[tuple[str, str]] = []
    with first_calls(seen):
        fine_tune(output=tmp_path / "run", model=str(model), train=str(train), validation=str(train), **small)
    assert in_order(seen, LEARNING_RATE) == [step.function for step in LEARNING_RATE]
    seen.clear()
    with first_calls(seen):
        predict(tmp_path / "run", data, tmp_path / "answers")
    assert in_order(seen, QUESTION) == [step.function for step in QUESTION]


def test_arrows_that_follow_from_others_are_left_out() -> None:
    arrows = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set[str](), "e": {"a", "d"}}
    assert layers.without_what_follows(arrows) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set(), "e": {"a"}}
    assert layers.rows_of(arrows) == {"e": 0, "a": 1, "b": 2, "c": 3, "d": 4}


def test_no_box_lies_on_another_or_on_a_line() -> None:
    arrows = layers.without_what_follows(unit_arrows())
    layout = layers.lay_out(arrows)
    assert layout.rows.keys() == set(LAYERS)
    for at in range(max(layout.rows.values()) + 1):
        row = sorted(layout.centres[name] for name, row in layout.rows.items() if row == at)
        assert all(right - left > layers.BOX_WIDTH for left, right in pairwise(row))
    for (name, other), through in layout.lines.items():
        assert len(through) == layout.rows[other] - layout.rows[name] + 1 > 1
        for at, x in enumerate(through[1:-1], layout.rows[name] + 1):
            boxes = [layout.centres[each] for each, row in layout.rows.items() if row == at]
            assert all(abs(centre - x) > layers.BOX_WIDTH / 2 for centre in boxes), (name, other)
    assert 0 < layout.width < 800


def test_the_picture_is_sound_and_every_package_is_in_it() -> None:
    picture = ElementTree.fromstring(architecture.picture())
    texts = {element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert set(LAYERS) <= texts
    assert {step.function for step in (*QUESTION, *LEARNING_RATE)} <= texts
