"""The page on adding a task: its two files as they stand make a task that trains, and are short."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import distiltune.tasks
from distiltune import evaluate, fine_tune
from distiltune.tasks.table import TASKS
from tests.helpers import TINY, word_pieces, write_tiny_model

PAGE = Path(__file__).parents[2] / "docs" / "add-a-task.md"
FRUIT, TOOLS = ("apple", "plum", "pear", "fig", "lime"), ("saw", "axe", "file")


def files() -> dict[str, str]:
    """The page's files by name."""
    found = re.findall(r"^## `src/distiltune/tasks/(\S+)`\n\n```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    return dict(found)


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The task in the table, from a folder beside the package's own."""
    for name, code in files().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code)
    monkeypatch.setattr(distiltune.tasks, "__path__", [*distiltune.tasks.__path__, str(tmp_path)])
    from distiltune.tasks import odd_word  # type: ignore[attr-defined]

    monkeypatch.setitem(TASKS, odd_word.TASK.name, odd_word.TASK)
    yield odd_word.TASK.name
    for name in [name for name in sys.modules if name.startswith("distiltune.tasks.odd_word")]:
        del sys.modules[name]
    del distiltune.tasks.odd_word  # type: ignore[attr-defined]


def test_it_is_under_150_lines() -> None:
    assert set(files()) == {"odd_word/__init__.py", "odd_word/task.py"}
    assert sum(code.count("\n") for code in files().values()) < 150


def test_it_trains_as_written(entry: str, tmp_path: Path) -> None:
    rows = []
    for i, tool in enumerate(TOOLS * 20):
        words = [FRUIT[(i + j) % 5] for j in range(4)]
        words.insert(i % 5, tool)
        rows.append({"text": " ".join(words), "odd": tool})
    data = tmp_path / "odd.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": "plum", "odd": "saw"}]))
    tokenizer = word_pieces([*FRUIT, *TOOLS])
    config = replace(TINY, vocab_size=tokenizer.get_vocab_size())
    model = write_tiny_model(tmp_path / "tiny", tokenizer, config)
    run = fine_tune(
        model=str(model),
        train=str(data),
        output=tmp_path / "run",
        max_length=32,
        stride=8,
        epochs=6,
        batch_size=8,
        learning_rate=5e-3,
        dropout=0.0,
        attention_dropout=0.0,
    )
    assert run.recipe.task == entry
    assert run.best.validation["accuracy"] == 1.0
    found = evaluate(run.model, data, predictions=tmp_path / "out", max_length=32, stride=8)
    assert found.metrics["accuracy"] == 1.0
    assert len(found.rejected) == 1
    assert (tmp_path / "out" / "predictions.jsonl").read_text().count("\n") == len(rows)
    assert "points at the odd word" in (run.model / "README.md").read_text()
