"""Parquet: files that hold very much in few bytes are refused early, and others are read as pyarrow reads them."""

from __future__ import annotations

import gzip
import io
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distiltune.data import columnar
from distiltune.data.columnar import SharedTexts, parquet_batches, unpacked_bytes
from distiltune.data.files import iter_rows
from distiltune.data.parquet_pages import DamagedError, read_footer, read_page
from distiltune.data.rows import Row
from distiltune.errors import DataError

_MIB = 1024**2


def _write(path: Path, table: pa.Table, **options: Any) -> Path:
    pq.write_table(table, path, **{"compression": "zstd", **options})
    return path


def _dictionary(value: str, n_rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * n_rows, pa.int32()), pa.array([value]))


def _nested(depth: int) -> pa.Table:
    kind: pa.DataType = pa.int32()
    for _ in range(depth):
        kind = pa.struct([("a", kind)])
    return pa.table({"a": pa.array([None], kind)})


def _rising(n: int) -> pa.Array:
    """Texts each of which begins as the one before it."""
    return pa.array(["a" * 100_000 + "b" * number for number in range(n)])


BOMBS: dict[str, tuple[pa.Table, dict[str, Any]]] = {
    "one-text-in-every-row": (pa.table({"context": _dictionary("a" * _MIB, 100_000)}), {}),
    "one-text-in-every-list": (
        pa.table(
            {"answers": pa.ListArray.from_arrays(pa.array([0, 50_000, 100_000]), _dictionary("a" * _MIB, 100_000))}
        ),
        {},
    ),
    "nulls": (pa.table({"context": pa.nulls(5_000_000, pa.string())}), {}),
    "nulls-in-a-list": (
        pa.table({"a": pa.ListArray.from_arrays(pa.array([0, 5_000_000]), pa.nulls(5_000_000, pa.int64()))}),
        {},
    ),
    "spaces": (pa.table({"context": [" " * (100 * _MIB)]}), {"use_dictionary": False}),
    "beginnings-in-lists": (
        pa.table({"a": pa.ListArray.from_arrays(pa.array([0, 500]), _rising(500))}),
        {"use_dictionary": False, "column_encoding": {"a.list.element": "DELTA_BYTE_ARRAY"}},
    ),
    "nested": (_nested(70), {}),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_much_in_few_bytes_is_refused_in_little_memory(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnar, "MAX_VALUE_BYTES", 64 * _MIB)
    table, options = BOMBS[kind]
    path = _write(tmp_path / "a.parquet", table, **options)
    assert path.stat().st_size < _MIB
    before, began = pa.total_allocated_bytes(), time.process_time()
    sizes: list[int] = []

    def look(batch: pa.RecordBatch) -> None:
        sizes.append(pa.total_allocated_bytes() - before + unpacked_bytes(batch))

    with pytest.raises(DataError, match=r"once unpacked|begin as the one before|nested deeper"):
        list(map(look, parquet_batches(path)))
    assert max(sizes, default=0) < 160 * _MIB
    assert time.process_time() - began < 15


def test_beginnings_that_repeat_are_read_a_few_rows_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "_BATCH_BYTES", 4 * _MIB)
    options = {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}}
    path = _write(tmp_path / "a.parquet", pa.table({"a": _rising(600)}), **options)
    before, most = pa.total_allocated_bytes(), 0
    found = []
    for batch in parquet_batches(path):
        most = max(most, pa.total_allocated_bytes() - before)
        found += batch.column(0).to_pylist()
    assert found == _rising(600).to_pylist()
    assert most < 20 * _MIB  # all of it has 60 MB


def test_batches_are_small_once_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that all rows share is in the file once, and in a batch as often as it has rows."""
    monkeypatch.setattr(columnar, "_BATCH_BYTES", _MIB)
    path = _write(tmp_path / "a.parquet", pa.table({"context": _dictionary("a" * 65_536, 200)}))
    sizes = [(batch.num_rows, unpacked_bytes(batch)) for batch in parquet_batches(path)]
    assert sum(n_rows for n_rows, _ in sizes) == 200
    assert max(n_bytes for _, n_bytes in sizes) <= _MIB + 200 * 8  # and the places of the texts


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_rows_are_those_that_pyarrow_reads(version: str, packed: bool, tmp_path: Path) -> None:
    table = pa.table(
        {
            "context": ["ada eats plums" * 40] * 5_000,
            "answers": [{"text": ["plums", None], "answer_start": [9, 1]}, None] * 2_500,
            "tags": pa.array([["a", "b"], []] * 2_500, pa.list_(pa.dictionary(pa.int8(), pa.string()))),
            "label": pa.array(["x", None] * 2_500).dictionary_encode(),
            "bytes": pa.array([b"abcd"] * 5_000, pa.binary(4)),
            "large": pa.array(["é"] * 5_000, pa.large_string()),
            "map": pa.array([[("k", "v")]] * 5_000, pa.map_(pa.string(), pa.string())),
        }
    )
    path = _write(tmp_path / "a.parquet", table, data_page_version=version, row_group_size=1_900)
    if packed:
        plain, path = path, path.with_suffix(".parquet.gz")
        path.write_bytes(gzip.compress(plain.read_bytes()))
    rows = list(iter_rows(path))
    assert [row.value for row in rows if isinstance(row, Row)] == table.to_pylist()
    contexts = {id(row.value["context"]) for row in rows if isinstance(row, Row)}
    assert len(contexts) == 1, "a long text that all rows share is there once"


def test_long_texts_are_known_again_while_few_others_are_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "_SHARED_IN_MEMORY", 1_000)

    def fresh(sign: str) -> str:
        return "".join([sign] * 300)

    shared = SharedTexts()
    texts = [str(shared.row({"a": fresh(sign)})["a"]) for sign in "abbacdefga"]
    assert texts[0] is texts[3]
    assert texts[1] is texts[2]
    assert texts[0] is not texts[9]
    assert texts == [fresh(sign) for sign in "abbacdefga"]
    assert sum(map(len, shared._known)) <= 1_000


def test_bytes_are_those_of_every_value_as_often_as_it_is_there() -> None:
    shared = pa.record_batch({"a": _dictionary("abc", 10)})
    assert unpacked_bytes(shared) == 30
    lists = pa.ListArray.from_arrays(pa.array([0, 4, 10]), _dictionary("abc", 10))
    assert unpacked_bytes(lists) == 2 + 30
    assert unpacked_bytes(lists.slice(1)) == 1 + 18


@pytest.mark.parametrize("seed", range(3))
def test_heads_of_pages_say_what_pyarrow_wrote(seed: int, tmp_path: Path) -> None:
    table = pa.table({"a": [f"text {number * seed}" for number in range(10_000)]})
    path = _write(tmp_path / "a.parquet", table, data_page_size=4_096, use_dictionary=seed == 0)
    chunk = pq.read_metadata(path).row_group(0).column(0)
    place = chunk.dictionary_page_offset or chunk.data_page_offset
    n_values = n_unpacked = n_pages = n_heads = 0
    with path.open("rb") as stream:
        assert read_footer(stream).n_rows == 10_000
        while n_values < 10_000:
            page, step = read_page(stream, place, path.stat().st_size - place)
            place += step
            n_values, n_unpacked, n_pages = n_values + page.n_values, n_unpacked + page.n_unpacked, n_pages + 1
            n_heads += step - page.n_packed
    assert n_values == 10_000
    assert n_unpacked + n_heads == chunk.total_uncompressed_size
    assert place == (chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size


@pytest.mark.parametrize(
    "head", [b"", b"\x15", b"\x15\x00", b"\x1c" * 60, b"\x19\xfc" + b"\xff" * 9, b"\x1b\x00", b"\xff" * 99]
)
def test_no_head_of_a_page_is_an_error(head: bytes) -> None:
    with pytest.raises(DamagedError):
        read_page(io.BytesIO(head), 0, len(head))
