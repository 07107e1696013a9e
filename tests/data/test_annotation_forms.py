"""Plain rows are told by their names and types alone, and no tool's row is among them."""

from __future__ import annotations

import itertools

import pytest

from distiltune.data import annotation_forms
from distiltune.data.annotation_forms import _OF_NO_TOOL, plain_rows

VALUES = ("", "a", "[[0, 1, 'X']]", '[{"start": 0, "end": 1, "label": "X"}]', "reject", 0, 1.5, True, None)


@pytest.mark.parametrize("value", VALUES)
def test_no_form_reads_a_row_of_such_columns(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [dict.fromkeys(names, value) for n in (1, 2, 3) for names in itertools.combinations(_OF_NO_TOOL, n)]
    rows += [{**row, "text": "a b"} for row in rows] + [dict.fromkeys(_OF_NO_TOOL, value)]
    assert not any(list(plain_rows(row)) for row in rows)
    monkeypatch.setattr(annotation_forms, "_is_flat", lambda row: False)
    assert not any(list(plain_rows(row)) for row in rows)
