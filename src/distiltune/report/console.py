"""A run on a terminal: a progress bar an epoch and the table as it grows; plain lines where there is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from distiltune.report.epoch_table import PlainTable, plain_table
from distiltune.tasks.base import TableColumn
from distiltune.training.loop import EpochReport, StepReport

SECONDS_BETWEEN_LINES = 30.0


class ConsoleReporter:
    """Shows a run on standard output."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._table: PlainTable | None = None
        self._progress: Progress | None = None
        self._bar: TaskID | None = None
        self._last_line = time.monotonic()
        self._steps_per_epoch = 0
        self._header_shown = False

    def note(self, message: str) -> None:
        """One sentence about something the user should know."""
        self._print(message)

    def begin(self, columns: Sequence[TableColumn], n_epochs: int, steps_per_epoch: int) -> None:
        """Training begins."""
        self._table = plain_table(columns, self._console.width if self._console.is_terminal else 1_000)
        self._steps_per_epoch = steps_per_epoch
        self._print(f"training: {n_epochs} epochs of {steps_per_epoch:,} steps")
        self._print("")
        if self._console.is_terminal:
            self._progress = _progress(self._console)
            self._progress.start()

    def step(self, report: StepReport) -> None:
        """Some steps are done."""
        done = report.step + 1 - report.epoch * self._steps_per_epoch
        figures = f"loss {report.loss:.4f}  lr {report.learning_rate:.2e}  {report.tokens_per_second:,.0f} tokens/s"
        if self._progress is not None:
            if self._bar is None:
                self._bar = self._progress.add_task(f"epoch {report.epoch}", total=self._steps_per_epoch, figures="")
            self._progress.update(self._bar, completed=done, figures=figures)
        elif time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self._print(f"epoch {report.epoch}  step {done:,}/{self._steps_per_epoch:,}  {figures}")

    def evaluating(self, n_done: int, n_examples: int) -> None:
        """An epoch's training is done, so many examples of its evaluation too."""
        if self._progress is not None and self._bar is not None:
            self._progress.update(self._bar, figures=f"evaluating {n_done:,}/{n_examples:,}")

    def epoch(self, report: EpochReport, is_best: bool) -> None:
        """An epoch is done: its row of the table."""
        assert self._table is not None, "no epoch ends before training begins"
        if self._progress is not None and self._bar is not None:
            self._progress.remove_task(self._bar)
            self._bar = None
        if not self._header_shown:
            self._header_shown = True
            for line in self._table.header_lines():
                self._print(line)
        for line in self._table.row_lines(report):
            self._print(line)

    def close(self) -> None:
        """Training is over, or broken off."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def counting(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """A function to tell how many of how many are done: a bar on a terminal, a line now and then elsewhere."""
    if not console.is_terminal:
        last_line = time.monotonic()

        def say(n_done: int, n_all: int) -> None:
            nonlocal last_line
            if time.monotonic() - last_line > SECONDS_BETWEEN_LINES:
                last_line = time.monotonic()
                print(f"{title}  {n_done:,}/{n_all:,}", file=sys.stderr)

        yield say
        return
    with _progress(console) as progress:
        bar = progress.add_task(title, total=None, figures="")
        yield lambda n_done, n_all: progress.update(bar, completed=n_done, total=n_all)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[figures]}"),
        console=console,
        transient=True,
        expand=True,
    )
