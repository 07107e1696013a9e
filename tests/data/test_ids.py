"""Ids by their hashes are those by themselves."""

from __future__ import annotations

import random

import pytest

from distiltune.data import ids
from distiltune.data.ids import FirstOf, HashSet, Ids


def test_many_ids_are_as_unique_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(3)
    wanted = [draw.choice("abcdefgh") + draw.choice(["", "-2", "-3"]) for _ in range(60)]
    exact = Ids()
    plain = [exact.unique(each) for each in wanted]
    assert len(set(plain)) == len(plain)
    monkeypatch.setattr(ids, "IDS_IN_MEMORY", 7)
    hashed = Ids()
    assert [hashed.unique(each) for each in wanted] == plain
    assert hashed.hashes is not None
    assert not hashed.taken


def test_a_set_of_hashes_grows() -> None:
    numbers, draw = HashSet(), random.Random(0)
    numbers._slots = numbers._slots[:8]
    drawn = [draw.randrange(1, 1 << 64) for _ in range(200)]
    assert all(numbers.add(each) for each in drawn)
    assert not any(numbers.add(each) for each in drawn)


def test_the_first_number_of_each_hash_is_known() -> None:
    known, draw, plain = FirstOf(), random.Random(0), dict[int, int]()
    keys = [0, *(draw.randrange(1 << 64) for _ in range(6_000)), *((7 << 12) * i for i in range(1, 50))]
    for number, key in enumerate([*keys, *keys[::-3]]):
        known.add(key, number)
        plain.setdefault(key, number)
    assert [known.get(key) for key in keys] == [plain[key] for key in keys]
    assert known.get(draw.randrange(1 << 64)) is None
