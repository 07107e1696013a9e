"""Examples on disk are those in memory: the same one by one, some of them, and by kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distiltune.data import stored
from distiltune.data.stored import Beside, Growing, Mapped, OnDisk, all_but, both, changed, chosen, kinds_in_memory
from distiltune.tasks.text_classification.examples import TEXT_FORM, TextExample

LABELS: tuple[tuple[str, ...] | None, ...] = (("joy",), ("fear", "joy"), None, ())


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "BATCH_ROWS", 4)
    monkeypatch.setattr(stored, "ROWS_IN_MEMORY", 8)


def examples(n: int) -> list[TextExample]:
    return [
        TextExample(
            id=f"é{i}",
            text=f"text {i}\n\0",
            pair=None if i % 3 else "",
            gold=LABELS[i % 4],
            places=("a", "b") * (i % 2),
            where=f"f{i // 9}:{i}",
            weight=i / 2,
        )
        for i in range(n)
    ]


def grown(rows: Sequence[TextExample]) -> Sequence[TextExample]:
    growing = Growing(TEXT_FORM)
    growing.extend(rows)
    assert len(growing) == len(rows)
    return growing.done()


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 23, 24])
def test_what_is_taken_out_is_what_was_put_in(n: int) -> None:
    rows = examples(n)
    kept = grown(rows)
    assert isinstance(kept, tuple if n < 8 else OnDisk)
    assert list(kept) == rows == [kept[i] for i in range(n)]
    assert len(kept) == n
    assert list(kept[2:5]) == rows[2:5]
    assert kept == (tuple(rows) if n < 8 else rows)
    if n:
        assert kept[-1] == rows[-1]
    with pytest.raises(IndexError):
        kept[n]


def test_a_set_is_another_if_one_example_is() -> None:
    rows = examples(9)
    assert grown(rows) != [*rows[:-1], replace(rows[-1], weight=0.1)]
    assert grown(rows) != rows[:-1]


@pytest.mark.parametrize("ids", [[], [3], [0, 5, 6, 7, 20], list(range(1, 22)), [9, 2, 2, 14]])
def test_some_of_them_in_an_order(ids: list[int]) -> None:
    rows = examples(23)
    wanted = [rows[i] for i in ids]
    assert list(chosen(grown(rows), np.array(ids, dtype=np.int64))) == wanted
    assert chosen(rows, np.array(ids, dtype=np.int64)) == tuple(wanted)


def test_all_of_them_changed() -> None:
    rows = examples(23)
    assert list(changed(grown(rows), lambda each: replace(each, gold=None))) == [replace(e, gold=None) for e in rows]


def test_kinds_are_in_order_of_first_appearance() -> None:
    rows = examples(23)
    plain = kinds_in_memory(rows, lambda each: (each.gold, each.places, each.where[:2]))
    on_disk = grown(rows)
    assert isinstance(on_disk, OnDisk)
    assert list(on_disk.kinds.firsts) == list(plain.firsts)
    assert on_disk.kinds.counts.tolist() == plain.counts.tolist()
    assert on_disk.kinds.of.tolist() == plain.of.tolist()
    assert all(rows.index(first) == plain.of.tolist().index(i) for i, first in enumerate(plain.firsts))


def test_the_fingerprint_is_of_the_columns_that_are_named() -> None:
    rows = examples(23)
    once, again, other = grown(rows), grown(rows), grown([*rows[:-1], replace(rows[-1], text="!")])
    assert isinstance(once, OnDisk)
    assert isinstance(again, OnDisk)
    assert isinstance(other, OnDisk)
    assert once.fingerprint(["text"]) == again.fingerprint(["text"]) != other.fingerprint(["text"])
    assert once.fingerprint(["id"]) == other.fingerprint(["id"])


def test_long_texts_go_to_disk_before_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "CHARACTERS_IN_MEMORY", 40)
    assert isinstance(grown(examples(3)), tuple)
    rows = [replace(each, text="x" * 15) for each in examples(4)]
    assert list(grown(rows)) == rows
    assert isinstance(grown(rows), OnDisk)


def test_nothing_lies_in_the_cache_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_cache = tmp_path / "cache"  # in which nothing of other tests lies
    monkeypatch.setenv("DISTILTUNE_CACHE", str(own_cache))
    kept = grown(examples(30))
    assert not list(own_cache.rglob("scratch"))
    assert len(list(kept)) == 30


def test_a_file_with_other_columns_is_refused() -> None:
    kept = grown(examples(9))
    assert isinstance(kept, OnDisk)
    with pytest.raises(ValueError, match="columns"):
        OnDisk(kept.file, replace(TEXT_FORM, columns={"id": "string"}))


def test_a_mapped_set_is_made_when_it_is_looked_at() -> None:
    made: list[int] = []

    def make(number: int) -> str:
        made.append(number)
        return str(number)

    mapped = Mapped([1, 2, 3], make)
    assert (len(mapped), made) == (3, [])
    assert (mapped[1], list(mapped[:2]), list(mapped)) == ("2", ["1", "2"], ["1", "2", "3"])


@pytest.mark.parametrize(("n", "others"), [(5, []), (23, []), (23, [3]), (5, list(range(20))), (0, [1])])
def test_two_sets_as_one(n: int, others: list[int]) -> None:
    rows, more = examples(n), [examples(23)[i] for i in others]
    found = both(grown(rows), grown(more))
    assert isinstance(found, Beside if n > 8 or len(others) > 8 else tuple)
    assert list(found) == [*rows, *more] == [found[i] for i in range(len(found))]
    assert list(found[n - 2 : n + 1]) == [*rows, *more][n - 2 : n + 1]
    with pytest.raises(IndexError):
        found[len(rows) + len(more)]


def test_all_but_some() -> None:
    assert all_but([0, 3], 5).tolist() == [1, 2, 4]
