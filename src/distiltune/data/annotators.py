"""What people said of a row while they annotated it: rows that they refused are no examples."""

from __future__ import annotations

from collections.abc import Mapping

from distiltune.data.plain_rows import ANSWER, ANSWERS
from distiltune.data.row_findings import RowFinding


def refused(row: Mapping[str, object], where: str, row_id: object) -> RowFinding | None:
    """The finding that leaves a row out whose ``answer`` says so, as Prodigy's ``reject``; None for any other."""
    answer = row.get(ANSWER)
    if not isinstance(answer, str) or answer not in ANSWERS:
        return None
    return RowFinding("left_out", f"answer_{answer}", where, "" if row_id is None else str(row_id), ANSWERS[answer])
