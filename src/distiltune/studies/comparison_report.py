"""Runs side by side, for people: a table, sentences, and their curves in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from distiltune.errors import DistiltuneError, RecipeError
from distiltune.report.curves import STYLE
from distiltune.runs.record import RunRecord
from distiltune.studies.compare import SHOWN_CHANGES, PairComparison, RunComparison
from distiltune.system.durable import writing_to
from distiltune.system.figures import literal, save_figure
from distiltune.tasks.table import TASKS

# Okabe & Ito (2008), the darker ones first; marks and dashes differ too.
_LOOKS = (
    ("#0072b2", "o", "-"),
    ("#d55e00", "s", "--"),
    ("#009e73", "^", "-."),
    ("#cc79a7", "D", ":"),
    ("#e69f00", "v", "-"),
    ("#56b4e9", "P", "--"),
)
_SHOWN_SCORES = 2
_SUFFIXES = (".svg", ".png")


def comparison_lines(comparison: RunComparison) -> list[str]:
    """The comparison for a terminal."""
    lines = _table(comparison.runs)
    lines += ["", *_differing(comparison)]
    for pair in comparison.pairs:
        lines += ["", *_pair_lines(pair)]
    return [*lines, *(f"note: {note}" for note in comparison.notes)]


def _table(runs: Sequence[RunRecord]) -> list[str]:
    columns = [("train loss", "train", "loss"), ("validation loss", "validation", "loss")]
    columns += [(metric_title(name), "validation", name) for name in _scores(runs)]
    titles = ["run", "best epoch", *(title for title, _, _ in columns), "minutes"]
    rows = [titles]
    for run in runs:
        seconds = sum(epoch.train_seconds + epoch.validation_seconds for epoch in run.epochs)
        figures = [_figure(getattr(run.best, of).get(metric)) for _, of, metric in columns]
        rows.append([run.name, str(run.best_epoch), *figures, f"{seconds / 60:.1f}"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(titles))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]


def _scores(runs: Sequence[RunRecord]) -> list[str]:
    """The scores that the runs were measured by, the task's most important ones first."""
    names = [name for name in TASKS[runs[0].task].monitors if name != "validation_loss"]
    return [name for name in names if any(name in run.best.validation for run in runs)][:_SHOWN_SCORES]


def metric_title(name: str) -> str:
    """A metric's name for people."""
    return name.replace("_", " ").replace("f1", "F1")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if abs(value) < 20 else f"{value:.2f}"


def _differing(comparison: RunComparison) -> list[str]:
    if not comparison.differing:
        return ["the recipes are the same"]
    lines = ["what differs in the recipes:"]
    for name, values in comparison.differing.items():
        lines.append(f"  {name}: {' | '.join(_shown(value) for value in values)}")
    return lines


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "not set" if value is None else str(value)


def _pair_lines(pair: PairComparison) -> list[str]:
    lines = [f"{pair.second} against {pair.first}:"]
    for score in pair.scores:
        verdict = "a real difference" if score.is_real else "no difference that could be told from chance"
        lines.append(
            f"  {score.metric}: {score.difference:+.2f} points (95 %: {score.low:+.2f} to {score.high:+.2f}, "
            f"p = {score.p_value:.4f}) on {score.n:,} examples: {verdict}"
        )
    if not pair.scores:
        return [*lines, "  nothing to compare: no validation example is the same in both"]
    better = sum(each.f1_change > 0 for each in pair.changed)
    lines.append(f"  answers changed: {better:,} for the better, {len(pair.changed) - better:,} for the worse")
    for each in pair.changed[:SHOWN_CHANGES]:
        wanted = (each.wanted[0] if each.wanted else "") or "no answer"
        lines.append(
            f"    {'+' if each.f1_change > 0 else '-'} {each.asked.strip()[:80]}  wanted {wanted[:40]!r}: "
            f"{each.first[:40]!r} → {each.second[:40]!r}"
        )
    return lines


def check_picture(path: Path) -> None:
    """Check, before any work is done, that a picture can be drawn there.

    Raises:
        RecipeError: if the suffix is neither .svg nor .png.
        DistiltuneError: if there is no such folder.

    """
    if path.suffix.lower() not in _SUFFIXES:
        raise RecipeError(
            f"A picture cannot be drawn as {path.suffix or 'a file without a suffix'}.",
            where=f"--picture {path}",
            fix=f"end its name in {' or '.join(_SUFFIXES)}",
        )
    if not path.parent.is_dir():
        raise DistiltuneError(
            "The folder of the picture does not exist.", where=str(path.parent), fix="make it, or name another"
        )


def draw_comparison(comparison: RunComparison, path: Path) -> None:
    """Draw the runs' validation losses and a score over the epochs, as SVG or PNG by the path's suffix.

    Raises:
        DistiltuneError: as `check_picture`, or if the file cannot be written.

    """
    check_picture(path)
    scores = _scores(comparison.runs)
    score = "f1" if "f1" in scores else next(iter(scores), "loss")
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(10.0, 6.6), layout=ConstrainedLayoutEngine(h_pad=0.09, w_pad=0.09))
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True)
        _draw(upper, comparison.runs, "loss", "Validation loss (nats)")
        _draw(lower, comparison.runs, score, metric_title(score).capitalize())
        lower.set_xlabel("Epoch")
        lower.xaxis.get_major_locator().set_params(integer=True)
        upper.legend(
            loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, borderaxespad=0.2, fontsize=10.0
        )
        with writing_to(path, DistiltuneError, what="The picture", fix="name another file"):
            save_figure(figure, path, named=True)


def _draw(axes: Axes, runs: Sequence[RunRecord], metric: str, label: str) -> None:
    for i, run in enumerate(runs):
        colour, marker, dashes = _LOOKS[i % len(_LOOKS)]
        points = [(epoch.epoch, epoch.validation[metric]) for epoch in run.epochs if metric in epoch.validation]
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, color=colour, marker=marker, linestyle=dashes, linewidth=1.6, label=literal(run.name))
            axes.plot(
                [run.best_epoch],
                [run.best.validation[metric]],
                color=colour,
                marker=marker,
                markersize=10,
                markerfacecolor="none",
                linestyle="",
            )
    axes.set_ylabel(label)
    axes.grid(axis="y")
