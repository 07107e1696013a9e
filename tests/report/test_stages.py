from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from distiltune.progress import TRAINING, OnceASecond, heard_by, tell
from distiltune.report.console import ConsoleReporter, working
from distiltune.report.stages import SECONDS_BETWEEN_LINES, Stages
from distiltune.training.loop import StepReport
from distiltune.training.plan import StepPlan


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def terminal(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)


def drawn(console: Console) -> list[str]:
    """What stood on a terminal, line for line, as it was drawn."""
    assert isinstance(console.file, io.StringIO)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    return [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]


@pytest.mark.parametrize(
    ("width", "figures", "words"),
    [
        (80, "", "60/120 windows  4 windows/s  15 s left"),
        (40, "", "60/120 4/s 15 s left"),
        (24, "", "60/120 4/s 15 s"),
        (80, "loss 1.5  900 tokens/s", "60/120 windows  loss 1.5  900 tokens/s  15 s left"),
        (56, "loss 1.5  900 tokens/s", "60/120 loss 1.5 900 tokens/s 15 s left"),
        (40, "loss 1.5  900 tokens/s", "60/120 4/s 15 s left"),
    ],
)
def test_a_bar_has_rate_and_time_left_as_there_is_room(width: int, figures: str, words: str) -> None:
    """The rate is of what was done since the first word: what was there already, as in a cache, is not counted."""
    console, clock, said = terminal(width), Clock(), list[str]()
    stages = Stages(console, said.append, clock)
    stages.show("teacher", "windows", 20, 120, figures)
    clock.seconds += 10
    stages.show("teacher", "windows", 60, 120, figures)
    stages.clear()
    last = drawn(console)[-1]
    assert last.startswith("teacher ")
    assert last.endswith(words)
    assert len(last) <= width
    assert ("━" in last) == (width >= 60)
    assert not said


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    console, clock, said = Console(file=io.StringIO()), Clock(), list[str]()
    stages = Stages(console, said.append, clock)
    for n_done in range(0, 1_000, 10):
        clock.seconds += 1
        stages.show("evaluating", "examples", n_done, 1_000)
    stages.show("writing the graph")
    assert len(said) == 100 // (SECONDS_BETWEEN_LINES + 1)
    assert said[0] == "evaluating  300/1,000 examples  10 examples/s  1 min 10 s left"
    assert drawn(console) == []


def test_what_has_no_known_end_or_is_not_counted_is_shown_too() -> None:
    clock, said = Clock(), list[str]()
    stages = Stages(Console(file=io.StringIO()), said.append, clock)
    stages.show("reading", "rows", 1_000)
    for stage, n_done in (("reading", 2_000), ("looking for repeats", 0), ("reading", 500), ("reading", 100)):
        clock.seconds += 40
        stages.show(stage, "rows" if n_done else "", n_done)
    # what counts from the beginning again has no rate yet
    assert said == ["reading  2,000 rows  25 rows/s", "looking for repeats", "reading  500 rows", "reading  100 rows"]


def test_what_is_told_is_heard_within_and_by_nobody_else(capsys: pytest.CaptureFixture[str]) -> None:
    console, heard = terminal(80), list[tuple[object, ...]]()
    tell("reading", "rows", 1)
    with heard_by(lambda *arguments: heard.append(arguments)):
        tell("reading", "rows", 2)
        with working(console):
            tell("teacher", "windows", 3, 4)
        tell("writing")
    tell("reading", "rows", 5)
    assert heard == [("reading", "rows", 2, None), ("writing", "", 0, None)]
    assert drawn(console)[-1].endswith("3/4 windows")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (120, "3/10 steps  loss 1.5000  lr 1.00e-05  900 tokens/s  14 s left, run 54 s"),
        (60, "3/10 0.5/s 14 s left, run 54 s"),
        (40, "3/10 0.5/s 14 s left, run 54 s"),
        (24, "3/10 0.5/s 14 s"),
    ],
)
def test_the_time_left_of_the_run_stands_beside_that_of_the_epoch(width: int, words: str) -> None:
    console, clock = terminal(width), Clock()
    reporter = ConsoleReporter(console, clock)
    reporter._stages = Stages(console, lambda line: None, clock)
    reporter.begin((), StepPlan.of([10, 10, 10]))
    reporter.working(TRAINING, "steps", 1)
    clock.seconds += 4
    reporter.step(StepReport(0, 2, 30, 1.5, 1e-5, 900.0))
    reporter.close()
    last = drawn(console)[-1]
    assert last.startswith("epoch 0 ")
    assert last.endswith(words)
    assert len(last) <= width
    for n_done in (10, 11, 20, 21, 25):
        clock.seconds += 2
        reporter.working(TRAINING, "steps", n_done)
    reporter.close()
    last = drawn(console)[-1]
    assert last.startswith("epoch 2 ")
    assert "run" not in last, "in the last epoch the two are the same"


def test_how_far_a_training_is_is_told_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither at every one of many short steps, nor only at every tenth of long ones."""
    clock, heard = Clock(), list[int]()
    monkeypatch.setattr("time.monotonic", clock)
    told = OnceASecond()
    with heard_by(lambda stage, unit="", n_done=0, n_all=None: heard.append(n_done)):
        for step in range(1, 41):
            told(TRAINING, "steps", step)
            clock.seconds += 0.125 if step < 30 else 5.0
    assert heard == [1, 9, 17, 25, *range(31, 41)]
