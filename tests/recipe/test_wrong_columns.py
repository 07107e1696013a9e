"""A mistyped `--columns` is told with the nearest right one: optional fields too, and where no task is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distiltune.data.file_form import FileForm
from distiltune.data.reading import Use
from distiltune.errors import DataError, RecipeError
from distiltune.recipe.choose_task import with_task_of_training
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.question_answering.read import ColumnMap, read_examples
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.read import read_texts
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.read import read_marked


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    path.write_text("sentence1,sentence2,gold\na cat,a dog,no\na cow,a cow,yes\n")
    return path


def settled(path: Path, columns: str, **settings: object) -> str:
    return with_task_of_training(Recipe.build({"train": (str(path),), "columns": columns, **settings})).task


@pytest.mark.parametrize(
    ("columns", "meant"),
    [
        ("text=sentence1,text_pair=sentence2,label=gold", "'pair'"),
        ("text=sentence1,pair=sentence2,labl=gold", "'label'"),
        ("text=sentence1,label=golden", "--columns text=sentence1,label=gold?"),
        ("txt=sentence1", "'text'"),
    ],
)
def test_while_no_task_is_known(pairs: Path, columns: str, meant: str) -> None:
    with pytest.raises((DataError, RecipeError)) as caught:
        settled(pairs, columns)
    assert f"did you mean {meant}" in caught.value.fix


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("text=sentence1,text=sentence2,label=gold", "'text' is mapped twice"),
        ("text=gold,label=gold", "'gold' is mapped to two fields"),
        ("question=sentence1,tokens=sentence2", "No task has all of these fields"),
    ],
)
def test_what_can_be_no_mapping_at_all(pairs: Path, columns: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        settled(pairs, columns)


def test_what_is_right_goes_on(pairs: Path) -> None:
    assert settled(pairs, "text=sentence1,pair=sentence2,label=gold") == "text-classification"


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_table_without_a_header(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text("a cat,no\na cow,yes\n".replace(",", "," if suffix == ".csv" else "\t"))
    with pytest.raises(RecipeError) as caught:
        settled(path, "")
    assert "--no-header --columns text=1,label=2" in caught.value.fix
    with pytest.raises(RecipeError, match="columns go by number") as caught:
        settled(path, "", no_header=True)
    assert "its columns, 1, 2" in caught.value.what
    assert settled(path, "text=1,label=2", no_header=True) == "text-classification"


def test_a_task_that_was_named_tells_of_the_header_too(pairs: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_texts([pairs], "train", TextColumns(), 1.0)
    assert "--no-header --columns text=1" in caught.value.fix


@pytest.mark.parametrize("use", ["training", "evaluation", "prediction"])
@pytest.mark.parametrize("field", ["id", "pair"])
def test_optional_columns_of_texts(tmp_path: Path, field: str, use: Use) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "a", "other_text": "b", "label": "no", "number": "1"}) + "\n")
    wrong, right = {"id": ("Number_", "number"), "pair": ("othertext", "other_text")}[field]
    with pytest.raises(DataError) as caught:
        read_texts([path], "train", TextColumns(**{field: wrong}), 1.0, use)
    assert f"did you mean --columns {field}={right}?" in caught.value.fix


def test_a_prediction_needs_no_gold(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"tweet": "a", "question": "b?", "context": "c", "tokens": ["d"]}\n')
    texts = read_texts([path], "validation", TextColumns(text="tweet", label="mood"), 1.0, "prediction")
    assert texts.examples[0].gold is None
    questions = read_examples(
        [path], split="validation", columns=ColumnMap(answer_text="reply", answers="replies"), use="prediction"
    )
    assert not questions.examples[0].has_gold
    assert read_marked([path], "validation", TokenColumns(tags="marks"), 1.0, "prediction").examples[0].gold is None


@pytest.mark.parametrize(("field", "wrong", "right"), [("answer_start", "begin_at", "begins_at"), ("id", "Nr.", "nr")])
def test_optional_columns_of_questions(tmp_path: Path, field: str, wrong: str, right: str) -> None:
    path = tmp_path / "a.jsonl"
    row = {"question": "Who?", "context": "Ada sat.", "answer_text": "Ada", "begins_at": 0, "nr": 1}
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=f"names for {field}") as caught:
        read_examples([path], split="train", columns=ColumnMap(**{field: wrong}))
    assert f"{field}={right}" in caught.value.fix


@pytest.mark.parametrize(("field", "wrong", "right"), [("tags", "tag_s", "Tags"), ("id", "number", "numbers")])
def test_optional_columns_of_words(tmp_path: Path, field: str, wrong: str, right: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"tokens": ["Ada"], "Tags": ["B-PER"], "numbers": 1, "ner_tags": ["B-PER"]}) + "\n")
    with pytest.raises(DataError) as caught:
        read_marked([path], "train", TokenColumns(**{field: wrong}), 1.0)
    assert f"{field}={right}" in caught.value.fix


def test_a_column_of_some_rows_only_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "y", "second": "c"}\n')
    read = read_texts([path], "train", TextColumns(pair="second"), 0.0)
    assert [example.pair for example in read.examples] == [None, "c"]


def test_words_in_columns_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_bytes("Zoë\tB-PER\n\n".encode("windows-1252"))
    with pytest.raises(DataError, match="--encoding windows-1252"):
        read_marked([path], "train", TokenColumns(), 0.0)
    read = read_marked([path], "train", TokenColumns(), 0.0, form=FileForm(encoding="windows-1252"))
    assert read.examples[0].text == "Zoë"


def test_an_encoding_that_does_not_exist() -> None:
    for name in ("klingon", "base64", "rot13"):
        with pytest.raises(RecipeError, match="no encoding of text"):
            Recipe.build({"encoding": name})


TITLE = "Requests 2024;;\nAs of July;;\n;;\nNo.;Area;Request\n1;Bill;It came twice\n2;Praise;All is well\n"


def test_names_below_a_title_are_found(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(TITLE)
    below = "line 4 of rows.csv has it: delete the lines above it"
    with pytest.raises(DataError) as caught:
        settled(path, "text=Request,label=Area")
    assert below in caught.value.fix
    with pytest.raises(DataError) as caught:
        read_texts([path], "train", TextColumns(text="Request", label="Area"), 1.0)
    assert below in caught.value.fix
    with pytest.raises(RecipeError) as refused:
        settled(path, "")
    assert "Line 4 may be the one with the names (No., Area, Request)" in refused.value.fix
    path.write_text(TITLE.replace("Request\n", "x\n"))
    with pytest.raises(DataError) as caught:
        settled(path, "text=Request,label=Area")
    assert "delete the lines" not in caught.value.fix


@pytest.mark.parametrize("title", ["Requests 2024\n", "# exported 2024-01-01\n\n"])
def test_a_title_of_one_field_above_the_names_is_told(tmp_path: Path, title: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(title + 'text,label\n"Loud, slow",bad\nBest,good\n')
    line = title.count("\n") + 1
    with pytest.raises(DataError) as caught:
        settled(path, "")
    assert f"Line {line} may be the one with the names (text, label): delete those above it." in caught.value.fix
    assert "--no-header" not in caught.value.fix
    with pytest.raises(DataError) as caught:
        settled(path, "text=1,label=2", no_header=True)
    assert f"delete the lines above line {line} (text, label), and leave --no-header out" in caught.value.fix
    assert "--columns" not in caught.value.fix


@pytest.mark.parametrize(
    "names",
    [
        "premise,hypothesis,label",
        "sentence1,sentence2,label",
        "Text_A,Text_B,label",
        "question1,question2,is_duplicate",
    ],
)
def test_columns_of_pairs_are_proposed(tmp_path: Path, names: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"{names}\na cat,a dog,no\na cow,a cow,yes\n")
    first, second, label = names.split(",")
    with pytest.raises(RecipeError) as caught:
        settled(path, "")
    mapped = f"text={first},pair={second}" + (f",label={label}" if label != "label" else "")
    assert f"did you mean --columns {mapped}?" in caught.value.fix
    assert settled(path, mapped) == "text-classification"
    read = read_texts([path], "train", TextColumns.parse(mapped), 1.0)
    assert [(example.text, example.pair) for example in read.examples] == [("a cat", "a dog"), ("a cow", "a cow")]
