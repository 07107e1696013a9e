"""What the coach says: one thing that ails a run, the evidence for it, and the command that helps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from distiltune.checks.concerns import SevereLine, Severity
from distiltune.coach.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that ails a run, or (note) is good to know.

    Attributes:
        severity: error: the run is worth little; warning: it could be clearly better; note: for information.
        sickness: a short machine-readable name such as ``overfitting``.
        message: what it is, in a sentence.
        evidence: the figures that say so.
        command: what to run or to change; empty if nothing has to be done.

    """

    severity: Severity
    sickness: str
    message: str
    evidence: str
    command: str = ""

    def as_json(self) -> dict[str, Any]:
        """The advice as plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The advice for a terminal."""
        lines = [SevereLine.of(f"coach: {self.message}", self.severity), f"  why: {self.evidence}"]
        return [*lines, f"  what to do: {self.command}"] if self.command else lines


Rule = Callable[[Evidence], Iterable[Advice]]


def joined(*parts: str) -> str:
    """Pieces of evidence in one line, without those that are empty."""
    return "; ".join(part for part in parts if part)
