"""Parquet files as batches that are small once unpacked, and refused where all of them are not."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from distiltune.data.parquet_pages import DELTA_BYTE_ARRAY, Chunk, DamagedError, Footer, Page, read_footer, read_page
from distiltune.data.streams import BLOCK_BYTES, MAX_FILE_BYTES, first_line, max_unpacked, open_bytes
from distiltune.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

MAX_VALUE_BYTES: Final = 1024**3
"""What the values of a file may come to in any case, each counted as often as it is there: a text that many rows share
is in the file once."""

_BATCH_ROWS: Final = 2_048
_BATCH_BYTES: Final = 32 * 1024**2
_CELL_BYTES: Final = 32
"""What a value costs beside its bytes, also where a run of a million nulls is four bytes of the file."""
_PAGE_BYTES: Final = 1_024
_SHARED_CHARACTERS: Final = 256
_SHARED_IN_MEMORY: Final = 1 << 25


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What a file may unpack to, in bytes: its pages with what their values cost, and the values themselves."""

    pages: int
    values: int


def parquet_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file, in batches of some megabytes.

    Raises:
        DataError: if it cannot be read, or unpacks to more than it may.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    bounds = _Bounds(max_unpacked(n_packed := path.stat().st_size), max(MAX_VALUE_BYTES, max_unpacked(n_packed)))
    n_bytes = 0
    try:
        with _opened(path) as stream:
            footer = read_footer(stream)
            with pq.ParquetFile(stream) as file:
                plan = _plan(file.schema, footer, stream, bounds, path)
            stream.seek(0)
            with pq.ParquetFile(stream, read_dictionary=plan.strings) as file:
                for batch in _batches(file, plan.n_rows):
                    for part in _small_parts(batch):
                        n_bytes += unpacked_bytes(part)
                        if n_bytes > bounds.values:
                            raise _too_large(path, bounds.values)
                        yield _decoded(part)
    except (pa.ArrowException, DamagedError) as error:
        raise DataError(
            f"The Parquet file cannot be read: {first_line(error).rstrip('.')}.",
            where=str(path),
            fix="write it again.",
        ) from error


def _batches(file: Any, n_rows: int) -> Iterator[pa.RecordBatch]:
    """All rows, so many at once; one row group after the other, since lists of dictionaries cannot be joined."""
    for group in range(file.num_row_groups):
        yield from file.iter_batches(batch_size=n_rows, row_groups=[group], use_threads=False)


def parquet_metadata(path: Path) -> dict[bytes, bytes]:
    """What the writer of a Parquet file has put beside its columns; nothing where the file cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as stream:
            read_footer(stream)
            return dict(pq.read_schema(stream).metadata or {})
    except (pa.ArrowException, DamagedError, OSError):
        return {}


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix.lower() != ".gz":
        with path.open("rb") as stream:
            yield stream
        return
    # Parquet is read from its end, so that a packed one must be unpacked first
    with open_bytes(path) as packed, tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(packed, unpacked, BLOCK_BYTES)
        yield unpacked


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to read a file: so many rows at once, and these columns as dictionaries.

    These are strings, of which one of a megabyte may stand in each of a million rows.
    """

    n_rows: int
    strings: list[str]


def _plan(schema: Any, footer: Footer, stream: IO[bytes], bounds: _Bounds, path: Path) -> _Plan:
    """How to read a file, by the heads of its pages. Raises `DataError` if they unpack to too much."""
    if any(len(group) != len(schema) for group in footer.groups):
        raise DamagedError("its row groups have other columns than its schema")
    end = stream.seek(0, 2)
    n_bytes, n_unpacked, longest = footer.n_rows * _CELL_BYTES, 0, 1
    as_strings: dict[str, bool] = {}
    for number in range(len(schema) if n_bytes <= bounds.pages else 0):
        column = schema.column(number)
        fixed = column.length if column.physical_type == "FIXED_LEN_BYTE_ARRAY" else 0
        largest_page, begins_alike = 0, False
        for group in footer.groups:
            n_bytes += _PAGE_BYTES
            for page in _pages(group[number], stream, end):
                n_unpacked += page.n_unpacked
                n_bytes += page.n_unpacked + page.n_values * max(_CELL_BYTES, fixed) + _PAGE_BYTES
                largest_page = max(largest_page, page.n_unpacked)
                begins_alike |= page.encoding == DELTA_BYTE_ARRAY
                if n_bytes > bounds.pages or n_unpacked > MAX_FILE_BYTES:
                    raise _too_large(path, min(bounds.pages, MAX_FILE_BYTES))
        if begins_alike and column.max_repetition_level:
            raise DamagedError(f"the column {column.path!r} has lists of values that begin as the one before them")
        # such a value is at most as long as all that its page holds
        longest = max(longest, fixed, largest_page if begins_alike else 0)
        as_strings[column.path] = column.physical_type == "BYTE_ARRAY" and not begins_alike
    if n_bytes > bounds.pages:
        raise _too_large(path, bounds.pages)
    strings = [column for column, is_string in as_strings.items() if is_string]
    return _Plan(max(1, min(_BATCH_ROWS, _BATCH_BYTES // longest)), strings)


def _pages(chunk: Chunk, stream: IO[bytes], end: int) -> Iterator[Page]:
    """The pages of one column in one row group, as far as a reader goes."""
    place, last, n_left = chunk.start, min(chunk.start + chunk.n_packed, end), chunk.n_values
    while place < last and n_left > 0:
        page, step = read_page(stream, place, end - place)
        place += step
        n_left -= page.n_values
        yield page


def _too_large(path: Path, n_bytes: int) -> DataError:
    return DataError(
        f"The Parquet file holds more than {n_bytes / 1024**2:,.0f} MiB once unpacked.",
        where=str(path),
        fix="write it with the columns that are needed only, or as several files in one directory.",
    )


def _small_parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch in parts of `_BATCH_BYTES` once unpacked, or of one row."""
    if batch.num_rows <= 1 or unpacked_bytes(batch) <= _BATCH_BYTES:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _small_parts(batch.slice(0, half))
    yield from _small_parts(batch.slice(half))


def unpacked_bytes(values: Any) -> int:
    """The bytes that a batch or a column of one takes once each of its values stands for itself."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(values, pa.RecordBatch):
        return sum(map(unpacked_bytes, values.columns))
    if isinstance(values, pa.ExtensionArray):
        return unpacked_bytes(values.storage)
    if isinstance(values, pa.DictionaryArray):
        lengths = pc.binary_length(values.dictionary)
        return int(pc.sum(pc.cast(lengths.take(values.indices), pa.int64())).as_py() or 0)
    if isinstance(values, pa.MapArray):  # which cannot be flattened where it has dictionaries
        first, end = (values.offsets[place].as_py() for place in (0, -1))
        return sum(unpacked_bytes(part.slice(first, end - first)) for part in (values.keys, values.items))
    if pa.types.is_nested(values.type):
        parts = values.flatten()
        return len(values) + sum(map(unpacked_bytes, parts if isinstance(parts, list) else [parts]))
    return int(values.nbytes)


def _decoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with plain values in place of dictionaries, which are slow to take apart."""
    import pyarrow as pa

    columns = [each.dictionary_decode() if isinstance(each, pa.DictionaryArray) else each for each in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


class SharedTexts:
    """Gives equal long texts of rows as one, which a file holds once and Python would for each row.

    As long as those between them have at most `_SHARED_IN_MEMORY` characters: of a large file all would be in memory.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._n_characters = 0

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row, its long texts those that were met before."""
        for name, value in row.items():
            if isinstance(value, str) and len(value) > _SHARED_CHARACTERS:
                row[name] = self._shared(value)
        return row

    def _shared(self, text: str) -> str:
        if text not in self._known:
            self._n_characters += len(text)
            if self._n_characters > _SHARED_IN_MEMORY:
                self._known.clear()
                self._n_characters = len(text)
        return self._known.setdefault(text, text)
