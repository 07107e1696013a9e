"""Every file format, its damage, and where the messages point."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from distiltune.data import streams
from distiltune.data.files import (
    combined_digest,
    data_files,
    file_digest,
    format_suffix,
    iter_rows,
)
from distiltune.data.first_columns import first_columns
from distiltune.data.held import holding
from distiltune.data.rows import BadRow, Row, told_in_full
from distiltune.errors import DataError

ROWS: list[dict[str, object]] = [
    {"question": "Who?", "context": 'Ann,\r\n\t"the" é🙂 עברית e\u0301'},
    {"question": "Where?", "context": "In Paris;\n\nFrance"},
]


def _write_json(path: Path) -> None:
    path.write_text(json.dumps(ROWS, ensure_ascii=False), encoding="utf-8")


def _write_json_lines(path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")


def _write_table(path: Path, delimiter: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, ["question", "context"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)


def _write_csv(path: Path) -> None:
    _write_table(path, ",")


def _write_tsv(path: Path) -> None:
    _write_table(path, "\t")


def _write_parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), path)


FORMATS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    ".json": (_write_json, ["#0", "#1"]),
    ".jsonl": (_write_json_lines, [":1", ":2"]),
    ".ndjson": (_write_json_lines, [":1", ":2"]),
    ".csv": (_write_csv, [":2", ":4"]),
    ".tsv": (_write_tsv, [":2", ":4"]),
    ".parquet": (_write_parquet, ["#0", "#1"]),
}


def _rows(path: Path) -> list[Row]:
    rows = []
    for row in iter_rows(path):
        assert not isinstance(row, BadRow), row
        rows += [row] if isinstance(row, Row) else []
    return rows


def _bad(path: Path) -> list[BadRow]:
    return [row for row in iter_rows(path) if isinstance(row, BadRow)]


def _error(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        list(iter_rows(path))
    assert caught.value.where.startswith(str(path))
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("suffix", list(FORMATS))
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str, packed: bool) -> None:
    write, places = FORMATS[suffix]
    path = tmp_path / f"train{suffix}"
    write(path)
    if packed:
        path = tmp_path / f"train{suffix}.gz"
        path.write_bytes(gzip.compress((tmp_path / f"train{suffix}").read_bytes()))
    rows = _rows(path)
    assert [row.value for row in rows] == ROWS
    assert [row.where for row in rows] == [f"{path}{place}" for place in places]


def test_table_rows_are_where_they_begin(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n"1\n1\n1",2\n\n3,4\n')
    assert [row.where for row in _rows(path)] == [f"{path}:2", f"{path}:6"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".tsv"])
def test_encodings(tmp_path: Path, suffix: str, encoding: str) -> None:
    path = tmp_path / f"a{suffix}"
    FORMATS[suffix][0](path)
    path.write_bytes(path.read_bytes().decode("utf-8").encode(encoding))
    assert [row.value for row in _rows(path)] == ROWS


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_survives_every_format(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    # A quoted field of tabs and line ends makes lines of a row's width, where marks are characters of a .tsv.
    assume("\t" not in text or not {"\n", "\r"} & set(text))
    folder = tmp_path_factory.mktemp("any")
    row: dict[str, object] = {"a": text, "b": "x"}
    (folder / "a.json").write_text(json.dumps([row], ensure_ascii=False), encoding="utf-8", newline="")
    (folder / "b.jsonl").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8", newline="")
    for name, delimiter in (("c.csv", ","), ("d.tsv", "\t")):
        with (folder / name).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL)
            writer.writerows([["a", "b"], [text, "x"]])
    pq.write_table(pa.Table.from_pylist([row]), folder / "e.parquet")
    assert [each.value for each in _rows(folder)] == [row] * 5


def test_json_object_with_data(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"version": "1.1", "data": ROWS}))
    assert [row.value for row in _rows(path)] == ROWS


def test_json_lines_in_a_json_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    _write_json_lines(path)
    assert [row.where for row in _rows(path)] == [f"{path}:1", f"{path}:2"]


def test_gzip_without_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    assert len(_rows(path)) == 2


def test_semicolons_and_quoted_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"question, or so";context\nWho, me?;x\n')
    assert _rows(path)[0].value == {"question, or so": "Who, me?", "context": "x"}


def test_fields_longer_than_the_csv_module_allows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "x" * 300_000 + ",y\n")
    assert len(str(_rows(path)[0].value["a"])) == 300_000


def test_rows_of_other_width_are_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1\n1,2\n1,2,3\n"1"x,2\n3,4\n')
    assert len([row for row in iter_rows(path) if isinstance(row, Row)]) == 2
    bad = _bad(path)
    assert [row.where for row in bad] == [f"{path}:2", f"{path}:4", f"{path}:5"]
    assert bad[0].reason == "has 1 fields where the header has 2."


def test_broken_json_names_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[\n {"a": 1},\n {"a" 2}\n]')
    error = _error(path)
    assert error.where == f"{path}:3:7"
    assert "line 3, column 7" in error.what


def test_broken_json_lines_are_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n{"a": \n[1]\n{"a": 2}')
    assert len([row for row in iter_rows(path) if isinstance(row, Row)]) == 2
    assert [row.where for row in _bad(path)] == [f"{path}:3", f"{path}:4"]
    assert "column" in _bad(path)[0].reason


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b"", "not JSON"),
        ("a.json", b'{"rows": []}', "neither a list"),
        ("a.json", b"17", "neither a list"),
        ("a.json", b"[" * 100_000, "cannot be read"),
        ("a.json", b"[" + b"9" * 10_000 + b"]", "cannot be read"),
        ("a.json", b'{"data": []} {"data": []\n', "not JSON"),
        ("a.csv", b"", "empty"),
        ("a.csv", b"a,b,a\n1,2,3\n", "'a' more than once"),
        ("a.csv", b'a,b\n1,2\n"3,4\n5,6\n', "cannot be told apart"),
        ("a.json.gz", b"[]", "gzip"),
        ("a.json.gz", gzip.compress(b'["' + bytes(range(32, 127)) * 9, mtime=0)[:60], "gzip"),
        ("a.parquet", b"PAR1 or not", "Parquet"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert said in str(_error(path))


def test_unclosed_quote_names_the_line_where_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,2\n"3,4\n5,6\n')
    assert _error(path).where == f"{path}:3"


@pytest.mark.parametrize("n_before", [0, 1, 1024**2 - 1, 1024**2, 2 * 1024**2 + 5])
def test_wrong_encoding_names_byte_and_line(tmp_path: Path, n_before: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n\n" + b" " * n_before + "é\n".encode("latin-1"))
    error = _error(path)
    assert error.where == f"{path}:3"
    assert f"byte {n_before + 2} " in error.what
    assert "UTF-8" in error.what


def test_text_cut_inside_a_character(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("a,b\n1,é".encode()[:-1])
    assert "byte 6 " in _error(path).what
    path.write_bytes("a,b\n1,2".encode("utf-16")[:-1])
    assert "UTF-16" in _error(path).what


def test_text_that_is_not_utf8_inside_parquet_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    column = pa.array([b"good", b"\xff\xfe", b"fine"]).view(pa.utf8())
    pq.write_table(pa.table({"a": column}), path)
    assert [row.where for row in _bad(path)] == [f"{path}#1"]
    assert len(list(iter_rows(path))) == 3


def test_unpacked_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_FILE_BYTES", 5_000_000)
    for suffix in (".json", ".csv", ".parquet"):
        path = tmp_path / f"bomb{suffix}.gz"
        path.write_bytes(gzip.compress(b" " * 20_000_000))
        assert "MiB once unpacked" in _error(path).what


def test_directory(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    for name in ("b.jsonl", "a.json", "c.csv.gz", "README.md", "inside/d.json"):
        (tmp_path / name).write_text("[]")
    found = data_files(tmp_path)
    assert [path.name for path in found.files] == ["a.json", "b.jsonl", "c.csv.gz"]
    assert [path.name for path in found.ignored] == ["README.md", "inside"]


def test_no_such_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    assert "no data file" in _error(tmp_path).what
    assert "no data file" in _error(tmp_path / "empty").what
    assert "does not exist" in _error(tmp_path / "none.json").what
    assert ".txt" in _error(tmp_path / "notes.txt").what


LONG = "x" * 300_000


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"context": LONG, "my question": "who"}]),
        json.dumps({"version": LONG, "data": [3, {"context": LONG, "my question": [{"within": 1}]}]}, indent=1),
        json.dumps({"data": [{"context": '"nested": [{', "my question": "who"}, 3]}),
        '{"context": "a"}\n{"my question": "who"}\n'.replace('"a"', '"a", "my question": null'),
    ],
    ids=["list", "data", "marks-in-text", "lines"],
)
@pytest.mark.parametrize("pack", [False, True])
def test_first_columns_are_the_first_rows(tmp_path: Path, text: str, pack: bool) -> None:
    path = tmp_path / ("a.json.gz" if pack else "a.json")
    path.write_bytes(gzip.compress(text.encode()) if pack else text.encode())
    assert first_columns(path) == ["context", "my question"]


def test_first_columns_of_a_large_file_are_read_from_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"a": "x" * 10_000}] * 200))
    monkeypatch.setattr(streams, "MAX_FILE_BYTES", 1_500_000)
    assert first_columns(path) == ["a"]
    _error(path)


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("a.json", '[\n {"a": "é"}]'.encode("latin-1"), ":2"),
        ("a.json", b'[\n {"a": 1,}]', ":2:10"),
        ("a.json", b'[{"a": ' + b"[" * 100_000, ""),
        ("a.json", b'[{"a": ' + b"9" * 10_000, ""),
        ("a.json.gz", gzip.compress(json.dumps(ROWS).encode())[:-9], ""),
        ("a.json.gz", gzip.compress(b'["\xff' + random.Random(1).randbytes(50_000))[:-9], ""),
        ("a.jsonl.gz", gzip.compress(json.dumps(ROWS[0]).encode())[:-9], ""),
        ("a.json", None, ""),
    ],
    ids=[
        "latin-1",
        "not-json",
        "deep",
        "digits",
        "cut-short",
        "cut-short-and-no-text",
        "lines-cut-short",
        "unreadable",
    ],
)
def test_first_columns_of_damaged_files(tmp_path: Path, name: str, content: bytes | None, where: str) -> None:
    path = tmp_path / name
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        first_columns(path)
    assert caught.value.where == f"{path}{where}"


def test_format_suffix() -> None:
    assert format_suffix("TRAIN.JSON.GZ") == ".json"
    assert format_suffix("dev-v1.1.json") == ".json"
    assert format_suffix("a.gz") is None
    assert format_suffix("a") is None


def test_fingerprint_is_of_contents_only(tmp_path: Path) -> None:
    for name, content in (("a.json", b"[1]"), ("b.json", b"[2]"), ("c.json", b"[1]")):
        (tmp_path / name).write_bytes(content)
    one, other = (file_digest(tmp_path / name) for name in ("a.json", "b.json"))
    assert one == hashlib.sha256(b"[1]").hexdigest()
    assert file_digest(tmp_path / "c.json") == combined_digest([one]) == one
    assert combined_digest([one, other]) == combined_digest([other, one]) != one
    with pytest.raises(DataError):
        file_digest(tmp_path / "none.json")


@pytest.mark.parametrize("name", ["a.conll", "a.bio", "a.iob", "a.CONLL.gz"])
def test_every_format_is_known_whatever_was_imported_before(tmp_path: Path, name: str) -> None:
    content = b"Ada\tB-person\n\nLondon\tB-place\n"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    program = (
        "import sys; from distiltune.data.files import iter_rows; from pathlib import Path; "
        "from distiltune.data.first_columns import first_columns; "
        "path = Path(sys.argv[1]); print(first_columns(path), [row.value['tags'] for row in iter_rows(path)]); "
        "assert 'distiltune.tasks.table' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / name)], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "['tokens', 'tags', '1', '2'] [['B-person'], ['B-place']]", done.stderr


@pytest.mark.parametrize("text", ['[{"a": 1}]', '[\n  {"a": 1}\n]', '\n [ {"a": 1},\n{"a": 2}]'])
def test_a_json_list_called_json_lines(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.v2.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match="is a JSON list, not JSON lines") as caught:
        list(iter_rows(path))
    assert caught.value.fix == "call it rows.v2.json."


def test_the_first_rows_are_looked_at_until_they_tell(tmp_path: Path) -> None:
    """Of JSON lines and of JSON alike: the first rows may be those that nobody has marked."""
    rows = [{"text": "a" * 500}] * 900 + [{"text": "b", "spans": []}]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "a.json").write_text(json.dumps(rows))
    for name in ("a.jsonl", "a.json"):
        assert first_columns(tmp_path / name) == ["text"]
        assert first_columns(tmp_path / name, is_enough=lambda names: "spans" in names) == ["text", "spans"]
        assert first_columns(tmp_path / name, is_enough=lambda names: False) == ["text", "spans"]


def test_the_rows_that_follow_are_not_looked_at_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n' * 20_000 + '{"text": "b", "spans": []}\n')
    assert first_columns(path, is_enough=lambda names: "spans" in names) == ["text"]


def test_numbers_with_a_fixed_number_of_decimals_are_numbers(tmp_path: Path) -> None:
    columns = {
        "id": pa.array([Decimal(10**17 + 1), None], pa.decimal128(20, 0)),
        "label": pa.array([Decimal("1.50"), Decimal("2.25")], pa.decimal128(10, 2)),
        "text": ["a", "b"],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    rows = [row.value for row in iter_rows(tmp_path / "a.parquet") if isinstance(row, Row)]
    assert rows == [{"id": 10**17 + 1, "label": 1.5, "text": "a"}, {"id": None, "label": 2.25, "text": "b"}]
    assert [type(row["label"]) for row in rows] == [float, float]
    with holding([{"text": "a", "label": Decimal("1.50")}], "train") as (name,):
        (row,) = iter_rows(name)
    assert isinstance(row, Row)
    assert row.value == {"text": "a", "label": 1.5}


def test_a_sentence_that_another_goes_on_from_is_not_told_beside_it() -> None:
    assert told_in_full(["It is a's.", "It is a's; the text is b.", "It is c's.", "It is a's."]) == [
        "It is a's; the text is b.",
        "It is c's.",
    ]
