"""Rows that could not be used: how many count, and what an error says of them."""

from __future__ import annotations

from collections import Counter
from typing import Final

from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.errors import DataError

_SHOWN_REJECTIONS: Final = 5


def at_fault_of(findings: RowFindings, n_rows: int) -> tuple[list[RowFinding], int]:
    """The rejected rows, and how many rows there are beside those that are left out as they say themselves."""
    return findings.of("rejected"), n_rows - len(findings.of("left_out"))


def rejection_lines(findings: RowFindings) -> list[str]:
    """How many rows were rejected for what, and the first of each kind: its place and the reason."""
    first: dict[str, RowFinding] = {}
    counts: Counter[str] = Counter()
    for item in findings.of("rejected"):
        counts[item.kind] += 1
        first.setdefault(item.kind, item)
    lines = [f"  {kind}: {count:,}" for kind, count in counts.most_common()]
    shown_first = findings.of("rejected")[:_SHOWN_REJECTIONS]
    shown_first += [item for item in first.values() if item not in shown_first]
    return [*lines, *(f"  {item.where}: {item.message}" for item in shown_first)]


def left_out_lines(findings: RowFindings) -> list[str]:
    """How many rows were left out as the data say themselves, by kind, each with its reason and the first place."""
    first: dict[str, RowFinding] = {}
    counts: Counter[str] = Counter()
    for item in findings.of("left_out"):
        counts[item.kind] += 1
        first.setdefault(item.kind, item)
    return [f"  {kind}: {n:,}, the first {first[kind].where}: {first[kind].message}" for kind, n in counts.items()]


def with_rejections(error: DataError, findings: RowFindings) -> DataError:
    """The error with the rows that were left out before it came to it, which may be its reason."""
    lines = [*rejection_lines(findings), *left_out_lines(findings)]
    if not lines:
        return error
    n = len(findings.of("rejected")) + len(findings.of("left_out"))
    what = "\n".join([error.what, f"Before that {n:,} of {findings.n_rows:,} rows were left out:", *lines])
    return DataError(what, where=error.where, fix=error.fix)
