"""Where packages stand when they are drawn in layers, and the lines between them. The same in, the same out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean

Arrows = Mapping[str, set[str]]

BOX_WIDTH = 116.0
_BEND_WIDTH = 14.0
_GAP = 26.0
_SWEEPS = 24


@dataclass(frozen=True)
class Layout:
    """Where things stand.

    Attributes:
        rows: box → its row, 0 the uppermost.
        centres: box → the middle of it, from left, in pixels.
        lines: (from, to) → the middles that the line goes through, a row each, both ends included.
        width: of all, in pixels.

    """

    rows: dict[str, int]
    centres: dict[str, float]
    lines: dict[tuple[str, str], list[float]]
    width: float


def without_what_follows(arrows: Arrows) -> dict[str, set[str]]:
    """The arrows that are left when those are taken away that others together say already; there must be no circle."""
    reached: dict[str, set[str]] = {}

    def reach(node: str) -> set[str]:
        if node not in reached:
            reached[node] = set(arrows[node]).union(*(reach(each) for each in arrows[node]))
        return reached[node]

    return {
        node: {each for each in others if not any(each in reach(other) for other in others - {each})}
        for node, others in arrows.items()
    }


def rows_of(arrows: Arrows) -> dict[str, int]:
    """Each node a row below the lowest of those that point to it; 0 for those that nobody points to."""
    rows: dict[str, int] = {}

    def row(node: str) -> int:
        if node not in rows:
            rows[node] = max((row(other) + 1 for other, pointed in arrows.items() if node in pointed), default=0)
        return rows[node]

    for node in arrows:
        row(node)
    return rows


def lay_out(arrows: Arrows) -> Layout:
    """Boxes in rows, with a bend in every row that a line passes, so that no line runs through a box."""
    rows = rows_of(arrows)
    chains = {
        (node, other): [node, *(f"{node}|{other}|{at}" for at in range(rows[node] + 1, rows[other])), other]
        for node in arrows
        for other in sorted(arrows[node])
    }
    order: list[list[str]] = [[] for _ in range(max(rows.values()) + 1)]
    for node in arrows:
        order[rows[node]].append(node)
    for (node, _), chain in chains.items():
        for at, bend in enumerate(chain[1:-1], rows[node] + 1):
            order[at].append(bend)
    beside = _neighbours(chains.values())
    for sweep in range(_SWEEPS):
        _sort_rows(order, beside, downward=sweep % 2 == 0)
    centres = _spread(order, beside)
    left = min(centres[node] - _width(node) / 2 for node in centres)
    centres = {node: round(centre - left, 1) for node, centre in centres.items()}
    return Layout(
        rows,
        {node: centres[node] for node in arrows},
        {ends: [centres[node] for node in chain] for ends, chain in chains.items()},
        max(centre + _width(node) / 2 for node, centre in centres.items()),
    )


def _width(node: str) -> float:
    return _BEND_WIDTH if "|" in node else BOX_WIDTH


def _neighbours(chains: Iterable[list[str]]) -> dict[str, tuple[list[str], list[str]]]:
    """Node → those above it, those below it, along the lines."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for chain in chains:
        for upper, lower in pairwise(chain):
            found.setdefault(upper, ([], []))[1].append(lower)
            found.setdefault(lower, ([], []))[0].append(upper)
    return found


def _sort_rows(order: list[list[str]], beside: dict[str, tuple[list[str], list[str]]], *, downward: bool) -> None:
    """Sort each row by the mean place of its neighbours in the row before (Sugiyama 1981)."""
    for row in order if downward else reversed(order):
        place = {node: at / max(1, len(each) - 1) for each in order for at, node in enumerate(each)}

        def wish(node: str, place: dict[str, float] = place) -> float:
            near = beside.get(node, ([], []))[0 if downward else 1]
            return mean(place[each] for each in near) if near else place[node]

        row.sort(key=wish)


def _spread(order: list[list[str]], beside: dict[str, tuple[list[str], list[str]]]) -> dict[str, float]:
    """Each node as near as there is room to the mean of its neighbours, the order of its row kept."""
    centres = {node: at * (BOX_WIDTH + _GAP) for row in order for at, node in enumerate(row)}
    for _ in range(_SWEEPS):
        for row in order:
            wishes = []
            for node in row:
                above, below = beside.get(node, ([], []))
                wishes.append(mean([centres[each] for each in above + below] or [centres[node]]))
            placed: list[float] = []
            for node, wish in zip(row, wishes, strict=True):
                if placed:
                    last = row[len(placed) - 1]
                    wish = max(wish, placed[-1] + (_width(last) + _width(node)) / 2 + _GAP)
                placed.append(wish)
            shift = mean(wishes) - mean(placed)
            centres |= {node: at + shift for node, at in zip(row, placed, strict=True)}
    return centres
