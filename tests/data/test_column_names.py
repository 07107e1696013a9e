"""What ``--columns`` maps, and what is said of a mistyped one."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.data.column_names import (
    absent_column,
    check_mapped,
    columns_text,
    mapped_columns,
    nearest,
    no_header,
    parse_columns,
    split_columns,
    unknown_field,
)
from distiltune.errors import DataError, RecipeError


@dataclasses.dataclass(frozen=True)
class Columns:
    text: str = "text"
    pair: str = "text_pair"
    label: str = "label"


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("text=a, label = b ,", [("text", "a"), ("label", "b")]),
        ('text="Review, full",label=mood', [("text", "Review, full"), ("label", "mood")]),
        ("text='it''s, so',label=b", [("text", "it's, so"), ("label", "b")]),
        ('text="say ""a, b"" ="', [("text", 'say "a, b" =')]),
        ("text=2,label=a=b", [("text", "2"), ("label", "a=b")]),
        ("text=5' long,label=b", [("text", "5' long"), ("label", "b")]),
    ],
)
def test_parts(text: str, pairs: list[tuple[str, str]]) -> None:
    assert split_columns(text) == pairs


@given(st.lists(st.text(min_size=1).filter(lambda name: name == name.strip()), min_size=1, max_size=3, unique=True))
def test_what_a_message_writes_is_read_again(columns: list[str]) -> None:
    mapped = dict(zip(("text", "pair", "label"), columns, strict=False))
    (argument,) = shlex.split(columns_text(mapped))
    assert dict(split_columns(argument)) == mapped


@pytest.mark.parametrize("text", ["text", "text=", "=a", 'text=""', "text=a,=b"])
def test_a_part_that_maps_nothing(text: str) -> None:
    with pytest.raises(RecipeError, match="maps no column"):
        split_columns(text)


def test_a_name_with_a_comma_gets_the_way_to_write_it() -> None:
    with pytest.raises(RecipeError) as caught:
        split_columns("label=mood,text=Review, full")
    assert """'text="Review, full"'""" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "said"), [("text=a,text=b", "field 'text' is mapped twice"), ("text=a,label=a", "column 'a' is mapped")]
)
def test_twice(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        split_columns(text)


@pytest.mark.parametrize(("name", "meant"), [("text_pair", "pair"), ("labl", "label"), ("Text", "text")])
def test_a_field_that_does_not_exist(name: str, meant: str) -> None:
    with pytest.raises(RecipeError, match=f"no field '{name}'") as caught:
        parse_columns(Columns, f"{name}=a")
    assert f"did you mean {meant!r}" in caught.value.fix
    assert unknown_field("zzzzzz", {"text": "text"}, "").fix == "Fields: text."


@pytest.mark.parametrize(
    ("name", "names", "meant"),
    [
        ("sentence_2", ["sentence1", "sentence2"], "sentence2"),
        ("Label", ["text", "label "], "label "),
        ("gold", ["text", "spam"], ""),
        ("___", ["___", "a"], "___"),
    ],
)
def test_the_nearest(name: str, names: list[str], meant: str) -> None:
    assert nearest(name, names) == meant


def test_a_column_that_no_row_has() -> None:
    seen = {Path("a.csv"): dict.fromkeys(("sentence1", "sentence2", "gold"))}
    with pytest.raises(DataError) as caught:
        check_mapped({"text": "sentence1", "pair": "sentence_2"}, seen)
    assert caught.value.where == "a.csv"
    assert "for pair" in caught.value.what
    assert "--columns text=sentence1,pair=sentence2?" in caught.value.fix


def test_a_number_of_a_column_with_a_name() -> None:
    assert "--columns label=mood?" in absent_column("label", {"label": "2"}, ["text", "mood"], "").fix


def test_a_column_that_only_other_files_have_is_told() -> None:
    seen = {Path("a.csv"): {"a": None}, Path("b.csv"): {"b": None}, Path("squad.json"): {}}
    (finding,) = check_mapped({"text": "a"}, seen)
    assert (finding.outcome, finding.where) == ("decided", "b.csv")


def test_several_columns_for_one_field() -> None:
    assert check_mapped({"labels": "toxic+insult"}, {Path("a.csv"): {"toxic": None, "insult": None}}) == []


def test_only_what_was_mapped_must_be_there() -> None:
    assert mapped_columns(Columns(pair="b", label="c"), without=("label",)) == {"pair": "b"}


def test_the_flags_of_a_table_without_a_header() -> None:
    assert no_header(["text", "label"]) == "--no-header --columns text=1,label=2"


def test_columns_by_number_without_no_header() -> None:
    mapped = {"text": "1", "label": "2"}
    fix = absent_column("text", mapped, ["The kettle sang", "good"], "rows.csv").fix
    assert fix.startswith("if the first line is a row: --no-header --columns text=1,label=2; otherwise did you mean")
    assert "--no-header" not in absent_column("text", mapped, ["The kettle sang", "good"], "rows.jsonl").fix
