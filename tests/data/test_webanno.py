"""WebAnno TSV 3, as INCEpTION exports it."""

from __future__ import annotations

from pathlib import Path

import pytest

from distiltune.data.files import iter_rows
from distiltune.data.rows import BadRow, Row
from distiltune.errors import DataError
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.read import read_marked

HEAD = "#FORMAT=WebAnno TSV 3.3\n#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value\n"
BODY = """

#Text=😀 Ada Venn of the Bank of Bern sang.
1-1\t0-2\t😀\t_\t_\t
1-2\t3-6\tAda\t*[1]\tPER[1]\t
1-3\t7-11\tVenn\t*[1]\tPER[1]\t
1-4\t12-14\tof\t_\t_\t
1-5\t15-18\tthe\t_\t_\t
1-6\t19-23\tBank\t*[2]\tORG[2]\t
1-7\t24-26\tof\t*[2]\tORG[2]\t
1-8\t27-31\tBern\t*[2]|*[3]\tORG[2]|LOC\\_B[3]\t
1-9\t32-36\tsang\t_\t_\t
1-10\t36-37\t.\t_\t_\t

#Text=Nobody came
2-1\t38-44\tNobody\t_\t_\t
2-2\t45-49\tcame\t_\t_\t
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "a.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_sentence_is_a_row_with_its_spans(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + BODY)
    rows = [row for row in iter_rows(path) if isinstance(row, Row)]
    first = str(rows[0].value["text"])
    spans = rows[0].value["spans"]
    assert isinstance(spans, list)
    assert [(first[s["start"] : s["end"]], s["label"]) for s in spans] == [
        ("Ada Venn", "PER"),
        ("Bank of Bern", "ORG"),
        ("Bern", "LOC_B"),
    ]
    assert [row.where for row in rows] == [f"{path}:5", f"{path}:17"]
    found = read_marked([path], "train", TokenColumns(), 0.0)
    assert [[entity.label for entity in example.gold or ()] for example in found.examples] == [["PER", "ORG"], []]
    assert "WebAnno TSV 3: each sentence is a row" in found.findings.decisions()[0]


def test_a_column_of_another_layer_is_passed_over(tmp_path: Path) -> None:
    two = HEAD.replace("#T_SP", "#T_SP=x.POS|PosValue\n#T_SP", 1)
    body = "\n#Text=Ada sang\n1-1\t0-3\tAda\tNN\t*\tPER\t\n1-2\t4-8\tsang\tVB\t_\t_\t\n"
    (row,) = iter_rows(written(tmp_path, two + body))
    assert isinstance(row, Row)
    assert row.value["spans"] == [{"start": 0, "end": 3, "label": "PER"}]
    with pytest.raises(DataError, match="POS, Mood; one of them must be learnt"):
        list(iter_rows(written(tmp_path, two.replace("NamedEntity|identifier|", "Mood|") + body)))


def test_what_cannot_be_read_is_a_bad_row_at_its_sentence(tmp_path: Path) -> None:
    part = BODY.replace("1-2\t", "1-2.1\t").replace("came\t_", "gone\t_")
    rows = list(iter_rows(written(tmp_path, HEAD + part)))
    assert all(isinstance(row, BadRow) for row in rows)
    assert [isinstance(row, BadRow) and row.reason.split(",")[0] for row in rows] == [
        "marks a part of a word",
        "has a token that its text does not have: 'gone'.",
    ]
