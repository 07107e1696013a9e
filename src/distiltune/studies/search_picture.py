"""What a search tried and what mattered, as a picture: a panel a setting, the one that mattered most first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from distiltune.report.curves import STYLE
from distiltune.studies.search import Search, Trial
from distiltune.system.figures import literal, save_figure

_LOOKS = {"done": ("#0072b2", "o", "Ran to its end"), "pruned": ("#e69f00", "x", "Stopped early")}
_COLUMNS = 2


def draw_search(search: Search, path: Path) -> None:
    """Draw the monitored value over each setting, as SVG or PNG by the path's suffix."""
    shown = [each for each in search.trials if each.value is not None and each.outcome in _LOOKS]
    names = sorted(shown[0].settings, key=lambda name: -search.importances.get(name, 0.0))
    n_columns = min(_COLUMNS, len(names))
    n_rows = -(-len(names) // n_columns)
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(10.0, 3.2 * n_rows + 0.5), layout=ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1))
        FigureCanvasAgg(figure)
        panels = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
        for axes, name in zip(panels, names, strict=False):
            _draw(axes, shown, name, search)
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        label = search.monitor.replace("_", " ")
        for axes in panels[::n_columns]:
            axes.set_ylabel(label[:1].upper() + label[1:])
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), frameon=False)
        save_figure(figure, path)


def _draw(axes: Axes, trials: Sequence[Trial], name: str, search: Search) -> None:
    for outcome, (colour, marker, label) in _LOOKS.items():
        points = [each for each in trials if each.outcome == outcome]
        if points:
            x, y = [_place(each.settings[name]) for each in points], [each.value for each in points]
            axes.plot(x, y, marker, color=colour, markersize=6, label=label)  # type: ignore[arg-type]
    if search.best is not None and search.best.value is not None:
        at = [_place(search.best.settings[name])], [search.best.value]
        axes.plot(*at, "o", markersize=13, markerfacecolor="none", markeredgecolor="#d55e00", label="Best")
    numbers = [each.settings[name] for each in trials]
    if all(isinstance(value, float) and value > 0 for value in numbers) and max(numbers) > 20 * min(numbers):
        axes.set_xscale("log")
    elif all(isinstance(value, int) and not isinstance(value, bool) for value in numbers):
        axes.set_xticks(sorted(set(numbers)))
    title = name.replace("_", " ")
    share = search.importances.get(name)
    axes.set_xlabel(f"{title} ({share:.0%} of what mattered)" if share is not None else title)
    axes.grid(axis="y")


def _place(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else literal(str(value))
