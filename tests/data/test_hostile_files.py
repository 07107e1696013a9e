"""Files from anywhere: each is read, refused with a place and a way on, or read in part with the reasons."""

from __future__ import annotations

import csv
import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from distiltune.data import files, streams
from distiltune.data.file_form import FileDecision
from distiltune.data.files import iter_rows
from distiltune.data.rows import BadRow, Row
from distiltune.data.sources import find_source
from distiltune.data.streams import read_text
from distiltune.errors import DataError
from distiltune.tasks.question_answering.read import QuestionSet, read_examples
from tests.helpers import pipe_of

CONTEXT = "ada eats plums ."
ROW: dict[str, Any] = {"question": "what", "context": CONTEXT, "answer_text": "plums", "answer_start": 9}


def read(path: Path) -> QuestionSet:
    return read_examples([str(path)], split="train", max_rejected_share=1.0)


def write_lines(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def reasons(found: QuestionSet) -> list[str]:
    return [finding.kind for finding in found.findings.of("rejected")]


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b" " * 3_000_000, 9))
    monkeypatch.setattr(streams, "MIN_UNPACKED_BYTES", 1_000_000)
    with pytest.raises(DataError, match="MiB once unpacked") as caught:
        list(iter_rows(path))
    assert caught.value.where == str(path)


def test_an_ordinary_archive_may_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join([json.dumps(ROW)] * 2_000).encode()))
    monkeypatch.setattr(streams, "MIN_UNPACKED_BYTES", 1_000)
    assert len(list(iter_rows(path))) == 2_000


def test_a_json_document_has_a_bound_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.json"
    path.write_text(json.dumps([ROW] * 100))
    monkeypatch.setattr(files, "MAX_JSON_BYTES", 1_000)
    with pytest.raises(DataError, match="MiB once unpacked"):
        list(iter_rows(path))


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.tsv"])
def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_text("question,context\n" + "a" * 5_000)
    monkeypatch.setattr(streams, "MAX_LINE_CHARACTERS", 2_000)
    monkeypatch.setattr(csv, "field_size_limit", lambda *limit: 2_000)
    with pytest.raises(DataError, match="longer than 2,000 characters") as caught:
        list(iter_rows(tmp_path / name))
    assert caught.value.where.endswith(f"{name}:2")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_with_any_of_the_usual_delimiters(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "x.csv"
    context = 'ada, bob; and "cem" |\twith\nlines'
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([("question", "context"), ("who, what; | or\twhy", context)])
    decision, row = iter_rows(path)
    assert isinstance(row, Row)
    assert isinstance(decision, FileDecision)
    assert row.value == {"question": "who, what; | or\twhy", "context": context}


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "pipe.json"
    os.mkfifo(path)
    with pytest.raises(DataError, match="neither a file nor a directory"):
        list(iter_rows(path))


@pytest.mark.parametrize("seconds", [0.0, 0.2])
@pytest.mark.parametrize("text", ["a", "ada eats plums .\r\n", "é" * 300_000])
def test_a_pipe_is_read_from_its_beginning(text: str, seconds: float) -> None:
    for content in (text.encode(), text.encode("utf-16"), gzip.compress(text.encode())):
        with pipe_of(content, seconds) as path:
            assert read_text(path) == text
    with pipe_of(f"{text}é\n".encode("windows-1252"), seconds) as path:
        assert read_text(path, "windows-1252") == f"{text}é\n"
    not_utf_8 = f"{text}\né\n".encode("windows-1252")
    with pipe_of(not_utf_8, seconds) as path, pytest.raises(DataError, match="is not UTF-8: byte"):
        read_text(path)


def test_a_pipe_that_nobody_writes_into_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="nothing writes into it"):
        read_text(tmp_path / "pipe")


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.json")
    try:
        path.write_text("[]")
    except OSError:
        pytest.skip("this file system has no such names")
    for source in (path, tmp_path):
        with pytest.raises(DataError, match="name is not UTF-8"):
            list(iter_rows(source))


@pytest.mark.parametrize("source", ["a" * 5_000 + "/x.json", "~nobody-of-that-name/x.json", "\0/x.json"])
def test_a_path_that_cannot_be_is_a_clear_error(tmp_path: Path, source: str) -> None:
    with pytest.raises(DataError):
        find_source(source, "train", tmp_path)


def test_a_document_in_a_broken_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(gzip.compress(b"some text" * 100)[:-20])
    with pytest.raises(DataError, match="damaged or cut short"):
        read_text(path)


@pytest.mark.parametrize("depth", [10, 500, 900, 5_000, 100_000])
def test_depth_is_no_way_in(tmp_path: Path, depth: int) -> None:
    text = "[" * depth + "]" * depth
    (tmp_path / "x.jsonl").write_text(f'{json.dumps(ROW)}\n{{"question": {text}, "context": "c", "id": {text}}}')
    found = read(tmp_path / "x.jsonl")
    assert (len(found.examples), len(reasons(found))) == (1, 1)
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError):
        read(tmp_path / "x.json")


def test_numbers_of_any_size(tmp_path: Path) -> None:
    offsets = [10**30, -(10**30), 1e308, float("nan"), float("inf"), "1e400", "9" * 5_000, 9.5, True, None, [], {}]
    path = write_lines(tmp_path / "x.jsonl", ROW, *({**ROW, "answer_start": offset} for offset in offsets))
    found = read(path)
    assert found.findings.n_rows == len(found.examples) + len(reasons(found)) == 13
    assert all(each.answers[0].text == "plums" for each in found.examples if each.answers)
    (tmp_path / "y.jsonl").write_text(json.dumps(ROW) + '\n{"id": ' + "9" * 5_000 + "}")
    assert reasons(read(tmp_path / "y.jsonl")) == ["row_unreadable"]


@pytest.mark.parametrize("field", ["question", "context", "answer_text"])
def test_a_huge_field_is_left_out_with_its_reason(tmp_path: Path, field: str) -> None:
    found = read(write_lines(tmp_path / "x.jsonl", ROW, {**ROW, field: "word " * 300_000}))
    assert len(found.examples) == 1
    assert [kind.removesuffix("_too_long") for kind in reasons(found)] == [field.removesuffix("_text")]


def test_half_characters_never_reach_an_example(tmp_path: Path) -> None:
    half = "\ud800"
    rows = [{**ROW, name: half} for name in ("question", "context", "answer_text", "id")]
    found = read(write_lines(tmp_path / "x.jsonl", *rows, {**ROW, "title": half}))
    assert len(reasons(found)) == 4
    (kept,) = found.examples
    assert kept.title == ""
    for finding in found.findings.items:
        json.dumps(finding.as_json(), ensure_ascii=False).encode()


def test_an_answer_of_a_letter_in_a_sea_of_it_is_quick(tmp_path: Path) -> None:
    found = read(
        write_lines(tmp_path / "x.jsonl", ROW, {"question": "what", "context": "a" * 900_000, "answer_text": "A"})
    )
    assert reasons(found) == ["answer_ambiguous"]


@pytest.mark.parametrize(
    ("encoding", "is_read"),
    [("utf-8", 1), ("utf-8-sig", 1), ("utf-16", 1), ("utf-32", 1), ("latin-1", 0), ("utf-16-le", 0), ("cp1252", 0)],
)
def test_encodings(tmp_path: Path, encoding: str, is_read: int) -> None:
    text = json.dumps([{**ROW, "context": "ada eats plums — né"}], ensure_ascii=False)
    (tmp_path / "x.json").write_bytes(text.replace("—", "-" if encoding == "latin-1" else "—").encode(encoding))
    if is_read:
        assert read(tmp_path / "x.json").examples[0].context.endswith("né")
        return
    with pytest.raises(DataError) as caught:
        read(tmp_path / "x.json")
    assert str(tmp_path / "x.json") in caught.value.where


@pytest.mark.parametrize("content", [b"", b" ", b"\n\n", b"\xef\xbb\xbf", b"\xff\xfe", b"null", b"[]", b"{}", b"0"])
@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".tsv", ".parquet", ".json.gz", ".parquet.gz"])
def test_nearly_empty_files(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(path) in caught.value.where


def test_parquet_of_odd_types(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "question": pa.array(["what", "who", "why"]),
            "context": pa.array([CONTEXT] * 3),
            "answer_text": pa.array(["plums", None, "plums"]),
            "when": pa.array([0, -(2**50), 1], type=pa.timestamp("s")),  # a date that Python does not have
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    rows = list(iter_rows(tmp_path / "x.parquet"))
    assert [type(row) for row in rows] == [Row, BadRow, Row]
    assert isinstance(rows[1], BadRow)
    assert "cannot be read" in rows[1].reason


def test_a_context_without_any_token_makes_one_window(tmp_path: Path) -> None:
    from distiltune.tasks.question_answering.features import WindowSettings, make_features
    from tests.helpers import people

    found = read(write_lines(tmp_path / "x.jsonl", ROW, {"question": "what", "context": "\u200b"}))
    features = make_features(found.examples, people().tokenizer, WindowSettings(32, 4, 8))
    assert features.features.example_of.tolist() == [0, 1]
    assert features.n_context_tokens().tolist()[1] == 0
    assert features.features.labels[1].tolist() == [0, 0]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".conll", ".json"])
def test_many_lines_packed_into_few_bytes_are_refused_at_once(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}.gz"
    path.write_bytes(gzip.compress(b"\n" * (60 * 1024**2)))
    began = time.process_time()
    with pytest.raises(DataError, match="once unpacked, 32 bytes more counted for each line"):
        list(iter_rows(path))
    assert time.process_time() - began < 10


def test_short_lines_may_be_packed_well(tmp_path: Path) -> None:
    path = tmp_path / "a.conll.gz"
    path.write_bytes(gzip.compress(b"Ada B-PER\nsleeps O\n\n" * 200_000))
    assert len(list(iter_rows(path))) >= 200_000
