"""The run's curves as a picture: loss, accuracies and learning rate over the epochs.

Each epoch is a band. A mean over an epoch as it ran is a level line across its band; what was measured at an
epoch's end is a mark on the band's right edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import cycle, groupby, pairwise
from pathlib import Path
from statistics import median_low
from typing import Any, Final

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from distiltune.report.run_summary import RunSummary
from distiltune.system.figures import save_figure
from distiltune.training.loop import EpochReport, StepReport
from distiltune.training.objective import TableColumn
from distiltune.training.plan import StepPlan

INK: Final = "#1c2126"
"""Colour of text and axes. Like `PAPER`, `RULE` and `BAND` it means nothing else in the SVG, so that a page
may replace it."""
PAPER: Final = "#fdfefe"
"""Colour of the background."""
RULE: Final = "#d5d9de"
"""Colour of grid lines."""
BAND: Final = "#f0f2f4"
"""Colour of the best epoch's band."""

# Okabe & Ito, Color Universal Design (2008): told apart by people with any kind of colour vision. The losses
# share no colour with the first metrics, which differ in the shape of their marks too.
_STEPS_COLOUR: Final = "#56b4e9"
_LOSS_COLOURS: Final = {"train": "#0072b2", "validation": "#d55e00"}
_METRIC_LOOKS: Final = (("#009e73", "o"), ("#cc79a7", "s"), ("#e69f00", "^"), ("#56b4e9", "D"))
_LOSS: Final = "loss"

_WIDTH_INCHES = 10.0
_PNG_DPI = 160
_MAX_STEP_POINTS = 400
_MAX_EPOCH_LABELS = 16
STYLE: Final = {
    "font.family": ["DejaVu Sans"],  # it comes with matplotlib, so that the picture is the same everywhere
    "font.size": 11.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "distiltune",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "path.simplify": False,
}


def draw_curves(summary: RunSummary, svg: Path, png: Path) -> None:
    """Draw the run's curves and write them as SVG and as PNG (1,600 pixels wide).

    One run gives the same bytes again with the same version of matplotlib. A value that is not finite
    leaves a gap.
    """
    with matplotlib.style.context(["default", STYLE]):
        figure = _figure(summary)
        save_figure(figure, svg)
        save_figure(figure, png, dpi=_PNG_DPI)


def describe_curves(summary: RunSummary) -> str:
    """What the picture shows, for those who do not see it."""
    epochs = summary.epochs
    parts = [f"Curves over {len(epochs)} epoch{'s' if len(epochs) != 1 else ''}."]
    for of, name in (("train", "Training loss"), ("validation", "Validation loss")):
        values = [value for report in epochs if (value := _metrics(report, of).get(_LOSS)) is not None]
        if len(values) == 1:
            parts.append(f"{name}: {values[0]:.4f}.")
        elif values:
            parts.append(f"{name}: from {values[0]:.4f} in the first epoch to {values[-1]:.4f} in the last.")
    parts.append(f"Epoch {summary.best_epoch} is marked as the one that the model is from.")
    return " ".join(parts)


def _figure(summary: RunSummary) -> Figure:
    others = [column for column in summary.columns if column.metric != _LOSS]
    draw: list[tuple[float, Callable[[Axes], None]]] = [(3.1, lambda axes: _draw_loss(axes, summary))]
    draw += [(3.1, partial(_draw_others, summary=summary, columns=columns)) for columns in _by_scale(summary, others)]
    draw.append((1.15, lambda axes: _draw_learning_rate(axes, summary)))

    heights = [height for height, _ in draw]
    figure = Figure(
        figsize=(_WIDTH_INCHES, sum(heights) + 1.0),
        dpi=100,
        layout=ConstrainedLayoutEngine(h_pad=0.09, w_pad=0.09),
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(draw), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    for panel, (_, draw_panel) in zip(panels, draw, strict=True):
        _mark_best_epoch(panel, summary)
        draw_panel(panel)
        panel.grid(axis="y")
        panel.tick_params(axis="both", length=0)
    _label_epochs(panels[-1], summary)
    figure.align_ylabels(list(panels))
    return figure


def _draw_loss(axes: Axes, summary: RunSummary) -> None:
    """The loss as logged, as the mean of each epoch, and on the validation data."""
    x, y, n_steps = step_curve(summary.steps, summary.plan)
    handles = []
    if any(map(math.isfinite, y)):
        label = f"Train Loss, mean of {n_steps} steps" if n_steps > 1 else "Train Loss, step by step"
        marker = "." if len(x) == 1 else ""
        handles += axes.plot(x, y, color=_STEPS_COLOUR, linewidth=1.0, marker=marker, label=label)
    for column in (column for column in summary.columns if column.metric == _LOSS):
        handles += _draw_column(axes, summary.epochs, column, _LOSS_COLOURS[column.of], "o")
    axes.set_ylabel("Loss (nats)")
    _legend_above(axes, handles, n_columns=3)


def _by_scale(summary: RunSummary, columns: Sequence[TableColumn]) -> list[list[TableColumn]]:
    """The columns of shares, and those of metrics that go beyond 1, as percentages do: on one axis no share is seen."""
    beyond = {
        column.metric
        for column in columns
        for report in summary.epochs
        if (_finite(_metrics(report, column.of).get(column.metric)) or 0.0) > 1.0
    }
    parts = ([each for each in columns if (each.metric in beyond) == is_beyond] for is_beyond in (False, True))
    return [part for part in parts if part]


def _draw_others(axes: Axes, summary: RunSummary, columns: Sequence[TableColumn]) -> None:
    """Every other metric of the table: a look for each, training as level lines, validation as marks."""
    metrics = list(dict.fromkeys(column.metric for column in columns))
    handles: list[Line2D] = []
    for metric, (colour, marker) in zip(metrics, cycle(_METRIC_LOOKS), strict=False):
        for column in (column for column in columns if column.metric == metric):
            handles += _draw_column(axes, summary.epochs, column, colour, marker)
    all_accuracies = all(metric.endswith("accuracy") for metric in metrics)
    axes.set_ylabel("Accuracy (share)" if all_accuracies else "Metrics")
    _legend_above(axes, handles, n_columns=2)


def _draw_column(
    axes: Axes, reports: Sequence[EpochReport], column: TableColumn, colour: str, marker: str
) -> list[Line2D]:
    """One column of the table; returns what stands for it in the legend, nothing if nothing was measured."""
    points = [
        (report.epoch, value)
        for report in reports
        if (value := _finite(_metrics(report, column.of).get(column.metric))) is not None
    ]
    if not points:
        return []
    if column.of == "train":
        for epoch, value in points:
            axes.plot([epoch, epoch + 1], [value, value], color=colour, linewidth=2.2, solid_capstyle="butt")
        return [Line2D([], [], color=colour, linewidth=2.2, label=f"{column.title}, epoch mean")]
    size = 6.5 if len(reports) <= _MAX_EPOCH_LABELS else 4.0
    style: dict[str, Any] = {
        "color": colour,
        "linewidth": 1.2,
        "linestyle": (0, (4, 2)),
        "marker": marker,
        "markersize": size,
    }
    for _, run in groupby(enumerate(points), key=lambda item: item[1][0] - item[0]):  # no line across a gap
        x, y = zip(*(point for _, point in run), strict=True)
        axes.plot([epoch + 1 for epoch in x], y, markeredgecolor=PAPER, clip_on=False, zorder=3, **style)
    return [Line2D([], [], label=f"{column.title}, epoch end", markeredgecolor=PAPER, **style)]


def _draw_learning_rate(axes: Axes, summary: RunSummary) -> None:
    """The learning rate of the logged steps; without any, that of each epoch's last step."""
    if summary.steps:
        x = [summary.plan.place(step.step) for step in summary.steps]
        y = [_or_nan(step.learning_rate) for step in summary.steps]
    else:
        x = [report.epoch + 1.0 for report in summary.epochs]
        y = [_or_nan(report.learning_rate) for report in summary.epochs]
    axes.plot(x, y, color=INK, linewidth=1.4, marker="o" if len(x) == 1 else "", clip_on=False)
    axes.set_ylabel("Learning rate", fontsize=10.0)
    highest = max(filter(math.isfinite, y), default=0.0) or 1.0
    axes.set_ylim(0.0, 1.12 * highest)
    axes.set_yticks([0.0, highest], ["0", f"{highest:.2g}".replace("e-0", "e-")])


def step_curve(steps: Sequence[StepReport], plan: StepPlan) -> tuple[list[float], list[float], int]:
    """The training loss over the epochs: positions, losses, and how many steps a loss is usually the mean of.

    A long run has more log lines than the picture has room for, so neighbours in the same epoch are averaged,
    the same number everywhere. A NaN makes its whole group NaN, a gap in the line: it is not smoothed away.
    """
    if not steps:
        return [], [], 0
    n_covered = [steps[0].step + 1 - plan.starts[steps[0].epoch]]
    n_covered += [after.step - before.step for before, after in pairwise(steps)]
    group_size = math.ceil(len(steps) / _MAX_STEP_POINTS)
    x: list[float] = []
    y: list[float] = []
    for _, of_epoch in groupby(zip(steps, n_covered, strict=True), key=lambda line: line[0].epoch):
        lines = list(of_epoch)
        for start in range(0, len(lines), group_size):
            group = lines[start : start + group_size]
            x.append(plan.place(group[-1][0].step + 1))
            y.append(_or_nan(sum(step.loss * n for step, n in group) / sum(n for _, n in group)))
    return x, y, group_size * median_low(n_covered)


def _mark_best_epoch(axes: Axes, summary: RunSummary) -> None:
    axes.axvspan(summary.best_epoch, summary.best_epoch + 1, color=BAND, linewidth=0, zorder=0)


def _label_epochs(axes: Axes, summary: RunSummary) -> None:
    """Number the bands in their middle, as many as there is room for, and always the best."""
    epochs = [report.epoch for report in summary.epochs]
    first, n_epochs = epochs[0], epochs[-1] + 1 - epochs[0]
    every = math.ceil(n_epochs / _MAX_EPOCH_LABELS)
    best, kept = summary.best_epoch, "best" if summary.final_metrics else "kept"
    labelled = [epoch for epoch in epochs if (epoch - first) % every == 0 and abs(epoch - best) >= every]
    labelled = sorted({*labelled, best})
    axes.set_xlim(first, first + n_epochs)
    axes.set_xticks(
        [epoch + 0.5 for epoch in labelled],
        [f"{epoch}\n{kept}" if epoch == best else str(epoch) for epoch in labelled],
    )
    for label, epoch in zip(axes.get_xticklabels(), labelled, strict=True):
        label.set_fontweight("bold" if epoch == best else "normal")
    axes.set_xlabel("Epoch")
    if n_epochs <= _MAX_EPOCH_LABELS:
        for panel in axes.figure.axes:
            for epoch in epochs[1:]:
                panel.axvline(epoch, color=RULE, linewidth=0.8, zorder=0.5)


def _legend_above(axes: Axes, handles: list[Line2D], n_columns: int) -> None:
    """A legend above the panel, where it can never lie on data."""
    if not handles:
        axes.set_yticks([])
        axes.text(0.01, 0.5, "Nothing was measured, or nothing that is a number.", transform=axes.transAxes)
        return
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=min(n_columns, len(handles)),
        frameon=False,
        borderaxespad=0.2,
        fontsize=10.0,
        handlelength=2.4,
        columnspacing=1.8,
    )


def _metrics(report: EpochReport, of: str) -> Mapping[str, float]:
    return report.train if of == "train" else report.validation


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _or_nan(value: float) -> float:
    return value if math.isfinite(value) else math.nan
