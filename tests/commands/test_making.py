"""`distiltune make-questions`: written, previewed, and trained with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from distiltune import cli


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*arguments: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["distiltune", *map(str, arguments)])
        try:
            cli.main()
            left = 0
        except SystemExit as leave:
            left = int(leave.code or 0)
        printed = capsys.readouterr()
        assert left == code, printed.err
        return printed.err if code else printed.out

    return run


def test_rows_are_written_and_counted(call: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    said = call("make-questions", "starter", "--output", path, "--rows", 30)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 30
    assert "27 with an answer, 3 without one" in said
    assert f"--warm-up-data {path}" in said
    assert call("make-questions", "starter", "--output", path, code=2).count("--overwrite") == 1
    told = json.loads(call("make-questions", "starter", "--output", path, "--rows", 30, "--overwrite", "--json"))
    assert (told["counts"]["answerable"], told["output"], told["rows"]) == (27, str(path), [])
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == rows


def test_a_preview_writes_nothing(call: Callable[..., str], tmp_path: Path) -> None:
    told = json.loads(call("make-questions", "starter", "--preview", "--json"))
    assert len(told["rows"]) == 5
    assert all(row["why"]["rule"] for row in told["rows"])
    assert told["output"] is None
    said = call("make-questions", "starter", "--preview")
    assert said.count('"why"') == 5
    assert "questions: " in said
    assert list(tmp_path.iterdir()) == []
    assert "--preview" in call("make-questions", "starter", code=2)


def test_a_training_begins_with_them(call: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    call("make-questions", "starter", "--output", path, "--rows", 20)
    said = call(
        *("train", "--train", "starter", "--model", "starter", "--train-questions", 8, "--validation-questions", 4),
        *("--warm-up-data", path, "--epochs", 1, "--threads", 1, "--output", tmp_path / "run"),
    )
    assert "warm-up: 20 examples" in said
    assert "training: 1 epoch of" in said
