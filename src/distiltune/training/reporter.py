"""What a run says while it goes: the interface between the run and whoever shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from distiltune.training.loop import EpochReport, StepReport
from distiltune.training.objective import TableColumn
from distiltune.training.plan import StepPlan


class Reporter(Protocol):
    """Shows a run to someone. Every method returns at once; none may raise."""

    def note(self, message: str) -> None:
        """One sentence about something the user should know."""

    def working(self, stage: str, unit: str = "", n_done: int = 0, n_all: int | None = None) -> None:
        """How far a stage other than the training is, as `distiltune.progress` has it: reading, an evaluation, …"""

    def begin(self, columns: Sequence[TableColumn], plan: StepPlan) -> None:
        """Training begins."""

    def step(self, report: StepReport) -> None:
        """Some steps are done."""

    def epoch(self, report: EpochReport, is_best: bool) -> None:
        """An epoch is done."""

    def close(self) -> None:
        """Training is over, or broken off."""


class Quiet:
    """Shows nothing."""

    def note(self, message: str) -> None:
        """Nothing."""

    def working(self, stage: str, unit: str = "", n_done: int = 0, n_all: int | None = None) -> None:
        """Nothing."""

    def begin(self, columns: Sequence[TableColumn], plan: StepPlan) -> None:
        """Nothing."""

    def step(self, report: StepReport) -> None:
        """Nothing."""

    def epoch(self, report: EpochReport, is_best: bool) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
