"""What `distiltune find-lr` found: as a record, as lines for a terminal, and as files."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distiltune.errors import TrainingError
from distiltune.progress import shown_seconds
from distiltune.report.short_html import as_printed, one_line
from distiltune.studies.learning_rate import RangeTest
from distiltune.studies.range_picture import draw_range
from distiltune.studies.stretches import TriedRate
from distiltune.system.durable import try_writing, write_whole, writing_set, writing_to


@dataclass(frozen=True, slots=True)
class FoundRate:
    """Which rate to train with, what was seen, and what it took.

    Attributes:
        suggestion: the rate to train with, None if nothing can be said.
        reason: why, in a sentence.
        fix: what to do: with the suggestion, or where there is none.
        default: the recipe's own rate.
        default_is_right: whether that one will do as well.
        test: the range test.
        stretches: the rates tried, in their order.
        best: which of them is the best, None if none learnt more than the prior.
        prior_loss: on the held-out rows, of what is learnt without reading; None: it is not known.
        score_name: of the stretches' scores, empty if the task has none.
        n_held_out: rows that the stretches were judged on.
        n_run: steps of the run that the rate is for.
        n_steps: steps that this took.
        seconds: the same, with the evaluations, without reading the data.
        run_seconds: estimate of the run's own.

    """

    suggestion: float | None
    reason: str
    fix: str
    default: float
    default_is_right: bool
    test: RangeTest
    stretches: tuple[TriedRate, ...]
    best: TriedRate | None
    prior_loss: float | None
    score_name: str
    n_held_out: int
    n_run: int
    n_steps: int
    seconds: float
    run_seconds: float

    def __repr__(self) -> str:
        found = "no suggestion" if self.suggestion is None else f"learning rate {self.suggestion:g}"
        return f"<FoundRate {found}: {one_line(self.reason)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the lines of a terminal."""
        return as_printed(rate_lines(self))

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values; a loss that is no number is None."""
        found = asdict(self)
        for each in [*found["stretches"], *([found["best"]] if found["best"] else [])]:
            each["loss"] = each["loss"] if math.isfinite(each["loss"]) else None
        return found


def check_output(output: Path) -> None:
    """Check, before the test, that it can be written there.

    Raises:
        TrainingError: if it cannot.

    """
    with writing_to(output, TrainingError):
        try_writing(output)


def write_rate(found: FoundRate, output: Path) -> tuple[Path, Path]:
    """Write it as ``learning_rate.json`` and ``learning_rate.svg`` into the directory; returns both.

    Raises:
        TrainingError: if that cannot be done.

    """
    data, picture = output / "learning_rate.json", output / "learning_rate.svg"
    with writing_to(output, TrainingError), writing_set(output, (data.name, picture.name)) as beside:
        write_whole(beside / data.name, json.dumps(found.as_json(), indent=1, allow_nan=False) + "\n")
        draw_range(found.test, found.stretches, found.suggestion, beside / picture.name)
    return data, picture


def rate_lines(found: FoundRate) -> list[str]:
    """It for a terminal; each line can be read by itself where the terminal is narrow."""
    lines = _table(found.stretches, found.score_name)
    share = found.n_steps / found.n_run
    cost = (
        f"cost: {found.n_steps:,} steps in {shown_seconds(found.seconds)}; the run has {found.n_run:,} "
        f"({share:.0%}), which take about {shown_seconds(found.run_seconds)}"
    )
    if found.suggestion is None:
        return [*lines, f"no suggestion: {found.reason}", f"what to do: {found.fix}", cost]
    lines += [f"learning rate: {found.suggestion:g}", f"why: {found.reason}", cost]
    if found.default_is_right:
        return [*lines, f"the recipe's {found.default:g} is close enough: leave it"]
    return [*lines, f"use it: --learning-rate {found.suggestion:g} (the recipe has {found.default:g})"]


def _table(stretches: Sequence[TriedRate], score_name: str) -> list[str]:
    """The rates tried, in columns of 40 characters together."""
    if not stretches:
        return []
    name = score_name.replace("_", " ")
    lines = [f"{'rate':>8}{'steps':>7}{'loss':>10}{name:>14}".rstrip()]
    for each in sorted(stretches, key=lambda each: (each.n_steps, each.rate)):
        loss = f"{each.loss:.4f}" if math.isfinite(each.loss) else "no number"
        score = "" if each.score is None or not name else f"{each.score:.1%}"
        lines.append(f"{each.rate:>8.1e}{each.n_steps:>7,}{loss:>10}{score:>14}".rstrip())
    return lines
