"""The curve of a learning-rate range test, and the stretches tried after it, as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from distiltune.report.curves import STYLE
from distiltune.studies.learning_rate import RangeTest
from distiltune.studies.stretches import TriedRate
from distiltune.system.figures import save_figure


def draw_range(test: RangeTest, stretches: Sequence[TriedRate], suggestion: float | None, path: Path) -> None:
    """Loss over learning rate, as SVG or PNG by the suffix.

    With it what is known without reading, the rates tried with their losses on held-out rows, the suggestion, and where
    the loss breaks away.
    """
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(8.0, 4.2), layout=ConstrainedLayoutEngine(h_pad=0.09, w_pad=0.09))
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.plot(test.rates, test.losses, ".", color="#56b4e9", markersize=4, label="Loss of each step")
        axes.plot(test.rates, test.smoothed, color="#0072b2", linewidth=2, label="Smoothed")
        tried = [each for each in stretches if math.isfinite(each.loss)]
        if tried:
            label, places = "Tried, on held-out rows", ([each.rate for each in tried], [each.loss for each in tried])
            axes.plot(*places, "D", color="#cc79a7", markersize=7, label=label)
        if test.prior_loss is not None:
            axes.axhline(test.prior_loss, color="#666666", linewidth=1.5, linestyle="-.", label="Without reading")
        if suggestion is not None:
            label = f"Suggestion, {suggestion:g}"
            axes.axvline(suggestion, color="#009e73", linewidth=2, linestyle="--", label=label)
        if test.breaks_away is not None:
            label = f"Breaks away, {test.breaks_away:.1e}"
            axes.axvline(test.breaks_away, color="#d55e00", linewidth=1.5, linestyle=":", label=label)
        axes.set_xscale("log")
        if test.smoothed:
            shown = [*test.smoothed, *(each.loss for each in tried if each.loss < 2 * max(test.smoothed))]
            low, high = min(*test.losses, *shown), max(*shown, min(test.losses) + 0.1)
            axes.set_ylim(low - 0.05 * (high - low), high + 0.15 * (high - low))
        axes.set_xlabel("Learning rate")
        axes.set_ylabel("Loss (nats)")
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, fontsize=9.5)
        save_figure(figure, path)
