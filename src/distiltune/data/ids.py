"""Ids that no two examples of a set share."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Final

from distiltune.data.values import short_hash

IDS_IN_MEMORY: Final = 1 << 17
"""Of more, hashes are kept in their stead: 12 to 24 bytes each and not some 100."""
_FULL: Final = 0.6


@dataclass(slots=True)
class Ids:
    """The ids given so far; ``n_of`` counts how often one was asked for.

    Many are told apart by 8 bytes of a hash. Of ten million one is taken for another, and gets a ``-2`` that it need
    not have, once in 400,000 times.
    """

    taken: set[str] = field(default_factory=set)
    n_of: dict[str, int] = field(default_factory=dict)
    hashes: HashSet | None = None

    def unique(self, wanted: str) -> str:
        """``wanted``, or with ``-2``, ``-3``, ... if it is taken."""
        unique = wanted
        while not self._take(unique):
            self.n_of[wanted] = self.n_of.get(wanted, 1) + 1
            unique = f"{wanted}-{self.n_of[wanted]}"
        return unique

    def _take(self, name: str) -> bool:
        """Whether it was free until now."""
        if self.hashes is not None:
            return self.hashes.add(short_hash(name))
        if name in self.taken:
            return False
        self.taken.add(name)
        if len(self.taken) >= IDS_IN_MEMORY:
            self.hashes = HashSet()
            for each in self.taken:
                self.hashes.add(short_hash(each))
            self.taken.clear()
        return True


class FirstOf:
    """The first number that came with each of many hashes of 64 bits: open addressing in two flat arrays."""

    def __init__(self) -> None:
        """Know none."""
        self._keys, self._numbers = array("Q", [0]) * (1 << 12), array("q", [0]) * (1 << 12)
        self._n = 0

    def add(self, key: int, number: int) -> None:
        """Remember the number, if none came with this key before."""
        key = key or 1
        place = self._place(key)
        if self._keys[place]:
            return
        self._keys[place], self._numbers[place] = key, number
        self._n += 1
        if self._n > _FULL * len(self._keys):
            self._grow()

    def get(self, key: int) -> int | None:
        """The number that came first with this key; None if it never came."""
        place = self._place(key or 1)
        return self._numbers[place] if self._keys[place] else None

    def _place(self, key: int) -> int:
        """Where the key stands, or would."""
        keys, mask = self._keys, len(self._keys) - 1
        place = key & mask
        while keys[place] not in (0, key):
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        before = zip(self._keys, self._numbers, strict=True)
        size = 2 * len(self._keys)
        self._keys, self._numbers, self._n = array("Q", [0]) * size, array("q", [0]) * size, 0
        for key, number in before:
            if key:
                self.add(key, number)


class HashSet:
    """Numbers of 64 bits, 0 among them at most by chance as 1: open addressing in one flat array."""

    def __init__(self) -> None:
        """Hold none."""
        self._slots = array("Q", [0]) * (1 << 18)
        self._n = 0

    def add(self, number: int) -> bool:
        """Whether it was not there; it is now."""
        slots, mask, number = self._slots, len(self._slots) - 1, number or 1
        place = number & mask
        while there := slots[place]:
            if there == number:
                return False
            place = (place + 1) & mask
        slots[place] = number
        self._n += 1
        if self._n > _FULL * len(slots):
            self._grow()
        return True

    def _grow(self) -> None:
        before = self._slots
        self._slots, self._n = array("Q", [0]) * (2 * len(before)), 0
        for number in before:
            if number:
                self.add(number)
