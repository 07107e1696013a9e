"""Plain rows are told by their names and types alone, and no tool's row is among them."""

from __future__ import annotations

import itertools

import pytest

from distiltune.data import annotation_forms
from distiltune.data.annotation_forms import _OF_NO_TOOL, plain_rows
from distiltune.data.plain_rows import DIFFERING

VALUES = ("", "a", "[[0, 1, 'X']]", '[{"start": 0, "end": 1, "label": "X"}]', "reject", 0, 1.5, True, None)


@pytest.mark.parametrize("value", VALUES)
def test_no_form_reads_a_row_of_such_columns(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [dict.fromkeys(names, value) for n in (1, 2, 3) for names in itertools.combinations(_OF_NO_TOOL, n)]
    rows += [{**row, "text": "a b"} for row in rows] + [dict.fromkeys(_OF_NO_TOOL, value)]
    assert not any(list(plain_rows(row)) for row in rows)
    monkeypatch.setattr(annotation_forms, "_is_flat", lambda row: False)
    assert not any(list(plain_rows(row)) for row in rows)


def test_doccanos_marks_of_several_annotators_are_those_of_one_where_they_agree() -> None:
    def marked(*marks: tuple[int, int]) -> object:
        entities = [
            {"start_offset": start, "end_offset": start + 3, "label": "X", "user": user} for start, user in marks
        ]
        (plain,) = plain_rows({"text": "Ada met Ben", "entities": entities})
        return plain.value["spans"]

    one = [{"start": 0, "end": 3, "label": "X"}, {"start": 8, "end": 11, "label": "X"}]
    assert marked((0, 1), (8, 1)) == marked((0, 1), (8, 1), (8, 2), (0, 2)) == one
    assert marked((0, 1), (8, 2)) == DIFFERING


@pytest.mark.parametrize("more", [0, -1], ids=["one past the last", "the last"])
def test_the_texts_of_points_say_what_their_ends_are(more: int) -> None:
    text = "Zoë 🎉 met Ada, Ada left"
    points = [{"start": s, "end": e + more, "text": text[s:e]} for s, e in ((0, 3), (10, 13), (15, 18))]
    given = [{"label": ["PER"], "points": [point]} for point in points]
    (row,) = plain_rows({"content": text, "annotation": given})
    spans = row.value["spans"]
    assert isinstance(spans, list)
    assert [(each["start"], each["end"]) for each in spans] == [(0, 3), (10, 13), (15, 18)]
    assert ("one past the last character, as their texts show" in row.told) == (more == 0)
    (bare,) = plain_rows({"content": text, "annotation": []})
    assert "ends" not in bare.told
