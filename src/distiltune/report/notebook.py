"""A run in a notebook's cell: a bar, the epoch table as it grows, what the coach says; one output, which is renewed.

It is HTML that needs neither widgets nor a script, so that it is there in Jupyter, VS Code and Colab, and still there
when the notebook is read again. A front end that shows no HTML has the same as text.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final, Protocol

from distiltune.progress import shown_seconds
from distiltune.report.epoch_table import plain_table
from distiltune.report.short_html import block, epochs_table, line, listed
from distiltune.report.wording import plain
from distiltune.training.loop import EpochReport, StepReport
from distiltune.training.objective import TableColumn
from distiltune.training.plan import StepPlan

SECONDS_BETWEEN_UPDATES: Final = 0.5
"""Often enough to see that it goes on; a notebook keeps up with it over a slow line."""
_PLAIN_WIDTH = 1_000
_NOTES_SHOWN = 12


class Publisher(Protocol):
    """What IPython publishes outputs with: ``get_ipython().display_pub``."""

    def publish(
        self, data: Mapping[str, str], metadata: Any = None, *, transient: Mapping[str, str], update: bool
    ) -> None:
        """Show an output under a name, or show another in its place."""


class NotebookDisplay:
    """One output of a cell, which is shown when there is something to show."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._name = uuid.uuid4().hex
        self._is_shown = False

    @property
    def is_shown(self) -> bool:
        """Whether there was something."""
        return self._is_shown

    def show(self, html: str, text: str) -> None:
        """Show this in place of what is there."""
        transient = {"display_id": self._name}
        data = {"text/html": html, "text/plain": text}
        self._publisher.publish(data, {}, transient=transient, update=self._is_shown)
        self._is_shown = True


class ProgressBar:
    """How far a stage is: a bar and words."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage, self._words = "", ""
        self._began, self._n_at_first, self._n_done = 0.0, 0, 0
        self._n_all: int | None = None

    def set(self, stage: str, unit: str = "", n_done: int = 0, n_all: int | None = None, figures: str = "") -> None:
        """So many of a ``unit`` are done; ``figures`` are said beside."""
        if stage != self._stage or n_done < self._n_done:
            self._stage, self._began, self._n_at_first = stage, self._clock(), n_done
        self._n_done, self._n_all = n_done, n_all
        of = f" of {n_all:,}" if n_all is not None else ""
        words = [stage, *([f"{n_done:,}{of} {unit}".rstrip()] if n_done or of else []), *([figures] if figures else [])]
        seconds, n_since = self._clock() - self._began, n_done - self._n_at_first
        if n_all is not None and n_since > 0 and seconds > 0:
            words.append(f"{shown_seconds((n_all - n_done) * seconds / n_since)} left")
        self._words = "  ".join(words)

    def clear(self) -> None:
        """Take it away."""
        self._stage, self._words, self._n_all = "", "", None

    @property
    def text(self) -> str:
        """It in words."""
        return self._words

    @property
    def html(self) -> str:
        """It as HTML; nothing if there is no stage."""
        if not self._stage:
            return ""
        value = f' value="{self._n_done}" max="{max(1, self._n_all)}"' if self._n_all is not None else ""
        words = escape(plain(self._words))
        return f'<div><progress{value} style="width:16em;vertical-align:middle"></progress> {words}</div>'


class NotebookStages:
    """The stages of work that leaves nothing to look at: a bar while it goes, if it takes a while."""

    def __init__(self, display: NotebookDisplay, clock: Callable[[], float] = time.monotonic) -> None:
        self._display, self._clock, self._bar = display, clock, ProgressBar(clock)
        self._last = clock()

    def show(self, stage: str, unit: str = "", n_done: int = 0, n_all: int | None = None) -> None:
        """How far a stage is, as `distiltune.progress` has it."""
        self._bar.set(stage, unit, n_done, n_all)
        if self._clock() - self._last >= SECONDS_BETWEEN_UPDATES:
            self._last = self._clock()
            self._display.show(block([self._bar.html]), self._bar.text)

    def clear(self) -> None:
        """Take the bar away."""
        if self._display.is_shown:
            self._display.show("", "")


class NotebookReporter:
    """Shows a run in a cell."""

    def __init__(
        self,
        display: NotebookDisplay,
        clock: Callable[[], float] = time.monotonic,
        in_words: Callable[[str], str] = str,
    ) -> None:
        """Show it there; ``in_words`` says a note as whoever reads it calls things."""
        self._display, self._clock, self._bar, self._in_words = display, clock, ProgressBar(clock), in_words
        self._last = -SECONDS_BETWEEN_UPDATES
        self._notes: list[str] = []
        self._coach: list[str] = []
        self._columns: tuple[TableColumn, ...] = ()
        self._epochs: list[EpochReport] = []
        self._best: int | None = None
        self._plan = StepPlan((0,))
        self._coach_speaks = False

    def note(self, message: str) -> None:
        """One sentence about something the user should know."""
        self._coach_speaks = message.startswith("coach: ") or (self._coach_speaks and message.startswith("  "))
        (self._coach if self._coach_speaks else self._notes).append(self._in_words(message))
        self._update()

    def working(self, stage: str, unit: str = "", n_done: int = 0, n_all: int | None = None) -> None:
        """How far a stage other than the training is."""
        self._bar.set(stage, unit, n_done, n_all)
        self._update()

    def begin(self, columns: Sequence[TableColumn], plan: StepPlan) -> None:
        """Training begins."""
        self._columns, self._plan = tuple(columns), plan
        self.note(f"training: {plan}")

    def step(self, report: StepReport) -> None:
        """Some steps are done."""
        done = report.step + 1 - self._plan.starts[report.epoch]
        figures = f"loss {report.loss:.4f}  {report.tokens_per_second:,.0f} tokens/s"
        self._bar.set(f"epoch {report.epoch}", "steps", done, self._plan.in_epoch(report.epoch), figures)
        self._update()

    def epoch(self, report: EpochReport, is_best: bool) -> None:
        """An epoch is done: its row of the table."""
        self._epochs.append(report)
        if is_best:
            self._best = report.epoch
        self._bar.clear()
        self._update(at_once=True)

    def close(self) -> None:
        """Training is over, or broken off: what stays is without a bar."""
        self._bar.clear()
        if self._display.is_shown or self._notes:
            self._update(at_once=True)

    def _update(self, *, at_once: bool = False) -> None:
        now = self._clock()
        if at_once or now - self._last >= SECONDS_BETWEEN_UPDATES:
            self._last = now
            self._display.show(self._html(), self._text())

    def _html(self) -> str:
        coach = [
            line(each, bold=each.startswith("coach: "), indent=0 if each[:1] != " " else 1) for each in self._coach
        ]
        table = epochs_table(self._columns, self._epochs, self._best)
        return block([listed(self._notes, _NOTES_SHOWN), table, *coach, self._bar.html])

    def _text(self) -> str:
        table = plain_table(self._columns, _PLAIN_WIDTH)
        rows = [text for report in self._epochs for text in table.row_lines(report)]
        lines = [*self._notes, *(table.header_lines() if rows else []), *rows, *self._coach, self._bar.text]
        return "\n".join(text for text in lines if text)
