"""How far long work is: told where it is done, heard by whoever shows it, and by nobody if nobody listens."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol

TRAINING: Final = "training"
"""The stage under which the steps of a run are told, counted over the whole of it."""
_SECONDS_BETWEEN: Final = 1.0


class Hears(Protocol):
    """Is told how far a stage of the work is. It returns at once and does not raise."""

    def __call__(self, stage: str, unit: str = "", n_done: int = 0, n_all: int | None = None) -> None:
        """So many of a ``unit`` are done, such as "rows", of how many if that is known; 0 of None: it has begun."""


def _nobody(stage: str, unit: str = "", n_done: int = 0, n_all: int | None = None) -> None:
    """Where nobody listens."""


_hears: ContextVar[Hears] = ContextVar("hears", default=_nobody)


@contextmanager
def heard_by(hears: Hears) -> Iterator[None]:
    """Within it, what this thread does is told to ``hears``."""
    before = _hears.set(hears)
    try:
        yield
    finally:
        _hears.reset(before)


def tell(stage: str, unit: str = "", n_done: int = 0, n_all: int | None = None) -> None:
    """Say how far a stage is; arguments as `Hears` has them."""
    _hears.get()(stage, unit, n_done, n_all)


class OnceASecond:
    """Says how far a stage is, at most once a second: for work whose parts may be much shorter, or much longer."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, stage: str, unit: str = "", n_done: int = 0, n_all: int | None = None) -> None:
        """As `tell`."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SECONDS_BETWEEN
            tell(stage, unit, n_done, n_all)


def shown_seconds(seconds: float) -> str:
    """A time as a person says it: ``8.4 s``, ``2 min 30 s``, ``48 min``, ``3 h 05 min``."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def counted(n: int, noun: str) -> str:
    """``1 epoch``, ``1,200 epochs``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
