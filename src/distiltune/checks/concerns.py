"""What is wrong or remarkable about something, ranked: the kind, how often, examples, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]

_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}
LEAKED = "_leaked"
"""How the kinds end that say that validation data is in the training data, which hurts figures, not the training."""
MANY_LEAKED = 0.02
"""A share of the validation data from which on it matters that the training data has it too."""

MOST_CASES = 10_000
"""Of more rows only the first are remembered one by one."""
SHOWN_CASES = 3
JSON_CASES = 20


class SevereLine(str):
    """A line for a person that knows how much it matters, so that a terminal can show it by its colour."""

    severity: Severity

    @classmethod
    def of(cls, text: str, severity: Severity) -> SevereLine:
        """The text as such a line."""
        line = cls(text)
        line.severity = severity
        return line


@dataclass(frozen=True, slots=True)
class Case:
    """One row that a concern is about: its id, and what a person sees there."""

    row_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Concern:
    """One kind of thing that is wrong (error), probably wrong (warning), or good to know (note).

    Attributes:
        severity: an error spoils the training or its figures, a warning may, a note is for information.
        kind: a short machine-readable name such as ``answer_moved``.
        message: one sentence for a person.
        repair: what to do about it; empty if nothing has to be done.
        count: how many rows it is about; 0 if it is about the whole set. Of a leak, rows of the other set.
        of: how many rows were looked at; of a leak, rows of the other set.
        fixable: whether ``--fix`` takes care of it.
        cases: the rows, where they are known one by one: all of them, or the first `MOST_CASES`.
        headline: what it is to a training, in a few words; empty: as the message says.
        repair_of_fresh: what else may be done about it with a model that is not fine-tuned for the task yet.

    """

    severity: Severity
    kind: str
    message: str
    repair: str = ""
    count: int = 0
    of: int = 0
    fixable: bool = False
    cases: tuple[Case, ...] = ()
    headline: str = ""
    repair_of_fresh: str = ""

    @property
    def share(self) -> float:
        """``count`` as a share of the rows looked at."""
        return self.count / self.of if self.of else 0.0

    def as_json(self) -> dict[str, Any]:
        """The concern as plain values, with the first cases."""
        return {
            "severity": self.severity,
            "kind": self.kind,
            "message": self.message,
            "count": self.count,
            "of": self.of,
            "repair": self.repair,
            "fixable": self.fixable,
            "examples": [{"id": case.row_id, "text": case.text} for case in self.cases[:JSON_CASES]],
        }


class Cases(list[Case]):
    """Cases of which the first `MOST_CASES` are kept, and all are counted."""

    n_all = 0

    def append(self, case: Case) -> None:
        """Count one more, and keep it while they are few."""
        self.n_all += 1
        if self.n_all <= MOST_CASES:
            super().append(case)


def concern_of(
    severity: Severity, kind: str, message: str, cases: Sequence[Case], of: int, repair: str, *, fixable: bool = False
) -> list[Concern]:
    """The concern about these cases as a list, empty if there is none."""
    if not cases:
        return []
    n_all = cases.n_all if isinstance(cases, Cases) else len(cases)
    return [Concern(severity, kind, message, repair, n_all, of, fixable, tuple(cases))]


def leak_concern(
    kind: str, message: str, cases: Sequence[Case], n_there: int, of: int, repair: str, *, fixable: bool = False
) -> list[Concern]:
    """The concern that ``n_there`` rows of the other set's ``of`` are in this set too, empty if none is.

    It is counted in the other set, whose figures it spoils, an error where it has many; the cases are this set's rows.
    """
    if not cases:
        return []
    concern = Concern("error", kind, message, repair, n_there, of, fixable, tuple(cases))
    return [concern if concern.share >= MANY_LEAKED else replace(concern, severity="warning")]


def for_model(concerns: Iterable[Concern], is_fine_tuned: bool) -> tuple[Concern, ...]:
    """The concerns with what may be done about them with this model."""
    return tuple(
        each
        if is_fine_tuned or not each.repair_of_fresh
        else replace(each, repair=f"{each.repair}{each.repair_of_fresh}", repair_of_fresh="")
        for each in concerns
    )


def ranked(concerns: Iterable[Concern]) -> tuple[Concern, ...]:
    """Errors first, then warnings, then notes; within each, what most rows have first."""
    return tuple(sorted(concerns, key=lambda concern: (_RANK[concern.severity], -concern.count, concern.kind)))


def concern_lines(concerns: Sequence[Concern]) -> list[str]:
    """The concerns for a terminal."""
    lines: list[str] = []
    for concern in concerns:
        how_many = f"{concern.count:,} of {concern.of:,}: " if concern.count else ""
        head = f"{concern.severity:<7}  {how_many}{concern.message}  [{concern.kind}]"
        lines.append(SevereLine.of(head, concern.severity))
        lines += [f"           {case.row_id}: {case.text}" for case in concern.cases[:SHOWN_CASES]]
        if concern.repair:
            lines.append(f"         what to do: {concern.repair}")
    return lines
