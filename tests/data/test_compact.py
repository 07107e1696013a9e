"""Records in one piece of memory: what comes out is what went in, and they take little room."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.data.compact import Compact
from distiltune.tasks.text_classification.examples import TextExample


@dataclass(frozen=True, slots=True)
class Record:
    text: str
    number: float
    names: tuple[str, ...] | None


RECORDS = st.builds(Record, st.text(), st.floats(allow_nan=False), st.none() | st.lists(st.text()).map(tuple))


@given(st.lists(RECORDS, max_size=8))
def test_it_is_a_sequence_of_what_was_put_in(records: list[Record]) -> None:
    compact = Compact(records, Record)
    assert len(compact) == len(records)
    assert list(compact) == records
    assert [compact[i] for i in range(-len(records), len(records))] == [*records, *records]
    assert list(compact[1:3]) == records[1:3]
    assert list(compact[::-1]) == records[::-1]
    assert compact == records
    assert compact == Compact(records, Record)
    assert all(record in compact for record in records)


def test_what_differs_is_not_equal() -> None:
    one = Compact([Record("a", 1.0, None)], Record)
    assert one != Compact([Record("b", 1.0, None)], Record)
    assert one != [Record("a", 1.0, None)] * 2
    assert one != 3


def test_beyond_its_end_there_is_nothing() -> None:
    compact = Compact([Record("a", 1.0, None)], Record)
    with pytest.raises(IndexError):
        compact[1]
    assert repr(compact).startswith("<1 records in ")


def test_lone_surrogates_and_what_marshal_knows_stay() -> None:
    records = [Record("\ud800 é 字", float("inf"), ("", "\0")), Record("", -0.0, ())]
    assert list(Compact(records, Record)) == records


def test_it_takes_less_than_half_of_the_room() -> None:
    def made(n: int) -> list[TextExample]:
        return [
            TextExample(f"id-{i:012}", f"a text of {i}", None, (f"label {i % 7}",), (), f"row {i}") for i in range(n)
        ]

    gc.collect()  # else what others left is freed in between
    tracemalloc.start()
    try:
        objects = made(2_000)
        as_objects = tracemalloc.get_traced_memory()[0]
        compact = Compact(objects, TextExample)
        as_bytes = tracemalloc.get_traced_memory()[0] - as_objects
    finally:
        tracemalloc.stop()
    assert len(compact) == 2_000
    assert as_bytes < as_objects / 2
    assert sys.getrefcount(objects[0]) <= 3  # it keeps none of them
