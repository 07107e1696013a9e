"""The table of fields in docs/data.md has every field of every task, with the column that it has by default."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from distiltune.tasks.question_answering.read import ColumnMap
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.token_classification.columns import TokenColumns

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
RECORDS: dict[str, Any] = {
    "question-answering": ColumnMap(),
    "text-classification": TextColumns(),
    "token-classification": TokenColumns(),
}


def test_every_field_is_in_the_table() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Fields and their columns")[2].partition("\n## ")[0]
    found: dict[str, dict[str, str]] = {}
    task = ""
    for named, field, column in re.findall(r"^\| ([\w-]*) ?\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE):
        task = named or task
        found.setdefault(task, {})[field] = column.split("`")[1]
    for name, record in RECORDS.items():
        fields = {each.name: each.default for each in dataclasses.fields(record)}
        assert found[name].keys() == fields.keys()
        assert {field: column for field, column in found[name].items() if fields[field]} == {
            field: column for field, column in fields.items() if column
        }
    assert found.keys() == RECORDS.keys()
