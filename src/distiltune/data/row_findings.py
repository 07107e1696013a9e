"""What was noticed about the rows of a data set: repaired, rejected, remarkable. Nothing is dropped silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from distiltune.errors import DataError
from distiltune.progress import counted, tell

Outcome = Literal["repaired", "rejected", "left_out", "noted", "decided"]
"""What became of it: a row repaired, rejected as unusable, or left out because the data say that it is not wanted (an
annotator rejected it); something remarkable; or how a whole file was read where it did not say."""

MAX_REJECTED = 2_000_000
"""The most rows of one data set that may be unusable; each is remembered with its place and the reason."""

_ROWS_BETWEEN_WORDS = 1_000


@dataclass(frozen=True, slots=True)
class RowFinding:
    """One thing noticed about one row.

    ``kind`` is a short machine-readable name such as ``answer_moved``; ``where`` is ``file:line`` or
    ``file#id`` as a person would look for it; ``message`` is one sentence for a person. One whose ``outcome`` is
    ``decided`` is about a whole file, and is told word for word before a training.
    """

    outcome: Outcome
    kind: str
    where: str
    row_id: str
    message: str

    def __post_init__(self) -> None:
        """Names and values in the message may hold lone surrogates, which nothing can be written with."""
        if not self.message.isascii():
            object.__setattr__(self, "message", self.message.encode("utf-8", "backslashreplace").decode())

    def as_json(self) -> dict[str, str]:
        """The finding as one line of ``rejected.jsonl`` or of the log."""
        return {
            "outcome": self.outcome,
            "kind": self.kind,
            "where": self.where,
            "id": self.row_id,
            "reason": self.message,
        }


def _and_more(where: str, n_others: int) -> str:
    return f"{where} and {counted(n_others, 'more file')}" if n_others else where


@dataclass(slots=True)
class RowFindings:
    """Every finding about one data set, in the order met, with the number of rows read."""

    n_rows: int = 0
    items: list[RowFinding] = field(default_factory=list)
    n_rejected: int = field(default=0, compare=False, repr=False)

    def count_row(self) -> None:
        """One row more was read."""
        self.n_rows += 1
        if self.n_rows % _ROWS_BETWEEN_WORDS == 0:
            tell("reading", "rows", self.n_rows)

    def add(self, finding: RowFinding) -> None:
        """Append one finding.

        Raises:
            DataError: if `MAX_REJECTED` rows have been rejected before.

        """
        if finding.outcome == "rejected":
            self.n_rejected += 1
            if self.n_rejected > MAX_REJECTED:
                raise DataError(
                    f"More than {MAX_REJECTED:,} rows cannot be used; the last: {finding.message}",
                    where=finding.where,
                    fix="mend the data, or give fewer at once.",
                )
        self.items.append(finding)

    def extend(self, findings: Iterable[RowFinding]) -> None:
        """Append findings in order. Raises `DataError` as `add` does."""
        for finding in findings:
            self.add(finding)

    def of(self, outcome: Outcome) -> list[RowFinding]:
        """The findings with that outcome, in the order met."""
        return [item for item in self.items if item.outcome == outcome]

    def told(self) -> list[str]:
        """A sentence for each kind but decisions: how many there are, where the first is, and what it says."""
        first: dict[str, RowFinding] = {}
        for item in self.items:
            first.setdefault(f"{item.outcome}/{item.kind}", item)
        lines = []
        for kind, count in self.counts().items():
            outcome, _, what = kind.partition("/")
            if outcome == "decided":
                continue
            where = f"{first[kind].where}: " if first[kind].where else ""
            begins = "" if count == 1 else "the first is "
            said = f"{outcome.replace('_', ' ')}: {what.replace('_', ' ')}"
            lines.append(f"{count:,} {said}; {begins}{where}{first[kind].message}")
        return lines

    def decisions(self) -> list[str]:
        """How files were read where they did not say, each with its file."""
        return [f"{item.where}: {item.message}" for item in self.decided()]

    def decided(self) -> list[RowFinding]:
        """The same as findings; what was decided alike of several files stands once, and names the first of them."""
        alike: dict[tuple[str, str], list[RowFinding]] = {}
        for item in self.of("decided"):
            alike.setdefault((item.kind, item.message), []).append(item)
        return [replace(first, where=_and_more(first.where, len(others))) for first, *others in alike.values()]

    def unused(self) -> list[RowFinding]:
        """The findings about rows that became no example, in the order met: rejected or left out."""
        return [item for item in self.items if item.outcome in ("rejected", "left_out")]

    def counts(self) -> dict[str, int]:
        """How many findings of each kind, as ``{"rejected/answer_not_found": 3, ...}``, most frequent first."""
        return dict(Counter(f"{item.outcome}/{item.kind}" for item in self.items).most_common())
