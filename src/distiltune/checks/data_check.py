"""What a check of a data set found, as lines for a terminal and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distiltune.checks.concerns import Concern, concern_lines
from distiltune.checks.cost import Estimate
from distiltune.progress import shown_seconds


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to, for a person and for a program."""

    lines: Sequence[str]
    values: dict[str, Any]


def found_lines(concerns: Sequence[Concern], estimate: Estimate | None, seconds: float) -> list[str]:
    """What is wrong and what a training costs, for a terminal; what stands before it is the task's."""
    lines = [] if estimate is None else [_estimate_line(estimate)]
    lines.append("")
    if concerns:
        n_of = [sum(concern.severity == name for concern in concerns) for name in ("error", "warning", "note")]
        lines += [f"findings by kind: {n_of[0]} errors, {n_of[1]} warnings, {n_of[2]} notes", *concern_lines(concerns)]
    else:
        lines.append("nothing is wrong that can be seen before a training")
    return [*lines, "", f"checked in {shown_seconds(seconds)}"]


def _estimate_line(estimate: Estimate) -> str:
    return (
        f"training on this machine: about {shown_seconds(estimate.train_seconds)} "
        f"({estimate.n_steps:,} steps, {estimate.tokens_per_second:,.0f} tokens/s in {estimate.precision}), "
        f"about {estimate.memory_bytes / 1e9:.1f} GB of memory"
    )
