"""What was read before is the same when it is read from the cache, and never that of anything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distiltune.data import kept_reading, reading
from distiltune.data.cache import Entry
from distiltune.data.file_form import FileDecision, FileForm
from distiltune.data.files import iter_rows
from distiltune.data.rows import BadRow, Row
from distiltune.errors import DataError
from distiltune.tasks.question_answering import read
from distiltune.tasks.question_answering.examples import Answer, Example
from distiltune.tasks.question_answering.read import ColumnMap, QuestionSet, read_examples

CONTEXT = "Ann met Bob in Paris 🙂. Bob left."
QUESTION = {"id": "1", "question": "Where?", "context": CONTEXT, "answer_text": "Paris", "answer_start": 15}
ROWS = [
    QUESTION,
    {**QUESTION, "answer_start": 3},  # an id that is taken, and an answer to move
    {**QUESTION, "id": "2", "answer_text": ""},
    {**QUESTION, "id": "3", "answer_text": "Rome"},
    {"question": 7},
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept_reading, "ROWS_WORTH_KEEPING", 1)
    return tmp_path / "cache"


@pytest.fixture
def files_read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file whose rows are read, as they are."""
    seen: list[Path] = []

    def watched(path: Path, form: FileForm) -> Iterator[Row | BadRow | FileDecision]:
        seen.append(path)
        return iter_rows(path, form)

    monkeypatch.setattr(reading, "iter_rows", watched)
    return seen


def write(path: Path, rows: object = ROWS) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def questions(path: Path, share: float = 1.0) -> QuestionSet:
    return read_examples([path], split="train", max_rejected_share=share)


def test_the_second_time_it_is_the_same_and_no_file_is_read(tmp_path: Path, files_read: list[Path]) -> None:
    path = write(tmp_path / "a.json")
    first = questions(path)
    assert len(first.findings.items) > 3
    assert first.examples[0].answers == (Answer("Paris", 15),)
    assert questions(path) == first
    assert files_read == [path]
    assert len({id(example.context) for example in questions(path).examples}) == 1, "a context is one object"


VALUES = st.none() | st.text() | st.integers() | st.booleans() | st.lists(st.text(), max_size=2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from([*QUESTION, "answers", "title"]), VALUES | st.just(CONTEXT))))
def test_so_it_is_whatever_was_read(tmp_path: Path, rows: list[object]) -> None:
    path = write(tmp_path / "any.json", [*rows, QUESTION])
    assert questions(path) == questions(path)


def test_every_field_of_an_example_is_kept() -> None:
    examples = [
        Example("1", "Who?", CONTEXT, (Answer("Ann", 0), Answer("Bob", 8)), "A title", ("Eve",), has_gold=True),
        Example("2", "Why?", "Other.", (), has_gold=False, weight=2.0),
    ]
    kept = json.loads(json.dumps(read._pack(examples)))
    assert read._unpack(kept) == examples
    for field in Example.__slots__:
        assert getattr(examples[0], field) != getattr(examples[1], field), "each field is tried"


def test_of_anything_else_the_files_are_read(
    tmp_path: Path, files_read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.json")
    questions(path)
    write(path, [{**QUESTION, "id": "other"}])
    assert [example.id for example in questions(path).examples] == ["other"]
    assert len(files_read) == 2, "other contents"
    other = write(tmp_path / "b.json", [{**QUESTION, "id": "other"}])
    questions(other)
    assert len(files_read) == 3, "another file, which findings name"
    read_examples([other], split="validation")
    read_examples([other], split="train", use="prediction")
    read_examples([other], split="train", columns=ColumnMap(question="id"))
    read_examples([other, path], split="train")
    assert len(files_read) == 8, "another split, use, mapping of columns, set of files"
    monkeypatch.setattr("distiltune.data.cache.code_fingerprint", lambda modules: "of another version")
    questions(other)
    assert len(files_read) == 9, "other code"


def test_a_file_that_changes_as_it_is_read_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_read: list[Path]
) -> None:
    path = write(tmp_path / "a.json")
    unwatched = vars(reading)["iter_rows"]

    def changing(read_path: Path, form: FileForm) -> Iterator[Row | BadRow | FileDecision]:
        rows = list(unwatched(read_path, form))
        write(path, [{**QUESTION, "id": "new"}])
        return iter(rows)

    monkeypatch.setattr(reading, "iter_rows", changing)
    questions(path)
    monkeypatch.setattr(reading, "iter_rows", unwatched)
    write(path)
    assert questions(path).examples[0].id == "1"
    assert len(files_read) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: b"[]",
        lambda kept: b"{",
        lambda kept: json.dumps({**kept, "findings": [["noted"]]}).encode(),
        lambda kept: json.dumps({**kept, "examples": {**kept["examples"], "id": []}}).encode(),
        lambda kept: json.dumps({**kept, "examples": {**kept["examples"], "context": [99, 99]}}).encode(),
    ],
    ids=["other-form", "no-json", "finding", "lengths", "context"],
)
def test_what_is_not_as_it_was_written_is_read_anew(
    tmp_path: Path, cache: Path, files_read: list[Path], damage: object
) -> None:
    path = write(tmp_path / "a.json", [QUESTION, {**QUESTION, "id": "2"}])
    first = questions(path)
    (entry,) = cache.iterdir()
    text = damage(json.loads(np.load(entry / "read.npy").tobytes()))  # type: ignore[operator]
    for file in entry.iterdir():
        file.unlink()
    entry.rmdir()
    Entry(entry).keep({"read": np.frombuffer(text, dtype=np.uint8)}, pytest.fail)
    assert questions(path) == first
    assert questions(path) == first
    assert len(files_read) == 2


def test_flipped_bits_are_noticed(tmp_path: Path, cache: Path, files_read: list[Path]) -> None:
    path = write(tmp_path / "a.json")
    first = questions(path)
    (file,) = cache.glob("*/read.npy")
    file.write_bytes(file.read_bytes().replace(b"Paris", b"Maris"))
    assert questions(path) == first
    assert len(files_read) == 2


def test_too_many_bad_rows_are_told_every_time(tmp_path: Path, files_read: list[Path]) -> None:
    path = write(tmp_path / "a.json")
    said = []
    for _ in range(2):
        with pytest.raises(DataError) as caught:
            questions(path, share=0.0)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert len(files_read) == 1


def test_small_sets_are_not_kept(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_reading, "ROWS_WORTH_KEEPING", len(ROWS) + 1)
    questions(write(tmp_path / "a.json"))
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path, cache: Path) -> None:
    cache.write_text("in the way")
    path = write(tmp_path / "a.json")
    assert questions(path) == questions(path)


def test_files_that_are_no_data_are_told_every_time(tmp_path: Path, files_read: list[Path]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    path = write(folder / "a.json")
    (folder / "notes.txt").write_text("of no use")
    first = questions(folder)
    assert "noted/file_ignored" in first.findings.counts()
    assert questions(folder) == first
    (folder / "notes.txt").unlink()
    assert questions(folder) == replace(questions(path), sources=(str(folder),))
    assert len(files_read) == 2
