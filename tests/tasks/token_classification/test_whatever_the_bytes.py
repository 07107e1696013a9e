"""Whatever a file holds, each of its rows is read or has a finding that says where it is; nothing else is raised."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distiltune.data.reading import Reading
from distiltune.errors import DataError
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.read import read_marked
from distiltune.tasks.token_classification.word_rows import as_sentences

QUICK = settings(max_examples=80, deadline=None)

PIECES = ["Ada", "O", "B-x", "I-x", "M-y", "_", "0", "B", "1", "2", "1-2", "#", "# a", "|", "a|O", "\u00a0", "🌊", "("]
GAPS = ["\t", " ", "\n", "\n\n", "\r\n", "\r", "  ", ""]
COLUMNS = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(GAPS)), max_size=40).map(
    lambda parts: "".join(piece + gap for piece, gap in parts).encode()
)


def all_accounted_for(name: str, content: bytes, others: dict[str, bytes] | None = None) -> None:
    """Read a file of this content, whatever may be wrong with it, and count."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        for other, more in (others or {}).items():
            (Path(folder) / other).write_bytes(more)
        refused: DataError | None = None
        try:
            found = read_marked([str(path)], "train", TokenColumns(), 1.0, "prediction")
            n_rows = len(list(as_sentences(Reading[object]().rows(path), path, TokenColumns())))
        except DataError as error:
            refused = error
        if refused is not None:
            assert str(path) in refused.where
            return
        unused = found.findings.unused()
        assert found.findings.n_rows == n_rows == len(found.examples) + len(unused)
        n_lines = content.count(b"\n") + content.count(b"\r") + 1
        for place in [each.where for each in unused] + [each.where for each in found.examples]:
            assert place.startswith(str(path.with_suffix("")))
            line = place.rpartition(path.suffix)[2].rpartition(".txt")[2].lstrip(":#")
            assert not line or int(line) <= n_lines or "#" in place  # a row's number, from 0
        for example in found.examples:
            assert all(example.text[start:end].strip() for start, end in example.words)
            for entity in example.gold or ():
                assert 0 <= entity.start < entity.end <= len(example.words)


@QUICK
@given(content=COLUMNS | st.binary(max_size=60))
def test_columns(content: bytes) -> None:
    all_accounted_for("a.conll", content)


@QUICK
@given(content=COLUMNS | st.binary(max_size=60))
def test_one_word_a_row(content: bytes) -> None:
    all_accounted_for("a.csv", b"word,tag,sentence\n" + content.replace(b"\t", b",").replace(b" ", b","))


LINES = ["T1\tPER 0 3\tAda", "T2\tPER 2 9", "T3\tPER 0 1;2 3\tA a", "T4 x", "#1\tn", "R1\ta", "T5\tX 99 100\tz", ""]


@QUICK
@given(lines=st.lists(st.sampled_from(LINES), max_size=6), text=st.text(max_size=20) | st.just("Ada 🌊\r\nx"))
def test_brat(lines: list[str], text: str) -> None:
    text = text.encode(errors="ignore").decode()
    all_accounted_for("a.ann", "\n".join(lines).encode(), {"a.txt": text.encode()})


@QUICK
@given(content=st.binary(max_size=60), text=st.binary(max_size=30))
def test_brat_of_any_bytes(content: bytes, text: bytes) -> None:
    all_accounted_for("a.ann", content, {"a.txt": text})


ARTICLES = [
    "1|t|Ada",
    "1|a|left",
    "1\t0\t3\tAda\tPER\tx",
    "1\t0\t3\tBen\tPER",
    "1\tCID\ta\tb",
    "",
    "?",
    "1\t9\t3\tA\tB",
]


@QUICK
@given(content=st.lists(st.sampled_from(ARTICLES)).map(lambda lines: "\n".join(lines).encode()) | st.binary())
def test_pubtator(content: bytes) -> None:
    all_accounted_for("a.pubtator", content)


WORDS = st.sampled_from(["Ada", "a 🌊 b", "O", "B-x", "", " ", "PER"])
PLACES = st.integers(-2, 9) | WORDS | st.none()
NAMES = ["text", "label", "entities", "spans", "tokens", "tags", "ner", "data", "annotations", "result", "value"]
MORE = ["start", "end", "labels", "tokenized_text", "content", "annotation", "points", "answer", "paragraphs", "orth"]
VALUES: st.SearchStrategy[Any] = st.recursive(
    PLACES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(PLACES, PLACES, WORDS).map(list)
        | st.dictionaries(st.sampled_from([*NAMES, *MORE]), inner, max_size=5)
    ),
    max_leaves=24,
)


@QUICK
@given(rows=st.lists(VALUES, max_size=4))
def test_rows_of_tools(rows: list[Any]) -> None:
    all_accounted_for("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    all_accounted_for("a.json", json.dumps(rows).encode())


FORMS = Path(__file__).parents[2] / "data" / "forms"


@pytest.mark.parametrize("file", sorted(path for path in FORMS.glob("*.json*")), ids=lambda path: path.name)
def test_rows_of_tools_with_anything_in_one_place(file: Path) -> None:
    """Each value of a good file, one after the other, becomes something else."""
    text = file.read_text(encoding="utf-8")
    rows = json.loads(text) if file.suffix == ".json" and text.count("\n") > 3 else [json.loads(text.split("\n")[0])]
    rows = [rows] if isinstance(rows, dict) else rows
    anything: list[Any] = [None, 10**12, "x", [], {}, [[]]]
    for wrong in anything:
        for changed in _changed(rows, wrong):
            all_accounted_for("a.json", json.dumps(changed).encode())


def _changed(value: Any, wrong: Any) -> list[Any]:
    """The value with each place in it, one at a time, being ``wrong``."""
    found: list[Any] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += [{**value, key: each} for each in (wrong, *_changed(inner, wrong))]
    if isinstance(value, list):
        for place, inner in enumerate(value):
            found += [[*value[:place], each, *value[place + 1 :]] for each in (wrong, *_changed(inner, wrong))]
    return found
