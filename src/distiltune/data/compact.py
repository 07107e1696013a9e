"""Many small records without an object for each: 100,000 texts as one piece of memory, made again one by one."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import pairwise
from typing import Any, Final, Generic, TypeVar, overload

import numpy as np

from distiltune.data.packing import cumulative_lengths

R = TypeVar("R")
_FORM: Final = 4
"""Of marshal, which reads what this same process wrote, and nothing else."""


class Compact(Sequence[R], Generic[R]):
    """A sequence of frozen records of one class, whose fields are strings, numbers, None or tuples of these.

    What is taken out is made then, equal to what was put in; a loop over all holds one at a time.
    """

    def __init__(self, records: Iterable[R], kind: Callable[..., R]) -> None:
        """Lay them out; ``kind`` is their dataclass."""
        names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # a dataclass is what it is told to be
        self._kind = kind
        blob, lengths = bytearray(), []
        for record in records:
            packed = marshal.dumps(tuple(getattr(record, name) for name in names), _FORM)
            blob += packed
            lengths.append(len(packed))
        self._blob = bytes(blob)
        self._offsets = cumulative_lengths(np.array(lengths, dtype=np.int64))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[R]: ...
    def __getitem__(self, index: int | slice) -> R | Sequence[R]:
        """One record, or some in a list."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return self._made(self._offsets[place], self._offsets[place + 1])

    def __iter__(self) -> Iterator[R]:
        for start, end in pairwise(self._offsets):
            yield self._made(start, end)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_same, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def __repr__(self) -> str:
        return f"<{len(self):,} records in {len(self._blob):,} bytes>"

    def _made(self, start: Any, end: Any) -> R:
        return self._kind(*marshal.loads(memoryview(self._blob)[start:end]))


def _same(one: object, other: object) -> bool:
    return one == other
