"""Files of different tasks in one training: told by name, whichever comes first, and of validation data too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distiltune import check
from distiltune.errors import DataError, RecipeError
from distiltune.recipe.choose_task import with_task_of_training
from distiltune.recipe.recipe import Recipe

QUESTIONS = json.dumps({"question": "Who?", "context": "Ada sang.", "answer_text": "Ada"}) + "\n"
TEXTS = "text,label\na day,good\na night,bad\n"
TAGS = "Ada B-PER\nsang O\n\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {"b.jsonl": QUESTIONS, "c.csv": TEXTS, "d.csv": TEXTS, "e.conll": TAGS}.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def settled(*sources: Path, **settings: object) -> str:
    return with_task_of_training(Recipe.build({"train": tuple(map(str, sources)), **settings})).task


@pytest.mark.parametrize("task", ["auto", "question-answering", "text-classification", "token-classification"])
def test_which_file_is_for_which_task_is_told(folder: Path, task: str) -> None:
    with pytest.raises(DataError, match="for different tasks") as caught:
        settled(folder, task=task)
    assert "b.jsonl for question-answering (with question, context, answer_text)" in caught.value.what
    assert "c.csv, d.csv for text-classification (with text, label)" in caught.value.what
    assert "e.conll for token-classification" in caught.value.what


def test_the_order_of_the_files_does_not_matter(folder: Path) -> None:
    for sources in ([folder / "b.jsonl", folder / "c.csv"], [folder / "c.csv", folder / "b.jsonl"]):
        with pytest.raises(DataError, match="for different tasks"):
            settled(*sources)
    assert settled(folder / "c.csv", folder / "d.csv") == "text-classification"


def test_a_file_that_may_be_of_two_tasks_goes_with_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label,question,context\na,b,c,d\n")
    (tmp_path / "b.csv").write_text(TEXTS)
    assert settled(tmp_path) == "text-classification"


@pytest.mark.parametrize("task", ["auto", "text-classification"])
def test_validation_data_of_another_task_is_told_as_such(folder: Path, task: str) -> None:
    told = "The data is for question-answering .* and the training is for text-classification"
    with pytest.raises(RecipeError, match=told):
        settled(folder / "c.csv", validation=(str(folder / "b.jsonl"),), task=task)
    with pytest.raises(RecipeError, match=told):
        check(folder / "c.csv", against=folder / "b.jsonl", task=task)


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        pytest.param("Text,Label\na day,good\n", "did you mean --columns text=Text,label=Label?", id="capitals"),
        pytest.param("mood,review\ngood,a long day\n", "--columns text=review,label=mood?", id="two columns"),
    ],
)
def test_the_columns_that_are_meant_are_told(tmp_path: Path, content: str, advice: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(RecipeError, match="cannot be told") as caught:
        settled(tmp_path / "a.csv")
    assert caught.value.fix.startswith(("did you mean", "of texts"))
    assert advice in caught.value.fix


KAGGLE = "Sentence #,Sentence,POS,Tag\n" + "".join(
    f"Sentence: {i},Ada sang .,\"['NNP', 'VBD', '.']\",\"['B-PER', 'O', 'O']\"\n" for i in range(5)
)


def test_columns_are_proposed_by_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "ner.csv").write_text(KAGGLE)
    with pytest.raises(RecipeError, match="cannot be told") as caught:
        settled(tmp_path / "ner.csv")
    assert caught.value.fix == "did you mean --columns tokens=Sentence,tags=Tag? It is for token-classification then"
    assert settled(tmp_path / "ner.csv", columns="tokens=Sentence,tags=Tag") == "token-classification"


@pytest.mark.parametrize(
    ("row", "unsaid"),
    [
        ({"tokens": ["Ada", "sang"], "spans": [{"start": 0, "end": 1, "label": "PER"}]}, "of texts and labels"),
        ({"data": [{"text": "Ada"}], "isTemplate": False, "count": 0, "lang": "en", "updated": 0}, "isTemplate+"),
    ],
    ids=["spans of tokens", "flags without a text"],
)
def test_nothing_is_proposed_that_the_values_cannot_be(tmp_path: Path, row: dict[str, object], unsaid: str) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(RecipeError, match="cannot be told") as caught:
        settled(tmp_path / "a.jsonl")
    assert unsaid not in caught.value.fix


def test_the_column_for_the_task_that_was_said_is_proposed(tmp_path: Path) -> None:
    row = {"text": "Ada sang", "topic": "song", "spans": [{"start": 0, "end": 3, "label": "PER"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(RecipeError, match="--task says text-classification") as caught:
        settled(tmp_path / "a.jsonl", task="text-classification")
    assert caught.value.fix.startswith("did you mean --columns label=topic? Otherwise ")
    assert settled(tmp_path / "a.jsonl", task="text-classification", columns="label=topic") == "text-classification"


def test_why_no_row_can_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n'a day, a night','good'\n")
    with pytest.raises(DataError, match=r"a\.csv:2 has 3 fields where the header has 2"):
        settled(tmp_path / "a.csv")


def test_files_without_labels_beside_others_are_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(TEXTS)
    (tmp_path / "test.csv").write_text("id,text\n1,a day\n")
    with pytest.raises(DataError, match="Some files of the training data have no labels") as caught:
        check(tmp_path, model="starter")
    assert caught.value.where.endswith("test.csv")
    assert "name the files that have some" in caught.value.fix


TOPICS = ("billing, refund", "praise", "billing, bug, praise", "bug", "refund")


@pytest.mark.parametrize("task", ["auto", "text-classification"])
def test_tags_of_whole_texts_are_no_tags_of_words(tmp_path: Path, task: str) -> None:
    table, listed = tmp_path / "a.csv", tmp_path / "b.jsonl"
    table.write_text("id,text,tags\n" + "".join(f'{i},day {i} was too long,"{TOPICS[i % 5]}"\n' for i in range(10)))
    rows = [{"text": f"day {i} was too long", "tags": TOPICS[i % 5].split(", ")} for i in range(10)]
    listed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    way = "--task text-classification --columns text=text,labels=tags"
    for path, flags in ((table, f"{way} --label-separator ','"), (listed, way)):
        with pytest.raises(RecipeError, match="values of most rows cannot be") as caught:
            settled(path, task=task)
        assert caught.value.fix.startswith(f"{flags}; ")
        assert settled(path, columns="text=text,labels=tags") == "text-classification"
        assert settled(path, task="token-classification") == "token-classification"


def test_tags_of_words_stay_so_where_some_rows_are_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for tags in ("B-PER O", "B-PER O O O", "PER - -"):  # of the first none fits, and yet they are tags of words
        path.write_text("text,tags\n" + f"Ada sang today,{tags}\n" * 10)
        assert settled(path) == "token-classification"
