"""The epoch table: one row an epoch, the same figures in the terminal, in the model card and on the page.

Epochs count from 0, figures have four decimals, and a figure that was not measured is "-".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

from distiltune.training.loop import EpochReport
from distiltune.training.objective import TableColumn

EPOCH_TITLE = "Epoch"
NOT_MEASURED = "-"

_MAX_HEADER_LINES = 4
_NARROWEST_TABLE = 60
_FIGURE_WIDTH = len("123.4567")  # room for a loss that has gone astray, so that columns stay under their titles
_GAP = "  "


def header(columns: Iterable[TableColumn]) -> list[str]:
    """The titles of the table, the epoch's first."""
    return [EPOCH_TITLE, *(column.title for column in columns)]


def row(report: EpochReport, columns: Iterable[TableColumn]) -> list[str]:
    """An epoch's cells: its number, then each figure with four decimals, or "-" if it was not measured."""
    return [str(report.epoch), *(_figure(_metrics(report, column).get(column.metric)) for column in columns)]


def as_markdown(reports: Iterable[EpochReport], columns: Sequence[TableColumn]) -> str:
    """The whole table in Markdown (GitHub's flavour), without a line break at its end."""
    titles = [title.replace("|", "\\|") for title in header(columns)]
    lines = [titles, ["---:"] * len(titles), *(row(report, columns) for report in reports)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@dataclass(frozen=True, slots=True)
class PlainTable:
    """The table for a terminal, to be printed line by line as it grows.

    Attributes:
        columns: the columns after the epoch's number.
        titles: the lines of each column's title, the epoch's first; empty if the terminal is too narrow for a
            table, which makes each epoch a list.
        widths: the columns' widths in characters, the epoch's first; empty for lists.

    """

    columns: tuple[TableColumn, ...]
    titles: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]

    def header_lines(self) -> list[str]:
        """What is printed once, above the first epoch: the titles over a rule; nothing for lists."""
        if not self.widths:
            return []
        n_lines = max(len(title) for title in self.titles)
        padded = [("",) * (n_lines - len(title)) + title for title in self.titles]
        lines = [self._line([title[i] for title in padded]) for i in range(n_lines)]
        return [*lines, _GAP.join("-" * width for width in self.widths)]

    def row_lines(self, report: EpochReport) -> list[str]:
        """What is printed for one epoch: one line, or, for lists, a heading and one line a figure."""
        cells = row(report, self.columns)
        if self.widths:
            return [self._line(cells)]
        width = max(map(len, cells[1:]), default=0)  # figures first, so that the longest title fits into 40 columns
        figures = (f" {cell:>{width}} {column.title}" for column, cell in zip(self.columns, cells[1:], strict=True))
        return [f"{EPOCH_TITLE} {cells[0]}", *figures]

    def _line(self, cells: Iterable[str]) -> str:
        return _GAP.join(f"{cell:>{width}}" for cell, width in zip(cells, self.widths, strict=True)).rstrip()


def plain_table(columns: Sequence[TableColumn], terminal_width: int) -> PlainTable:
    """The table for a terminal: each title on one line if that fits, else on as few as fit, else lists.

    Args:
        columns: the columns after the epoch's number.
        terminal_width: in characters.

    """
    if terminal_width >= _NARROWEST_TABLE:
        for n_lines in range(1, _MAX_HEADER_LINES + 1):
            titles = tuple(_split_title(title, n_lines) for title in header(columns))
            figure_widths = (0, *(_FIGURE_WIDTH for _ in columns))
            widths = tuple(max(least, *map(len, title)) for title, least in zip(titles, figure_widths, strict=True))
            if sum(widths) + len(_GAP) * len(columns) <= terminal_width:
                return PlainTable(tuple(columns), titles, widths)
    return PlainTable(tuple(columns), (), ())


def _split_title(title: str, n_lines: int) -> tuple[str, ...]:
    """The title on at most so many lines, as narrow as that makes it; a word is never broken.

    From three lines on the first word, "Train" or "Validation", stands alone, so that neighbours line up.
    """
    first, _, rest = title.partition(" ")
    if n_lines >= 3 and rest:
        return first, *_split_title(rest, n_lines - 1)
    for width in range(1, len(title)):
        lines = wrap(title, width, break_long_words=False, break_on_hyphens=False)
        if len(lines) <= n_lines and all(len(line) <= width for line in lines):
            return tuple(lines)
    return (title,)


def _metrics(report: EpochReport, column: TableColumn) -> Mapping[str, float]:
    return report.train if column.of == "train" else report.validation


def _figure(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.4f}"
