"""Rankings put together by the ranks alone, since scores of words and of vectors do not compare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

_RANK_OFFSET: Final = 60


def fused(rankings: Iterable[Sequence[int]]) -> list[int]:
    """One ranking of several: by the sum of 1 / (60 + rank), ranks from 1 (Cormack, Clarke & Büttcher 2009)."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, number in enumerate(ranking, start=1):
            scores[number] = scores.get(number, 0.0) + 1 / (_RANK_OFFSET + rank)
    return sorted(scores, key=lambda number: (-scores[number], number))
