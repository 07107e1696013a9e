"""Short HTML that a notebook shows in a cell: a table, a curve, advice. It needs no style sheet and no script.

Whatever is not markup of this module is escaped. Colours are those of the page around it, which may be dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Final

from distiltune.coach.sickness import Advice
from distiltune.report.epoch_table import header, row
from distiltune.report.wording import plain, shown_metric
from distiltune.tasks.guide import TaskGuide
from distiltune.training.loop import EpochReport
from distiltune.training.objective import TableColumn

TRAIN_COLOUR: Final = "#0072b2"
VALIDATION_COLOUR: Final = "#d55e00"
_MUTED: Final = "opacity:0.75"
_CELL: Final = "text-align:right;padding:0.15em 0.7em"
_SEVERITY_COLOURS: Final = {"error": "#c0392b", "warning": "#b36b00", "note": "#4a7a9c"}
_WIDTH, _HEIGHT, _MARGIN = 300.0, 96.0, 6.0


def block(parts: Iterable[str]) -> str:
    """Pieces of HTML, one below the other; empty ones are left out."""
    inner = "\n".join(part for part in parts if part)
    return f'<div style="line-height:1.45;overflow-x:auto">\n{inner}\n</div>'


def line(text: str, *, bold: bool = False, muted: bool = False, indent: int = 0) -> str:
    """A line of plain text."""
    styles = [*(["font-weight:600"] if bold else []), *([_MUTED] if muted else [])]
    styles += [f"margin-left:{indent}em"] if indent else []
    style = f' style="{";".join(styles)}"' if styles else ""
    return f"<div{style}>{escape(plain(text))}</div>"


def epochs_table(columns: Sequence[TableColumn], epochs: Sequence[EpochReport], best: int | None) -> str:
    """The epoch table, the row of the ``best`` one in bold; nothing if there is no epoch yet."""
    if not epochs:
        return ""
    head = "".join(f'<th scope="col" style="{_CELL}">{escape(plain(title))}</th>' for title in header(columns))
    lines = []
    for report in epochs:
        cells = "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in row(report, columns))
        weight = ' style="font-weight:700"' if report.epoch == best else ""
        lines.append(f"<tr{weight}>{cells}</tr>")
    return f'<table style="font-size:90%"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def metrics_table(metrics: dict[str, float], guide: TaskGuide) -> str:
    """The figures of an evaluation in the guide's order and then in their own."""
    known = [name for name in guide.metrics if name in metrics]
    names = [*known, *(name for name in metrics if name not in guide.metrics)]
    rows = []
    for name in names:
        label = guide.label(name)
        figure = escape(shown_metric(metrics[name], label))
        title = f'<th scope="row" style="text-align:left">{escape(plain(label.title))}</th>'
        rows.append(f'<tr>{title}<td style="{_CELL}">{figure}</td></tr>')
    return f'<table style="font-size:90%"><tbody>{"".join(rows)}</tbody></table>' if rows else ""


def loss_curve(epochs: Sequence[EpochReport]) -> str:
    """The losses over the epochs as a small picture; nothing for fewer than two epochs."""
    series = {
        "training": (TRAIN_COLOUR, [report.train.get("loss", math.nan) for report in epochs]),
        "validation": (VALIDATION_COLOUR, [report.validation.get("loss", math.nan) for report in epochs]),
    }
    shown = {name: found for name, found in series.items() if any(map(math.isfinite, found[1]))}
    finite = [value for _, values in shown.values() for value in values if math.isfinite(value)]
    if len(epochs) < 2 or not finite:
        return ""
    low, high = min(finite), max(finite)
    x = _scale(0, len(epochs) - 1, _MARGIN, _WIDTH - _MARGIN)
    y = _scale(low, high, _HEIGHT - _MARGIN, _MARGIN)
    lines = "".join(_line(values, colour, x, y) for colour, values in shown.values())
    named = "; ".join(f"{name} {_first_and_last(values)}" for name, (_, values) in shown.items())
    legend = ", ".join(f'<span style="color:{colour}">■</span> {name}' for name, (colour, _) in shown.items())
    return (
        f'<figure style="margin:0.4em 0"><svg width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}" role="img" '
        f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}"><title>Loss over the epochs: {escape(named)}</title>'
        f'<path d="M{_MARGIN} {_HEIGHT - 1}H{_WIDTH - _MARGIN}" stroke="currentColor" stroke-opacity="0.35"/>'
        f"{lines}</svg>"
        f'<figcaption style="font-size:85%;{_MUTED}">loss, {high:.4f} at the top, {low:.4f} at the bottom: '
        f"{legend}</figcaption></figure>"
    )


def advice_list(advice: Sequence[Advice]) -> str:
    """What the coach says, the first thing to do first."""
    if not advice:
        return line("coach: nothing that it looks for went wrong", muted=True)
    items = []
    for each in advice:
        colour = _SEVERITY_COLOURS[each.severity]
        parts = [
            f'<b style="color:{colour}">{each.severity}:</b> {escape(plain(each.message))}',
            f'<div style="{_MUTED}">why: {escape(plain(each.evidence))}</div>',
        ]
        if each.command:
            parts.append(f"<div>what to do: {escape(plain(each.command))}</div>")
        items.append(f"<li>{''.join(parts)}</li>")
    return f'<div>coach:</div><ol style="margin:0.2em 0">{"".join(items)}</ol>'


def listed(lines: Sequence[str], most: int = 10) -> str:
    """Lines of plain text, those over so many behind a click."""
    if not lines:
        return ""
    first, rest = lines[:most], lines[most:]
    shown = "".join(line(each, muted=True) for each in first)
    if rest:
        shown += (
            f"<details><summary>{len(rest)} more</summary>{''.join(line(each, muted=True) for each in rest)}</details>"
        )
    return shown


def as_printed(lines: Iterable[str]) -> str:
    """Lines of a terminal, whose columns stand below each other."""
    return f'<pre style="line-height:1.35;white-space:pre-wrap">{escape(chr(10).join(map(_kept, lines)))}</pre>'


def one_line(text: str, most: int = 60) -> str:
    """A text for a repr: on one line, cut short."""
    folded = plain(text)
    return folded if len(folded) <= most else folded[: most - 1] + "…"


def _kept(text: str) -> str:
    """A line with its blanks, each stretch of other characters made plain."""
    return " ".join(plain(part) for part in text.split(" "))


def _scale(first: float, last: float, start: float, end: float) -> Callable[[float], float]:
    span = last - first
    return lambda value: start + (end - start) * ((value - first) / span if span else 0.5)


def _line(values: Sequence[float], colour: str, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """A line through the values with a mark at each; one that is no number leaves a gap."""
    path, pen = "", "M"
    marks = ""
    for place, value in enumerate(values):
        if not math.isfinite(value):
            pen = "M"
            continue
        path += f"{pen}{x(place):.1f} {y(value):.1f}"
        marks += f'<circle cx="{x(place):.1f}" cy="{y(value):.1f}" r="2.5" fill="{colour}"/>'
        pen = "L"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>{marks}'


def _first_and_last(values: Sequence[float]) -> str:
    known = [value for value in values if math.isfinite(value)]
    return f"from {known[0]:.4f} to {known[-1]:.4f}"
