from __future__ import annotations

import pytest

from distiltune.data import row_findings
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.errors import DataError
from distiltune.progress import heard_by


def test_it_is_told_now_and_then_how_many_rows_are_read() -> None:
    told: list[tuple[object, ...]] = []
    findings = RowFindings()
    with heard_by(lambda *words: told.append(words)):
        for _ in range(2_500):
            findings.count_row()
    assert findings.n_rows == 2_500
    assert told == [("reading", "rows", 1_000, None), ("reading", "rows", 2_000, None)]


def test_so_many_rejected_rows_as_no_memory_should_hold_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_findings, "MAX_REJECTED", 3)
    findings = RowFindings()
    for number in range(3):
        findings.add(RowFinding("rejected", "not_a_row", f"a.json#{number}", "", "is null."))
        findings.add(RowFinding("noted", "odd", "", "", "is odd."))  # of which there may be any number
    with pytest.raises(DataError, match="More than 3 rows cannot be used; the last: is null") as caught:
        findings.extend([RowFinding("rejected", "not_a_row", "a.json#3", "", "is null.")])
    assert caught.value.where == "a.json#3"


def test_what_a_finding_says_can_be_written() -> None:
    """A column may be called by half of a surrogate pair, which JSON can hold."""
    finding = RowFinding("decided", "columns_unused", "a.jsonl", "", "Columns not used: \ud800, é.")
    assert finding.message == "Columns not used: \\ud800, é."
