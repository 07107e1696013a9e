"""Lists and dictionaries written into a cell: read as JSON, Python and NumPy print them, and never run."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.data.literals import MAX_CHARACTERS, literal

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("['toxic', 'insult']", ["toxic", "insult"]),
        (' ["a", 1, null] ', ["a", 1, None]),
        ("(3, -7)", [3, -7]),
        (
            "{'text': array(['x [1]'], dtype=object), 'answer_start': array([3], dtype=int32)}",
            {"text": ["x [1]"], "answer_start": [3]},
        ),
        ("[1.0, 0.0, nan]", [1.0, 0.0, None]),
        ("[1 0 1]", [1, 0, 1]),
        ("[1. 0.\n 1.]", [1.0, 0.0, 1.0]),
        ("['toxic' 'it\\'s \"so\"']", ["toxic", 'it\'s "so"']),
        ("['a b' 'c d'\n 'e']", ["a b", "c d", "e"]),
        ("[1 - 1]", None),
        ("[see 1 2]", None),
        ("a, b", None),
        ("[1] and (2)", None),
        ("[sic]", None),
        ("{1, 2}", [1, 2]),
        ("set()", []),
        ("frozenset({'a', 'b'})", ["a", "b"]),
        ("set(1, 2)", None),
        ("{open}", None),
        ("[__import__('os')]", None),
        ("[open('x')]", None),
        ("['a' * 9]", None),
        ("[" * 50_000 + "]" * 50_000, None),
        ("[" + " " * MAX_CHARACTERS + "]", None),
        ("", None),
    ],
)
def test_what_is_read(text: str, value: object) -> None:
    assert literal(text) == value


@given(st.lists(PLAIN, max_size=4))
def test_python_and_json_come_back(value: list[object]) -> None:
    assert literal(json.dumps(value)) == value
    assert literal(repr(value)) == value


@given(st.text(st.sampled_from("[]{}()'\",: 01abarrayNone\\-\0"), max_size=30))
def test_nothing_crashes(text: str) -> None:
    assert isinstance(literal(text), list | dict | None)
