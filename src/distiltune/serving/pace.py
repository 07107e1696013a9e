"""How fast work is done, measured under way: what a wait is reckoned from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """Work over seconds, of which the older counts the less: half once ``half_life`` of work has been done since.

    Each piece weighs as much as there is of it, so that many small pieces, which take more time each, do not make a
    large one look slow.
    """

    half_life: float
    _work: float = 0.0
    _seconds: float = 0.0

    def add(self, work: float, seconds: float) -> None:
        """Count a piece of work that took so long."""
        kept = 0.5 ** (work / self.half_life)
        self._work = kept * self._work + work
        self._seconds = kept * self._seconds + seconds

    @property
    def per_second(self) -> float:
        """Work a second; 0 while nothing is known."""
        return self._work / self._seconds if self._seconds > 0 else 0.0

    def seconds_for(self, work: float) -> float:
        """How long that much will take; 0 while nothing is known."""
        return work / self.per_second if self.per_second > 0 else 0.0
