from __future__ import annotations

from distiltune.data.row_findings import RowFindings
from distiltune.progress import heard_by


def test_it_is_told_now_and_then_how_many_rows_are_read() -> None:
    told: list[tuple[object, ...]] = []
    findings = RowFindings()
    with heard_by(lambda *words: told.append(words)):
        for _ in range(2_500):
            findings.count_row()
    assert findings.n_rows == 2_500
    assert told == [("reading", "rows", 1_000, None), ("reading", "rows", 2_000, None)]
