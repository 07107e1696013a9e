"""A picture as a file: whole or not there, and the same bytes for the same picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from distiltune.system.durable import writing_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: Path, *, dpi: int = 160) -> None:
    """Write a figure by the path's suffix, as SVG or PNG, without the date and without what drew it.

    Args:
        figure: with its canvas.
        path: of the file.
        dpi: pixels an inch of a PNG.

    Raises:
        OSError: if it cannot be written.

    """
    kind = path.suffix.lower()[1:]
    with writing_file(path) as file:
        figure.savefig(
            file,
            format=kind,
            dpi=dpi,
            metadata={"Date": None, "Creator": None} if kind == "svg" else {"Software": None},
        )
