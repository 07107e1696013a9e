"""How much a Parquet file unpacks to, by the heads of its pages, before anything of it is unpacked.

The numbers in a file's footer are only what its writer says of them; what a reader allocates is told by the head of
each page. These are Thrift's compact protocol:
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift and
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Final, TypeAlias

MAX_SCHEMA_DEPTH: Final = 64
"""How deep columns may be nested: Arrow goes down them by recursion, and dies where the stack ends."""

DELTA_BYTE_ARRAY: Final = 7
"""The encoding in which a value may begin as the one before it, so that few bytes are many long values."""

_HEAD_BYTES: Final = 4_096
_MAX_HEAD_BYTES: Final = 16 * 1024**2
_MAX_DEPTH: Final = 16
_FOOTER_TAIL: Final = 8
_DATA_PAGES: Final = {0: 5, 3: 8}
"""Type of a page that holds values → the field of its head that says how many and in which encoding."""

Struct: TypeAlias = "dict[int, Value]"
Value: TypeAlias = "bool | int | bytes | list[Value] | Struct | None"


class DamagedError(ValueError):
    """These bytes are no such structure."""


class _CutShortError(DamagedError):
    """The structure goes on beyond these bytes."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the head of one page says.

    Attributes:
        n_packed: bytes of it in the file, its head left out.
        n_unpacked: bytes once unpacked.
        n_values: values in it, nulls included; 0 for a dictionary.
        encoding: of its values, by Parquet's number; -1 for a dictionary.

    """

    n_packed: int
    n_unpacked: int
    n_values: int
    encoding: int


class _Thrift:
    """Reads Thrift's compact protocol from bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def struct(self, depth: int = 0, last_field: int = 1 << 15) -> Struct:
        """A structure as field number → value, as far as the field ``last_field``."""
        if depth > _MAX_DEPTH:
            raise DamagedError("nested too deep")
        fields: Struct = {}
        number = 0
        while kind := self._byte():
            delta, kind = kind >> 4, kind & 15
            number = number + delta if delta else self._signed()
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
            if number >= last_field:
                break
        return fields

    def _value(self, kind: int, depth: int) -> Value:
        if kind in (1, 2, 3):  # in a list also the truth has a byte
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._varint())
        if kind in (9, 10):
            return self._list(depth)
        if kind == 12:
            return self.struct(depth + 1)
        raise DamagedError(f"a value of the unknown kind {kind}")

    def _list(self, depth: int) -> list[Value]:
        head = self._byte()
        size, kind = head >> 4, head & 15
        size = self._varint() if size == 15 else size
        if depth > _MAX_DEPTH:
            raise DamagedError("nested too deep")
        return [self._value(kind, depth + 1) for _ in range(size)]  # each takes a byte, or there is none left

    def _byte(self) -> int:
        if self.place >= len(self.data):
            raise _CutShortError("ends too early")
        self.place += 1
        return self.data[self.place - 1]

    def _bytes(self, n: int) -> bytes:
        if n > len(self.data) - self.place:
            raise _CutShortError("ends too early")
        self.place += n
        return self.data[self.place - n : self.place]

    def _varint(self) -> int:
        value = shift = 0
        while shift < 64:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise DamagedError("a number of more than 64 bits")

    def _signed(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One column in one row group, as the footer has it."""

    start: int
    n_packed: int
    n_values: int


@dataclass(frozen=True, slots=True)
class Footer:
    """Of a file: how many rows it says there are, and of each row group its columns in their order."""

    n_rows: int
    groups: list[list[Chunk]]


def read_footer(stream: IO[bytes]) -> Footer:
    """Look at the footer of a Parquet file before Arrow does, which ends the process at some that are damaged.

    Raises:
        DamagedError: if it has none, or columns in it are nested deeper than `MAX_SCHEMA_DEPTH`.

    """
    n_bytes = stream.seek(0, 2)
    stream.seek(max(n_bytes - _FOOTER_TAIL, 0))
    tail = stream.read(_FOOTER_TAIL)
    n_footer = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or not 0 < n_footer <= n_bytes - _FOOTER_TAIL:
        raise DamagedError("it does not end as such a file does")
    stream.seek(n_bytes - _FOOTER_TAIL - n_footer)
    footer = _Thrift(stream.read(n_footer)).struct()
    schema, groups = footer.get(2), footer.get(4)
    waiting: list[int] = []  # how many columns are still to come in each group that is open
    for element in schema if isinstance(schema, list) else []:
        n_inside = element.get(5) if isinstance(element, dict) else None
        while waiting and not waiting[-1]:
            waiting.pop()
        if waiting:
            waiting[-1] -= 1
        if isinstance(n_inside, int) and n_inside:
            waiting.append(n_inside)
        if len(waiting) > MAX_SCHEMA_DEPTH:
            raise DamagedError(f"its columns are nested deeper than {MAX_SCHEMA_DEPTH}")
    return Footer(_whole(footer.get(3)), [_chunks(group) for group in (groups if isinstance(groups, list) else [])])


def _chunks(group: Value) -> list[Chunk]:
    """The columns of a row group."""
    columns = group.get(1) if isinstance(group, dict) else None
    if not isinstance(columns, list):
        raise DamagedError("a row group has no columns")
    return [_chunk(column.get(3) if isinstance(column, dict) else None) for column in columns]


def _chunk(column: Value) -> Chunk:
    if not isinstance(column, dict):
        raise DamagedError("a column is not described")
    start, dictionary = _whole(column.get(9)), column.get(11)
    if isinstance(dictionary, int) and 0 < dictionary < start:
        start = dictionary
    return Chunk(start, _whole(column.get(7)), _whole(column.get(5)))


def read_page(stream: IO[bytes], place: int, n_left: int) -> tuple[Page, int]:
    """The head of the page at ``place``, and the bytes to the next one; there are ``n_left`` to the end of all.

    Raises:
        DamagedError: if there is none.

    """
    n_read = _HEAD_BYTES
    while True:
        stream.seek(place)
        thrift = _Thrift(stream.read(min(n_read, n_left)))
        try:
            head = thrift.struct()
            break
        except _CutShortError:
            if n_read >= min(n_left, _MAX_HEAD_BYTES):
                raise
            n_read *= 16
    n_unpacked, n_packed = _whole(head.get(2)), _whole(head.get(3))
    inner = head.get(_DATA_PAGES.get(_whole(head.get(1)), -1))
    n_values, encoding = 0, -1
    if isinstance(inner, dict):
        n_values = _whole(inner.get(1))
        encoding = _whole(inner.get(2 if head.get(1) == 0 else 4))
    return Page(n_packed, n_unpacked, n_values, encoding), thrift.place + n_packed


def _whole(value: Value) -> int:
    if not isinstance(value, int) or value < 0:
        raise DamagedError("the head of a page lacks a number")
    return value
