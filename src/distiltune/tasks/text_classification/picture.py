"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from distiltune.system.figures import literal, save_figure

MOST_LABELS = 40
"""With more the cells could not be read; the commonest are shown."""

_LONGEST_NAME = 24


def draw_confusion(table: npt.NDArray[np.int64], labels: Sequence[str], *files: Path) -> None:
    """Draw how often each label (row) was given each label (column), shaded by the share of its row.

    Args:
        table: ``(n_labels, n_labels)``.
        labels: their names.
        files: where to write the picture, by its suffix as SVG or PNG.

    """
    kept = np.sort(np.argsort(-table.sum(axis=1), kind="stable")[:MOST_LABELS])
    table, names = table[np.ix_(kept, kept)], [_short(labels[i]) for i in kept]
    size = 2.4 + 0.62 * len(names)
    with matplotlib.style.context(["default", {"svg.hashsalt": "distiltune", "font.family": ["DejaVu Sans"]}]):
        figure = Figure(figsize=(size, size), layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure.add_subplot(), table, names)
        for file in files:
            save_figure(figure, file, dpi=140)


def _draw(axes: Axes, table: npt.NDArray[np.int64], names: Sequence[str]) -> None:
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("Given")
    axes.set_ylabel("Gold")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for (row, column), n in np.ndenumerate(table):
        if n:
            colour = "white" if shares[row, column] > 0.55 else "black"
            axes.text(column, row, f"{n:,}", ha="center", va="center", color=colour, fontsize=9)


def _short(name: str) -> str:
    return literal(name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…")
