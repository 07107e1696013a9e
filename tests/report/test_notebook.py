"""A run in a notebook's cell: one output that is renewed, not too often, and what stays at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distiltune.report.notebook import NotebookDisplay, NotebookReporter, NotebookStages, ProgressBar
from distiltune.training.loop import EpochReport, StepReport
from distiltune.training.objective import TableColumn
from distiltune.training.plan import StepPlan

COLUMNS = (TableColumn("Train Loss", "train", "loss"), TableColumn("Validation Loss", "validation", "loss"))


class Published:
    """What IPython would show."""

    def __init__(self) -> None:
        self.outputs: list[tuple[Mapping[str, str], str, bool]] = []

    def publish(
        self, data: Mapping[str, str], metadata: Any = None, *, transient: Mapping[str, str], update: bool
    ) -> None:
        self.outputs.append((data, transient["display_id"], update))

    @property
    def html(self) -> str:
        return self.outputs[-1][0]["text/html"]

    @property
    def text(self) -> str:
        return self.outputs[-1][0]["text/plain"]


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def epoch(number: int, loss: float) -> EpochReport:
    return EpochReport(number, {"loss": loss}, {"loss": loss + 1}, 1e-3, 1.0, 1.0, 8, 80)


def a_run(published: Published, clock: Clock) -> NotebookReporter:
    return NotebookReporter(NotebookDisplay(published), clock)


def test_a_run_is_one_output_that_is_renewed() -> None:
    published, clock = Published(), Clock()
    reporter = a_run(published, clock)
    reporter.note("run: runs/<mine>")
    reporter.begin(COLUMNS, StepPlan.of([10, 10]))
    for number in range(2):
        clock.now += 1.0
        reporter.step(StepReport(number, 10 * number + 4, 5, 0.5, 1e-3, 900.0))
        reporter.epoch(epoch(number, 1.5 - number), is_best=number == 0)
    reporter.note("coach: overfitting")
    reporter.note("  why: the loss <rises>")
    reporter.note("stopped")
    reporter.close()
    assert [update for _, _, update in published.outputs] == [False, *[True] * (len(published.outputs) - 1)]
    assert len({name for _, name, _ in published.outputs}) == 1
    assert "runs/&lt;mine&gt;" in published.html
    assert "1.5000" in published.html
    assert "0.5000" in published.html
    assert "<progress" not in published.html  # it is over
    assert published.html.index("<table") < published.html.index("coach: overfitting")
    assert "font-weight:600" in published.html.partition("coach: overfitting")[0].rpartition("<div")[2]
    assert "why: the loss &lt;rises&gt;" in published.html
    assert published.html.index("stopped") < published.html.index("<table")  # a note again, not the coach's


def test_while_it_goes_there_is_a_bar_with_the_time_left() -> None:
    published, clock = Published(), Clock()
    reporter = a_run(published, clock)
    reporter.begin(COLUMNS, StepPlan.of([10, 10]))
    reporter.step(StepReport(0, 1, 2, 0.5, 1e-3, 900.0))
    clock.now = 3.0
    reporter.step(StepReport(0, 4, 3, 0.25, 1e-3, 1_900.0))
    assert '<progress value="5" max="10"' in published.html
    assert "epoch 0 5 of 10 steps loss 0.2500 1,900 tokens/s 5.0 s left" in published.html
    assert "epoch 0  5 of 10 steps" in published.text


def test_it_is_not_renewed_at_every_step() -> None:
    published, clock = Published(), Clock()
    reporter = a_run(published, clock)
    reporter.begin(COLUMNS, StepPlan.of([1_000]))
    before = len(published.outputs)
    for step in range(1_000):
        clock.now += 0.01
        reporter.step(StepReport(0, step, 1, 0.5, 1e-3, 900.0))
    assert 15 <= len(published.outputs) - before <= 21


def test_without_html_the_same_is_there_as_text() -> None:
    published, clock = Published(), Clock()
    reporter = a_run(published, clock)
    reporter.note("run: runs/mine")
    reporter.begin(COLUMNS, StepPlan.of([10]))
    reporter.epoch(epoch(0, 0.5), is_best=True)
    reporter.note("coach: fine")
    reporter.close()
    lines = published.text.splitlines()
    assert lines[0] == "run: runs/mine"
    assert lines[-1] == "coach: fine"
    assert "    0      0.5000           1.5000" in lines


def test_what_failed_before_it_began_shows_nothing() -> None:
    published = Published()
    a_run(published, Clock()).close()
    assert published.outputs == []


def test_work_that_is_quick_shows_nothing() -> None:
    published, clock = Published(), Clock()
    stages = NotebookStages(NotebookDisplay(published), clock)
    stages.show("reading", "rows", 5, 10)
    clock.now = 0.4
    stages.show("reading", "rows", 9, 10)
    stages.clear()
    assert published.outputs == []


def test_work_that_takes_a_while_shows_a_bar_that_goes() -> None:
    published, clock = Published(), Clock()
    stages = NotebookStages(NotebookDisplay(published), clock)
    stages.show("reading", "rows", 0, 10)
    clock.now = 2.0
    stages.show("reading", "rows", 5, 10)
    assert "5 of 10 rows" in published.html
    stages.clear()
    assert published.html == ""
    assert published.outputs[-1][2]


def test_a_bar_of_unknown_length() -> None:
    clock = Clock()
    bar = ProgressBar(clock)
    assert bar.html == ""
    bar.set("reading <it>", "rows", 7)
    assert bar.text == "reading <it>  7 rows"
    assert "<progress style" in bar.html
    assert "reading &lt;it&gt;" in bar.html
    bar.clear()
    assert bar.html == bar.text == ""
