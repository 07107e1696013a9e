from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distiltune.data.conll import write_conll
from distiltune.data.files import iter_rows
from distiltune.data.rows import BadRow, Row
from distiltune.errors import DataError
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.examples import Entity
from distiltune.tasks.token_classification.read import TokenSet, gold_tags, read_marked


def read(path: Path, share: float = 1.0, columns: str = "") -> TokenSet:
    return read_marked([str(path)], "train", TokenColumns.parse(columns), share)


def read_rows(tmp_path: Path, *rows: dict[str, Any], columns: str = "") -> TokenSet:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read(path, columns=columns)


def test_conll_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(
        "-DOCSTART- -X- O O\n\n# a remark\nEU NNP I-ORG\nrejects VBZ O\n\n\n#tag O\n# NN O\n \nlast\tI-LOC\r\n",
        encoding="utf-8",
    )
    rows = list(iter_rows(path))
    assert [row.value for row in rows if isinstance(row, Row)] == [
        {"tokens": ["EU", "rejects"], "tags": ["I-ORG", "O"]},
        {"tokens": ["#tag", "#"], "tags": ["O", "O"]},
        {"tokens": ["last"], "tags": ["I-LOC"]},
    ]
    assert rows[0].where == f"{path}:4"
    examples = read(path).examples
    assert [gold_tags(example) for example in examples] == [["B-ORG", "O"], ["O", "O"], ["B-LOC"]]


def test_conll_without_tags_is_for_predicting_and_with_a_gap_is_refused(tmp_path: Path) -> None:
    plain, broken = tmp_path / "a.conll", tmp_path / "b.conll"
    plain.write_text("one\ntwo\n\nthree\n")
    assert [example.gold for example in read(plain).examples] == [None, None]
    broken.write_text("one O\ntwo\n\nthree O\n")
    rows = list(iter_rows(broken))
    assert isinstance(rows[0], BadRow)
    assert "'two'" in rows[0].reason
    with pytest.raises(DataError, match="1 of 2 rows"):
        read(broken, share=0.1)


def test_to_predict_no_row_needs_marks_that_can_be_used(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "0", "tokens": ["a", "b"], "tags": ["O", "B-x"]},
        {"id": "1", "tokens": ["a", "b"], "tags": ["O"]},
        {"id": "2", "tokens": ["a"]},
        {"id": "3", "text": "a b", "spans": [{"start": 0, "end": 99, "label": "x"}]},
        {"id": "4", "tokens": [], "tags": []},
    ]
    read_rows(tmp_path, *rows)
    path = str(tmp_path / "rows.jsonl")
    found = read_marked([path], "validation", TokenColumns(), 0.2, "prediction")
    assert [(each.id, each.gold is None) for each in found.examples] == [
        ("0", False),
        ("1", True),
        ("2", True),
        ("3", True),
    ]
    assert [(each.kind, each.row_id) for each in found.findings.of("noted")] == [
        ("tags_do_not_match", "1"),
        ("span_outside", "3"),
    ]
    with pytest.raises(DataError, match="4 of 5 rows"):
        read_marked([path], "validation", TokenColumns(), 0.2, "evaluation")
    read_rows(tmp_path, {"text": "a b"})
    with pytest.raises(DataError, match="nothing to measure"):
        read_marked([path], "validation", TokenColumns(), 0.2, "evaluation")


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    sentences = [(["New York", "is"], [["B-loc", "O"]]), (["#", "x"], [["O", "B-x"]])]
    path.write_text("\n".join(write_conll(iter(sentences))), encoding="utf-8")
    assert [row.value["tokens"] for row in iter_rows(path) if isinstance(row, Row)] == [["New_York", "is"], ["#", "x"]]


def test_tokens_and_tags(tmp_path: Path) -> None:
    found = read_rows(
        tmp_path,
        {"tokens": ["Ada", "sang"], "tags": ["S-per", "O"]},
        {"tokens": ["Ada"], "ner_tags": ["I-per"]},
        {"tokens": ["Ada", "sang"], "tags": ["O"]},
        {"tokens": [], "tags": []},
        {"tokens": ["a", " "], "tags": ["O", "O"]},
        {"tokens": ["a"], "tags": [3]},
        {"tokens": ["a"]},
    )
    assert [example.gold for example in found.examples] == [(Entity(0, 1, "per"),)] * 2
    kinds = [finding.kind for finding in found.findings.of("rejected")]
    assert kinds == ["tags_do_not_match", "tokens_not_a_list", "token_empty", "tag_not_text", "tags_missing"]


def test_spans_of_characters(tmp_path: Path) -> None:
    text = "Dr. Ada Byron-King met 李 in Sa\u0303o Paulo."  # an a and a tilde
    spans = [
        {"start": text.index("Sa"), "end": text.index(".", 5), "label": "place"},
        {"start": 4, "end": text.index(" met"), "label": "person"},
        {"start": text.index("李"), "end": text.index("李") + 1, "label": "person"},
    ]
    spans[0]["end"] = len(text) - 1
    found = read_rows(tmp_path, {"text": text, "spans": spans}).examples[0]
    assert found.gold is not None
    marked = [text[found.words[e.start][0] : found.words[e.end - 1][1]] for e in found.gold]
    assert marked == ["Ada Byron-King", "李", "Sa\u0303o Paulo"]
    assert len(found.words) == 12


def test_spans_that_cannot_be_used(tmp_path: Path) -> None:
    def row(*spans: Any) -> dict[str, Any]:
        return {"text": "Ada Byron sang", "spans": list(spans)}

    found = read_rows(
        tmp_path,
        row({"start": 0, "end": 9, "label": "per"}, {"start": 4, "end": 14, "label": "per"}),
        row({"start": 3, "end": 4, "label": "per"}),
        row({"start": 0, "end": 99, "label": "per"}),
        row({"start": 0, "end": 3}),
        row([0, 3, "per"]),
        row({"start": 0, "end": 2, "label": "per"}),
        row(),
    )
    kinds = [finding.kind for finding in found.findings.of("rejected")]
    assert kinds == ["spans_overlap", "span_without_words", "span_outside", "span_malformed", "span_malformed"]
    assert [finding.kind for finding in found.findings.of("repaired")] == ["span_widened"]
    assert [example.gold for example in found.examples] == [(Entity(0, 1, "per"),), ()]
