"""What a file of another suffix is told to be called."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from distiltune.data.files import data_files
from distiltune.data.unknown_files import way_to_name
from distiltune.errors import DataError


@pytest.mark.parametrize(
    ("name", "content", "call_it"),
    [
        ("train.txt", '{"text": "a"}\n{"text": "b"}\n', "train.jsonl"),
        ("train.all", '[{"text": "a"}]', "train.json"),
        ("train", '{\n"data": []}', "train.json"),
        ("eng.testa", "Ada B-PER\nsat O\n\nBob B-PER\n", "eng.conll"),
        ("train.label", "a\tpos\nb\tneg\n", "train.tsv"),
        ("train.dat", 'a b,"c, d"\ne,f\n', "train.csv"),
        ("train.txt", "a;b\nc;d\n", "train.csv"),
        ("train.pq", b"PAR1xxxx", "train.parquet"),
        ("excel.txt", "text\tlabel\r\nLoud, slow\tbad\r\n".encode("utf-16"), "excel.tsv"),
        ("train.txt", "just a text\nand, more\n", ""),
        ("train.bin", b"\0\1\2", ""),
        ("train.txt", "", ""),
    ],
)
def test_what_it_looks_like(tmp_path: Path, name: str, content: str | bytes, call_it: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert way_to_name(path).partition("call it ")[2] == call_it


def test_a_packed_file(tmp_path: Path) -> None:
    path = tmp_path / "train.txt.gz"
    path.write_bytes(gzip.compress(b"a\tb\nc\td\n"))
    assert "train.tsv" in way_to_name(path)
    path.write_bytes(b"\x1f\x8bdamaged")
    assert way_to_name(path) == ""


def test_the_message_names_it(tmp_path: Path) -> None:
    path = tmp_path / "train.all"
    path.write_text("a\tb\nc\td\n")
    for named in (path, tmp_path):
        with pytest.raises(DataError, match=r"call it train\.tsv; otherwise"):
            data_files(named)
