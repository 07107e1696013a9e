"""What people said of a row while they annotated it: rows that they refused are no examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from distiltune.data.findings import Finding

_SAID: Final = {
    "reject": ("annotator_rejected", "The annotator rejected this row."),
    "ignore": ("annotator_ignored", "The annotator skipped this row."),
}
ON_PURPOSE: Final = frozenset(kind for kind, _ in _SAID.values())
"""Kinds of rejected findings that are no fault of the data: whoever made them left these rows out."""


def refused(row: Mapping[str, object], where: str, row_id: object) -> Finding | None:
    """The finding that leaves a row out whose ``answer`` is Prodigy's ``reject`` or ``ignore``; None for any other."""
    answer = row.get("answer")
    if not isinstance(answer, str) or answer not in _SAID:
        return None
    kind, message = _SAID[answer]
    return Finding("rejected", kind, where, "" if row_id is None else str(row_id), message)
