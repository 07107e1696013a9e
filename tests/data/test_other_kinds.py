"""Files that are no text: what they are by their first bytes and by their names, and that text is none of them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.data.files import data_files, iter_rows
from distiltune.data.other_kinds import HEAD_BYTES, kind_of, kind_of_name
from distiltune.errors import DataError


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    return stream.getvalue()


KINDS = [
    ("a.zip", zipped("a.jsonl"), "a ZIP archive"),
    ("a.csv", zipped("xl/workbook.xml"), "an Excel workbook"),
    ("a.xlsx", zipped("[Content_Types].xml"), "an Excel workbook, not text"),
    ("a.csv", zipped("[Content_Types].xml"), "an Excel workbook or a Word document"),
    ("a.docx", zipped("[Content_Types].xml"), "a document of a word processor"),
    ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook or a Word document"),
    ("a.csv", bz2.compress(b"a,b"), "packed by bzip2"),
    ("a.csv", lzma.compress(b"a,b"), "packed by xz"),
    ("a.csv", b"\x28\xb5\x2f\xfd\x00", "packed by zstd"),
    ("a.csv", b"Rar!\x1a\x07\x00", "a RAR archive"),
    ("a.csv", b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    ("a.csv", tarred(), "a tar archive"),
    ("a.csv", b"%PDF-1.7\n", "a PDF document"),
    ("a.json", b"\xef\xbb\xbf\n<html>", "a web page"),
    ("a.jsonl", b"PAR1\x15\x00", "Parquet"),
]


@pytest.mark.parametrize(("name", "content", "what"), KINDS, ids=[f"{name}-{what}" for name, _, what in KINDS])
def test_what_a_file_is_by_its_first_bytes(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    kind = kind_of(content[:HEAD_BYTES], Path(name))
    assert kind is not None
    assert what in kind.what
    assert kind.fix.endswith(".")
    for packed in (False, True):  # gzipped too
        path = tmp_path / ("a.csv.gz" if packed else "a.csv")
        path.write_bytes(gzip.compress(content) if packed else content)
        with pytest.raises(DataError, match="The file is"):
            list(iter_rows(path))


@pytest.mark.parametrize("name", ["a.xlsx", "a.ods", "a.rar", "a.docx", "a.pkl", "a.tar.gz", "a.tgz", "a.xml"])
def test_what_a_file_is_by_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"?")
    assert kind_of_name(path) is not None
    with pytest.raises(DataError, match="The file is"):
        data_files(path)


@given(st.text(max_size=40))
def test_json_is_none_of_them(text: str) -> None:
    assert kind_of(f'{{"text": "{text}"}}'.encode(errors="replace")[:HEAD_BYTES], Path("a.json")) is None


@pytest.mark.parametrize(
    "text", ["BZh is no word", "PK\n", "Rar! said Tom", "version,https\n", "%PDF", "<b>no</b> page"]
)
def test_a_text_that_begins_alike_is_text(text: str) -> None:
    assert kind_of(text.encode(), Path("a.csv")) is None
