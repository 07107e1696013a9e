"""Parts of a set are the same, whether it lies in memory or on disk; and as plain lists would have them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
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


def test_of_one_label_the_first_groups_of_a_shuffled_list_are_set_aside(sets: tuple[TextSet, TextSet]) -> None:
    rows = [replace(each, gold=("a",)) for each in ROWS]
    groups = list(dict.fromkeys(map(text_of, rows)))
    random.Random(5).shuffle(groups)
    aside: list[str] = []
    while not aside or sum(text_of(each) in aside for each in rows) < 0.3 * len(rows):
        aside.append(groups[len(aside)])
    rest, found = set_aside(replace(sets[0], examples=tuple(rows)), 0.3, 5, text_of, "text")
    assert found.examples == tuple(each for each in rows if each.text in aside)
    assert rest.examples == tuple(each for each in rows if each.text not in aside)


def labelled(*parts: tuple[str, Sequence[int]]) -> TextSet:
    """Of each label texts that stand there so many times."""
    rows = [
        TextExample(f"{label}{i}-{j}", f"{label} {i}", None, (label,), (), f"f:{label}{i}-{j}")
        for label, times in parts
        for i, n in enumerate(times)
        for j in range(n)
    ]
    random.Random(0).shuffle(rows)
    return ExampleSet(tuple(rows), RowFindings(len(rows)), "f", ("f",))


def labels_of(read: TextSet) -> Counter[str]:
    return Counter(each.gold[0] for each in read.examples if each.gold)


@pytest.mark.parametrize("seed", range(8))
def test_each_label_has_its_share_aside_though_texts_repeat(seed: int) -> None:
    """As of a help desk's 120 rows, 45 of them repeats, of which 10, 1, 1 and 0 of 30 were set aside."""
    read = labelled(
        ("bill", [9, 8, 1, 1, *[1] * 11]), ("praise", [1] * 30), ("leave", [10, 10, 5, 5]), ("parcel", [2] * 15)
    )
    rest, aside = set_aside(read, 0.1, seed, text_of, "text")
    found = labels_of(aside)
    assert found["leave"] == 5, "of large groups the smallest"
    assert all(2 <= found[label] <= 3 for label in ("bill", "praise", "parcel"))
    assert not {each.text for each in rest.examples} & {each.text for each in aside.examples}
    assert rest.fingerprint != aside.fingerprint


@pytest.mark.parametrize("seed", range(8))
def test_what_stands_there_once_is_learnt_from(seed: int) -> None:
    read = labelled(("a", [1] * 40), ("b", [1] * 40), ("rare", [1]), ("repeated", [4]))
    rest, aside = set_aside(read, 0.1, seed, text_of, "text")
    assert len(aside.examples) == 9
    assert set(labels_of(aside)) == {"a", "b"}
    assert (labels_of(rest)["rare"], labels_of(rest)["repeated"]) == (1, 4)


def test_where_every_label_stands_there_once_some_are_set_aside_all_the_same() -> None:
    read = labelled(*((f"label {i}", [1]) for i in range(20)))
    rest, aside = set_aside(read, 0.1, 0, text_of, "text")
    assert (len(rest.examples), len(aside.examples)) == (18, 2)


@pytest.mark.parametrize("seed", range(4))
def test_numbers_that_stand_there_once_are_set_aside_like_others(seed: int) -> None:
    """A tenth of each kind, and not of the numbers that many share alone."""
    read = labelled(*((f"{i}.5", [1]) for i in range(300)), *((f"{i}", [1] * 4) for i in range(50)))
    _, aside = set_aside(read, 0.1, seed, text_of, "text")
    n_once = sum(label.endswith(".5") for label in labels_of(aside).elements())
    assert len(aside.examples) == 50
    assert 18 <= n_once <= 42, "30 of 300 are expected"


def test_many_small_labels_take_no_more_than_the_share() -> None:
    rest, aside = set_aside(labelled(*((f"label {i}", [1, 1, 1]) for i in range(100))), 0.1, 0, text_of, "text")
    assert (len(rest.examples), len(aside.examples)) == (270, 30)
