"""Tables of one word a row whose columns are called as those of texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from distiltune.data.words_a_row import way_to_word_rows
from distiltune.errors import RecipeError
from distiltune.recipe.choose_task import with_task_of_training
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.read import gold_tags, read_marked

ROWS = [("0", "Ada", "B-PER"), ("0", "Venn", "I-PER"), ("0", "sang", "O"), ("1", "In", "O"), ("1", "Bern", "B-LOC")]


@pytest.mark.parametrize("tag", ["label", "tags", "tag"])
def test_they_are_refused_with_the_line_that_reads_them(tag: str, tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text(f"id,text,{tag}\n" + "".join(f"{','.join(row)}\n" for row in ROWS), encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        with_task_of_training(Recipe.build({"train": (str(path),)}))
    columns = f"word=text,tag={tag},sentence=id"
    assert f"--task token-classification --columns {columns}" in caught.value.fix
    recipe = Recipe.build({"train": (str(path),), "task": "token-classification", "columns": columns})
    assert with_task_of_training(recipe).task == "token-classification"
    found = read_marked([str(path)], "train", TokenColumns.parse(columns), 0.0)
    assert [gold_tags(each) for each in found.examples] == [["B-PER", "I-PER", "O"], ["O", "B-LOC"]]


@pytest.mark.parametrize(
    "rows",
    [
        [{"text": word, "label": label} for word, label in [("good", "pos"), ("bad", "neg")] * 4],
        [{"text": "two words", "label": tag} for _, _, tag in ROWS],
        [{"text": "one", "label": "T-shirt"}, *({"text": "one", "label": "E-bike"} for _ in range(6))],
    ],
)
def test_texts_of_one_word_with_labels_are_none(rows: list[dict[str, object]]) -> None:
    assert way_to_word_rows(["text", "label"], lambda: rows) == ""
