"""A picture as a file: whole or not there, and the same bytes for the same picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from distiltune.system.durable import writing_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def literal(name: str) -> str:
    """A name as matplotlib is to show it: no formula in it, and listed in a legend whatever it begins with."""
    name = name.replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name


def save_figure(figure: Figure, path: Path, *, dpi: int = 160, named: bool = False) -> None:
    """Write a figure by the path's suffix, as SVG or PNG, without the date and without what drew it.

    Args:
        figure: with its canvas.
        path: of the file.
        dpi: pixels an inch of a PNG.
        named: whether the user named this very file, as for `writing_file`.

    Raises:
        OSError: if it cannot be written.

    """
    kind = path.suffix.lower()[1:]
    with writing_file(path, named=named) as file:
        figure.savefig(
            file,
            format=kind,
            dpi=dpi,
            metadata={"Date": None, "Creator": None} if kind == "svg" else {"Software": None},
        )
