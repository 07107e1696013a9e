"""The curve of a learning-rate range test as a picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from distiltune.report.curves import STYLE
from distiltune.studies.learning_rate import RangeTest
from distiltune.system.figures import save_figure


def draw_range(test: RangeTest, path: Path) -> None:
    """Loss over learning rate, with the suggestion and where the loss breaks away, as SVG or PNG by the suffix."""
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(8.0, 4.2), layout=ConstrainedLayoutEngine(h_pad=0.09, w_pad=0.09))
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.plot(test.rates, test.losses, ".", color="#56b4e9", markersize=4, label="Loss of each step")
        axes.plot(test.rates, test.smoothed, color="#0072b2", linewidth=2, label="Smoothed")
        if test.suggestion is not None:
            label = f"Suggestion, {test.suggestion:g}"
            axes.axvline(test.suggestion, color="#009e73", linewidth=2, linestyle="--", label=label)
        if test.breaks_away is not None:
            label = f"Breaks away, {test.breaks_away:.1e}"
            axes.axvline(test.breaks_away, color="#d55e00", linewidth=1.5, linestyle=":", label=label)
        axes.set_xscale("log")
        if test.smoothed:
            low, high = min(test.losses), max(*test.smoothed, min(test.losses) + 0.1)
            axes.set_ylim(low - 0.05 * (high - low), high + 0.15 * (high - low))
        axes.set_xlabel("Learning rate")
        axes.set_ylabel("Training loss (nats)")
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, frameon=False, fontsize=9.5)
        save_figure(figure, path)
