"""Stopping in order: on Ctrl-C or SIGTERM the step is finished and saved; a second Ctrl-C stops at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

_SAME_PRESS_S = 1.0
"""A terminal and the starter of several processes may both pass one Ctrl-C on."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came; everything that holds of Ctrl-C holds of it, except the exit code."""


class Interruption:
    """Within its block the two signals are noted while steps are taken, and raise at once everywhere else.

    Elsewhere than on the main thread Python allows no handlers: signals then mean what they meant before.
    """

    def __init__(self, agree: Callable[[int], int] = lambda number: number, n_processes: int = 1) -> None:
        """Make one; ``agree`` returns the largest number that any of the processes that train together has."""
        self._agree, self._n_processes = agree, n_processes
        self._signal = 0
        self._first = 0.0
        self._is_deferred = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within it a signal is only noted."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within it, inside of ``deferred``, a signal raises; so does one that was noted before."""
        was, self._is_deferred = self._is_deferred, False
        try:
            if self._signal:
                self.stop(self._signal)
            yield
        finally:
            self._is_deferred = was

    def agreed(self) -> int:
        """The number of the signal by which all processes stop now; 0 to go on."""
        return self._agree(self._signal)

    def stop(self, number: int) -> NoReturn:
        """Raise what stands for this signal."""
        if number == signal.SIGTERM:
            raise Terminated("SIGTERM")
        raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signal and self._n_processes > 1 and now - self._first < _SAME_PRESS_S:
            return
        is_second = bool(self._signal) and number == signal.SIGINT
        if not self._signal:
            self._signal, self._first = number, now
        if is_second or not self._is_deferred:
            self.stop(number)
