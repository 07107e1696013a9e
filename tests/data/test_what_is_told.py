"""What was decided about a file is told by `check` before a training does, and by everything that reads it."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from distiltune import cli
from tests.helpers import TINY, people, write_tiny_model

SMALL = ("--epochs", "1", "--max-length", "48", "--stride", "8", "--threads", "1")
MARK = '"'
Run = Callable[..., str]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = replace(TINY, vocab_size=people().tokenizer.get_vocab_size())
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", people().tokenizer, config)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process; returns what it says, white space made one blank."""

    def call(*arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", ["distiltune", *map(str, arguments)])
        with contextlib.suppress(SystemExit):
            cli.main()
        return " ".join("".join(capsys.readouterr()).split())

    return call


def texts(n: int = 40) -> list[tuple[str, str]]:
    return [(f"{('fine', 'awful')[i % 2]} day {i}", ("good", "bad")[i % 2]) for i in range(n)]


def stray(path: Path) -> tuple[str, ...]:
    marked = [(f"{MARK * (i == 3)}{text}{MARK * (i == 9)}", label) for i, (text, label) in enumerate(texts())]
    path.with_suffix(".tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in marked))
    return ()


def unnamed(path: Path) -> tuple[str, ...]:
    path.with_suffix(".csv").write_text("v1,v2,,\n" + "".join(f"{label},{text},,\n" for text, label in texts()))
    return ("--columns", "text=v2,label=v1")


def headless(path: Path) -> tuple[str, ...]:
    path.with_suffix(".csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in texts()))
    return ("--no-header", "--columns", "text=1,label=2")


def doubtful(path: Path) -> tuple[str, ...]:
    content = "text,label\n" + "".join(f"{text} café,{label}\n" for text, label in texts())
    path.with_suffix(".csv").write_text(content, encoding="utf-8")
    return ("--encoding", "windows-1252")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (stray, "each of 41 lines, that with the names included, is a row"),
        (unnamed, "Columns without a name are ignored: 3, 4 of 4"),
        (headless, "Line 1 ('text', 'label') is read as a row"),
        (doubtful, "UTF-8 by all its bytes"),
    ],
)
def test_check_and_train_say_it(
    tmp_path: Path, base: Path, run: Run, write: Callable[[Path], tuple[str, ...]], said: str
) -> None:
    flags = write(tmp_path / "data")
    (path,) = tmp_path.iterdir()
    assert said in run("check", path, "--model", base, *flags)
    sets = ("--train", path, "--validation", path)
    assert said in run("train", *sets, "--model", base, "--output", tmp_path / "run", *SMALL, *flags)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert any(said in str(line) for line in lines)
    assert said in run("evaluate", "--model", tmp_path / "run", "--data", path, *flags)
    assert said in run("predict", "--model", tmp_path / "run", "--data", path, "--output", tmp_path / "out", *flags)
    kept = ("--recipe", tmp_path / "run" / "recipe.toml", "--model", base)
    assert said in run("check", path, *kept), "the run's recipe has the flags"


def test_questions_say_it_too(tmp_path: Path, base: Path, run: Run) -> None:
    path = tmp_path / "a.tsv"
    rows = [f"{MARK * (i in (2, 5))}Who sat {i}?\tAda {i} sat on a chair.\tAda {i}\n" for i in range(12)]
    path.write_text("question\tcontext\tanswer_text\n" + "".join(rows))
    said = "each of 13 lines, that with the names included, is a row"
    assert said in run("check", path, "--model", base)
