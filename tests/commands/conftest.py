"""What tests of the command line share: a tiny model, and calls in this process."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from distiltune import cli
from tests.helpers import TINY, people, write_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights."""
    config = replace(TINY, vocab_size=people().tokenizer.get_vocab_size())
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", people().tokenizer, config)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the command line in this process; returns its exit status and what it says, white space made one blank."""

    def call(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["distiltune", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return int(left.value.code or 0), " ".join("".join(capsys.readouterr()).split())

    return call


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Path) -> Callable[..., str]:
    """Run `check` in this process; returns what it says, white space made one blank."""

    def call(*arguments: str | Path) -> str:
        settings = ("--model", model, "--max-length", "48", "--stride", "8", "--threads", "1")
        monkeypatch.setattr(sys, "argv", ["distiltune", "check", *map(str, (*arguments, *settings))])
        with contextlib.suppress(SystemExit):
            cli.main()
        return " ".join("".join(capsys.readouterr()).split())

    return call
