"""Pieces of HTML that the sections of the run's page share; plain texts are escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from distiltune.report.wording import plain

_CODE: Final = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its anchor, its heading and its contents, which are HTML already."""

    anchor: str
    title: str
    html: str

    def markup(self) -> str:
        """The section as HTML."""
        return (
            f'<section aria-labelledby="{self.anchor}">\n'
            f'<h2 id="{self.anchor}">{self.title}</h2>\n{self.html}\n</section>\n'
        )


def prose(description: str) -> str:
    """A description of ours, in which `code` is meant."""
    return _CODE.sub(r"<code>\1</code>", escape(plain(description)))


def table_row(cells: Sequence[str]) -> str:
    """A row of plain texts, the first of which says what the row is about."""
    first, *others = (escape(plain(cell)) for cell in cells)
    return f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'


def scrolling_table(caption: str, titles: Sequence[str], rows: Iterable[str], *, kind: str, label: str = "") -> str:
    """A table that scrolls by itself where the page is too narrow; ``rows`` are HTML already, ``label`` names it."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' if title else "<td></td>" for title in titles)
    label = escape(label or caption or "Table")
    lines = [
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">',
        f'<table class="{kind}">',
        f"<caption>{escape(caption)}</caption>" if caption else "",
        f"<thead><tr>{head}</tr></thead>" if titles else "",
        "<tbody>",
        *rows,
        "</tbody>",
        "</table>",
        "</div>",
    ]
    return "\n".join(line for line in lines if line)
