"""Which columns can be which field, by what they hold: no suggestion is made of others."""

from __future__ import annotations

import pytest

from distiltune.data.field_values import can_hold

SPANS = [{"start": 0, "end": 1, "label": "X"}]


@pytest.mark.parametrize(
    ("field", "values", "expected"),
    [
        ("text", ["a day", None, ""], True),
        ("text", ["a day", 3], False),
        ("text", [["a", "day"]], False),
        ("text", ["['a', 'day']"], False),
        ("label", ["good", "O"], True),
        ("label", [1, 2.5, True], True),
        ("label", ["['good', 'bad']", "very good"], True),
        ("label", ["['B-PER', 'O']", "['O', 'O']"], False),
        ("label", ["O B-PER I-PER", "O"], False),
        ("label", [SPANS], False),
        ("label", [{"a": 1}], False),
        ("tokens", [["a", "day"], "a day"], True),
        ("tokens", [[1, 2]], False),
        ("tags", [[0, 1], ["O", "B-X"]], True),
        ("tags", [3], False),
        ("spans", [SPANS, []], True),
        ("spans", ["B-X O"], False),
        ("id", [SPANS], True),
        ("text", [], True),
    ],
)
def test_what_a_field_can_hold(field: str, values: list[object], expected: bool) -> None:
    assert can_hold(field, values) is expected
