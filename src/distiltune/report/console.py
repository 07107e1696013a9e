"""A run on a terminal: how far it is, and the table as it grows; plain lines where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from distiltune.errors import with_controls_shown
from distiltune.progress import heard_by, tell
from distiltune.report.epoch_table import PlainTable, plain_table
from distiltune.report.stages import Stages
from distiltune.training.loop import EpochReport, StepReport
from distiltune.training.objective import TableColumn


class ConsoleReporter:
    """Shows a run on standard output."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stages = Stages(console, self._print)
        self._table: PlainTable | None = None
        self._steps_per_epoch = 0
        self._header_shown = False

    def note(self, message: str) -> None:
        """One sentence about something the user should know."""
        self._print(message)

    def working(self, stage: str, unit: str = "", n_done: int = 0, n_all: int | None = None) -> None:
        """How far a stage other than the training is."""
        self._stages.show(stage, unit, n_done, n_all)

    def begin(self, columns: Sequence[TableColumn], n_epochs: int, steps_per_epoch: int) -> None:
        """Training begins."""
        self._stages.clear()
        self._table = plain_table(columns, self._console.width if self._console.is_terminal else 1_000)
        self._steps_per_epoch = steps_per_epoch
        self._print(f"training: {n_epochs} epochs of {steps_per_epoch:,} steps")
        self._print("")

    def step(self, report: StepReport) -> None:
        """Some steps are done."""
        done = report.step + 1 - report.epoch * self._steps_per_epoch
        figures = f"loss {report.loss:.4f}  lr {report.learning_rate:.2e}  {report.tokens_per_second:,.0f} tokens/s"
        self._stages.show(f"epoch {report.epoch}", "steps", done, self._steps_per_epoch, figures)

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
        self._console.print(with_controls_shown(line), markup=False, highlight=False, soft_wrap=True)


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
