"""Parts of a set are the same, whether it lies in memory or on disk; and as plain lists would have them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from distiltune.data import stored
from distiltune.data.example_set import DataSettings, ExampleSet
from distiltune.data.parts import draw, forget_gold, keep_if, leave_out, set_aside
from distiltune.data.row_findings import RowFindings
from distiltune.data.stored import Growing, OnDisk
from distiltune.tasks.text_classification.examples import TEXT_FORM, TextExample, TextSet

ROWS = [TextExample(str(i), f"text {i % 17}", None, ("ab"[i % 2],), (), f"f:{i}", 1.0) for i in range(40)]
FOLDS = DataSettings((), (), 0.0, "", 0.0, 0, 0, sample_seed=3, n_folds=3, fold=1)


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> tuple[TextSet, TextSet]:
    monkeypatch.setattr(stored, "BATCH_ROWS", 4)
    monkeypatch.setattr(stored, "ROWS_IN_MEMORY", 8)
    growing = Growing(TEXT_FORM)
    growing.extend(ROWS)
    on_disk = growing.done()
    assert isinstance(on_disk, OnDisk)
    in_memory = ExampleSet(tuple(ROWS), RowFindings(len(ROWS)), "f", ("f",))
    return in_memory, replace(in_memory, examples=on_disk)


def text_of(example: TextExample) -> str:
    return example.text


@pytest.mark.parametrize(
    "part",
    [
        lambda read: [draw(read, 9, 3)],
        lambda read: [draw(read, 30, 3)],
        lambda read: set_aside(read, 0.2, 3, text_of, "text"),
        lambda read: set_aside(read, 0.9, 4, text_of, "text"),
        lambda read: leave_out(read, FOLDS, text_of, "text"),
        lambda read: [keep_if(read, lambda each: "no b" if each.gold == ("b",) else "", "kind", 0.9, "")],
        lambda read: [keep_if(read, lambda each: "", "kind", 0.9, "")],
        lambda read: [forget_gold(read, lambda each: "no b" if each.gold == ("b",) else "", "kind")],
    ],
)
def test_on_disk_they_are_those_in_memory(
    part: Callable[[TextSet], list[TextSet]], sets: tuple[TextSet, TextSet]
) -> None:
    for one, other in zip(part(sets[0]), part(sets[1]), strict=True):
        assert list(one.examples) == list(other.examples)
        assert one.findings == other.findings
        assert one.fingerprint == other.fingerprint


def test_a_draw_is_that_of_a_shuffled_list(sets: tuple[TextSet, TextSet]) -> None:
    shuffled = list(ROWS)
    random.Random(5).shuffle(shuffled)
    assert draw(sets[0], 11, 5).examples == tuple(shuffled[:11])


def test_what_is_set_aside_are_the_first_groups_of_a_shuffled_list(sets: tuple[TextSet, TextSet]) -> None:
    groups = list(dict.fromkeys(map(text_of, ROWS)))
    random.Random(5).shuffle(groups)
    aside: list[str] = []
    while not aside or sum(text_of(each) in aside for each in ROWS) < 0.3 * len(ROWS):
        aside.append(groups[len(aside)])
    rest, found = set_aside(sets[0], 0.3, 5, text_of, "text")
    assert found.examples == tuple(each for each in ROWS if each.text in aside)
    assert rest.examples == tuple(each for each in ROWS if each.text not in aside)
