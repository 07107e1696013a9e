"""A run on a terminal: how far it is, and the table as it grows; plain lines where there is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from distiltune.progress import TRAINING, heard_by, shown_seconds, tell
from distiltune.report.epoch_table import PlainTable, plain_table
from distiltune.report.stages import Stages
from distiltune.report.wrapping import print_line
from distiltune.training.loop import EpochReport, StepReport
from distiltune.training.objective import TableColumn
from distiltune.training.plan import StepPlan


class ConsoleReporter:
    """Shows a run on standard output."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        """Print on ``console``; ``clock`` is in seconds."""
        self._console, self._clock = console, clock
        self._stages = Stages(console, self._print)
        self._table: PlainTable | None = None
        self._plan = StepPlan((0,))
        self._figures = ""
        self._began: tuple[float, int] | None = None  # when, and after how many steps, the first of them was told
        self._header_shown = False

    def note(self, message: str) -> None:
        """One sentence about something the user should know."""
        self._print(message)

    def working(self, stage: str, unit: str = "", n_done: int = 0, n_all: int | None = None) -> None:
        """How far a stage is; of the training itself, how many steps of the run are done."""
        if stage == TRAINING and self._plan.n_epochs:
            self._show_steps(n_done)
            return
        self._stages.show(stage, unit, n_done, n_all)

    def begin(self, columns: Sequence[TableColumn], plan: StepPlan) -> None:
        """Training begins."""
        self._stages.clear()
        self._table = plain_table(columns, self._console.width if self._console.is_terminal else 1_000)
        self._plan, self._figures, self._began, self._header_shown = plan, "", None, False
        self._print(f"training: {plan}")
        self._print("")

    def step(self, report: StepReport) -> None:
        """Some steps are done."""
        self._figures = (
            f"loss {report.loss:.4f}  lr {report.learning_rate:.2e}  {report.tokens_per_second:,.0f} tokens/s"
        )
        self._show_steps(report.step + 1)

    def _show_steps(self, n_done: int) -> None:
        """So many steps of the run are done."""
        epoch = self._plan.epoch_of(max(0, n_done - 1))
        done = n_done - self._plan.starts[epoch]
        further = self._left_of_run(n_done) if epoch + 1 < self._plan.n_epochs else ""
        self._stages.show(f"epoch {epoch}", "steps", done, self._plan.in_epoch(epoch), self._figures, further)

    def _left_of_run(self, n_done: int) -> str:
        """The time left of all epochs, by the time that all steps took since the first, evaluations included."""
        if self._began is None:
            self._began = self._clock(), n_done
        began, first = self._began
        if n_done <= first:
            return ""
        n_left = self._plan.n_steps - n_done
        return f", run {shown_seconds(n_left * (self._clock() - began) / (n_done - first))}"

    def epoch(self, report: EpochReport, is_best: bool) -> None:
        """An epoch is done: its row of the table."""
        assert self._table is not None, "no epoch ends before training begins"
        self._stages.clear()
        if not self._header_shown:
            self._header_shown = True
            for line in self._table.header_lines():
                self._print(line)
        for line in self._table.row_lines(report):
            self._print(line)

    def close(self) -> None:
        """Training is over, or broken off."""
        self._stages.clear()

    def _print(self, line: str) -> None:
        print_line(self._console, line)


@contextmanager
def working(console: Console) -> Iterator[None]:
    """Within it, how far each stage of the work is stands on a terminal; else on standard error, now and then."""
    stages = Stages(console, lambda line: print(line, file=sys.stderr))
    with heard_by(stages.show):
        try:
            yield
        finally:
            stages.clear()


@contextmanager
def counting(console: Console, stage: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A function to tell how many of how many are done, shown as all that is told within it is."""
    with working(console):
        yield lambda n_done, n_all: tell(stage, unit, n_done, n_all)
