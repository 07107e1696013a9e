"""How far the work is, for people: a bar with rate and time left on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from distiltune.progress import shown_seconds

SECONDS_BETWEEN_LINES = 30.0
_NARROW = 60  # columns, below which there is no bar
_SMALLEST_BAR = 4


class Stages:
    """Shows one stage of the work after the other."""

    def __init__(
        self, console: Console, print_line: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Draw on ``console`` if it is a terminal, else ``print_line`` now and then; ``clock`` is in seconds."""
        self._console, self._print_line, self._clock = console, print_line, clock
        self._last_line = clock()
        self._stage = ""
        self._began, self._n_at_first, self._n_done = 0.0, 0, 0
        self._progress: Progress | None = None
        self._bar: TaskID | None = None

    def show(
        self,
        stage: str,
        unit: str = "",
        n_done: int = 0,
        n_all: int | None = None,
        figures: str = "",
        further: str = "",
    ) -> None:
        """So many of a ``unit`` are done; ``figures``, if there are any, stand in the place of the rate.

        What is ``further`` to do after the stage follows the time left.
        """
        if stage != self._stage:
            self.clear()
        if stage != self._stage or n_done < self._n_done:  # or it began again, with the next set
            self._stage, self._began, self._n_at_first = stage, self._clock(), n_done
        self._n_done = n_done
        if self._console.is_terminal:
            self._draw(n_done, n_all, self._fitted(unit, n_done, n_all, figures, further))
        elif self._clock() - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = self._clock()
            self._print_line("  ".join((stage, *self._words(unit, n_done, n_all, figures, further))))

    def clear(self) -> None:
        """Take the bar away."""
        self._stage, self._bar = "", None
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _draw(self, n_done: int, n_all: int | None, text: str) -> None:
        if self._progress is None or self._bar is None:
            bar = [BarColumn(bar_width=None)] * (self._console.width >= _NARROW)
            words = TextColumn("{task.fields[text]}", markup=False)
            self._progress = Progress(
                TextColumn("{task.description}"), *bar, words, console=self._console, transient=True, expand=True
            )
            self._bar = self._progress.add_task(self._stage, total=n_all, completed=n_done, text=text)
            self._progress.start()
        else:
            self._progress.update(self._bar, completed=n_done, total=n_all, text=text)

    def _fitted(self, unit: str, n_done: int, n_all: int | None, figures: str, further: str) -> str:
        """The words as the terminal has room for them: the unit goes first, then the figures, then what is further."""
        room = self._console.width - len(self._stage) - 1 - (_SMALLEST_BAR + 1) * (self._console.width >= _NARROW)
        closer = " ".join(self._words("", n_done, n_all, figures.replace("  ", " "), further))
        bare = " ".join(self._words("", n_done, n_all))
        texts = (
            "  ".join(self._words(unit, n_done, n_all, figures, further)),
            closer,
            " ".join(self._words("", n_done, n_all, "", further)),
            bare,
            bare.removesuffix(" left"),
        )
        return next((text for text in texts if len(text) <= room), texts[-1])

    def _words(self, unit: str, n_done: int, n_all: int | None, figures: str = "", further: str = "") -> list[str]:
        """How many of how many, the rate or the figures, the time left, what is further; as far as they are known."""
        seconds, n_since = self._clock() - self._began, n_done - self._n_at_first
        rate = n_since / seconds if n_since > 0 and seconds > 0 else None
        of = f"/{n_all:,}" if n_all is not None else ""
        words = [f"{n_done:,}{of} {unit}".rstrip()] if n_done or of else []
        if figures:
            words.append(figures)
        elif rate is not None:
            words.append(f"{f'{rate:,.0f}' if rate >= 10 else f'{rate:.2g}'} {unit}/s".replace(" /", "/"))
        if rate is not None and n_all is not None:
            words.append(f"{shown_seconds((n_all - n_done) / rate)} left{further}")
        return words
