"""Help that shows ten flags first, and flags that are none."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import typer

from distiltune import cli
from distiltune.commands.app import app
from distiltune.commands.flags import COMMON, MOST_COMMON
from distiltune.commands.options import SETTING_FLAGS
from distiltune.settings.other_names import OTHER_NAMES
from distiltune.tasks.table import TASKS

Run = Callable[..., int]
GROUP: Any = typer.main.get_command(app)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: str, columns: int = 100) -> int:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "argv", ["distiltune", *arguments])
        try:
            cli.main()
        except SystemExit as leave:
            return int(leave.code or 0)
        return 0

    return call


def flags_shown(text: str) -> list[str]:
    """The flags that a help lists, in order."""
    return re.findall(r"^│ *\*? *(--[a-z0-9-]+)", text, re.MULTILINE)


@pytest.mark.parametrize("command", sorted(COMMON))
def test_the_common_flags_come_first_and_are_ten_at_most(
    run: Run, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert len(COMMON[command]) <= MOST_COMMON
    assert run(command, "--help") == 0
    text = capsys.readouterr().out
    shown = [flag for flag in flags_shown(text) if flag not in ("--help", "--help-all")]
    assert shown == [f"--{name}" for name in COMMON[command]]
    assert "--help-all" in text
    assert len(text.splitlines()) < 60
    assert run(command, "--help-all") == 0
    every = flags_shown(capsys.readouterr().out)
    assert every[: len(shown)] == shown
    assert len(every) > len(shown) + 2


def test_every_command_has_few_flags_in_its_help(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for command in GROUP.commands:
        assert run(command, "--help") == 0
        assert len(flags_shown(capsys.readouterr().out)) <= MOST_COMMON + 2, command


@pytest.mark.parametrize("task", sorted(name for name, entry in TASKS.items() if entry.own_settings))
def test_a_tasks_own_flags_are_shown_with_that_task(run: Run, capsys: pytest.CaptureFixture[str], task: str) -> None:
    own = {f"--{name.replace('_', '-')}" for name in TASKS[task].own_settings}
    others = {f"--{n.replace('_', '-')}" for e in TASKS.values() if e.name != task for n in e.own_settings} - own
    for arguments in (("train", "--task", task, "--help"), ("train", f"--task={task}", "--help-all")):
        assert run(*arguments) == 0
        shown = set(flags_shown(capsys.readouterr().out))
        assert own <= shown
        assert not others & shown
    assert run("train", "--help-all") == 0
    text = capsys.readouterr().out
    assert not (own | others) & set(flags_shown(text))
    assert f"{task}" in " ".join(text.split()), "how they are shown is said"


def test_every_setting_is_shown_by_help_all_for_some_task(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shown: set[str] = set()
    for task in TASKS:
        assert run("train", "--help-all", "--task", task) == 0
        shown |= set(flags_shown(capsys.readouterr().out))
    assert {f"--{name.replace('_', '-')}" for name in SETTING_FLAGS} <= shown


@pytest.mark.parametrize("command", sorted(GROUP.commands))
def test_help_on_a_narrow_terminal_breaks_no_word(run: Run, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run(command, "--help", columns=40) == 0
    text = capsys.readouterr().out
    usage, *lines = text.splitlines()
    assert f"distiltune {command}" in usage
    assert all(len(line) <= 40 for line in lines if " " in line.strip() and not line.startswith("-"))
    assert "…" not in text
    assert "│" not in text


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("train", "--lr", "3e-5"), "--learning-rate"),
        (("train", "--num-train-epochs=3"), "--epochs"),
        (("train", "--batch_size", "8"), "--batch-size"),
        (("train", "--Epochs", "3"), "--epochs"),
        (("train", "--leraning-rate", "1"), "--learning-rate"),
        (("train", "--output-dir", "x"), "--output"),
        (("evaluate", "--dataset", "x"), "--data"),
        (("ask", "--docs", "x"), "--document"),
        (("ask", "--top_k", "3"), "--n-best"),
        (("find-lr", "--max_seq_length", "64"), "--max-length"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1].split("=")[0],
)
def test_a_slip_in_a_flag_is_told_with_the_flag_that_was_meant(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], meant: str
) -> None:
    assert run(*arguments) == 2
    assert f"did you mean {meant}" in capsys.readouterr().err


def test_what_is_the_value_of_a_flag_is_no_flag(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ask", "starter-qa", "--text", "--lr", "--questions-file", "--nope") == 1
    assert "has no flag" not in capsys.readouterr().err


def test_all_other_names_name_something_of_ours() -> None:
    known = {name.removeprefix("--") for each in GROUP.commands.values() for p in each.params for name in p.opts}
    for other, ours in OTHER_NAMES.items():
        assert ours.replace("_", "-") in known or ours in TASKS, other
        assert other.replace("_", "-") not in known - {"encoder"} or other in (
            "docs",
            "documents",
            "labels",
            "run",
            "test",
        ), other
