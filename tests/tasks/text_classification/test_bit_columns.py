"""A column of 0 and 1 for each label: by itself where nothing else is there, with the flag where something is."""

from __future__ import annotations

from pathlib import Path

import pytest

from distiltune.errors import DataError, RecipeError
from distiltune.recipe.choose_task import with_task_of_training
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.text_classification.bit_columns import bit_columns, plain_columns, way_to_name_bits
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.task import from_settings


def settled(path: Path, columns: str = "") -> str:
    return with_task_of_training(Recipe.build({"train": (str(path),), "columns": columns})).task


def table(path: Path, before: str = "id,text", cells: str = "{0},day {0}") -> Path:
    rows = (f"{cells.format(i)},{i % 2},{int(i % 3 == 0)}\n" for i in range(12))
    path.write_text(f"{before},toxic,rude\n" + "".join(rows))
    return path


def test_plain_columns_need_no_flag(tmp_path: Path) -> None:
    assert settled(table(tmp_path / "a.csv")) == "text-classification"
    assert settled(table(tmp_path / "a.csv", "id,comment"), "text=comment") == "text-classification"


def test_where_they_are_not_plain_the_flag_is_told_with_their_names(tmp_path: Path) -> None:
    for before, cells in (("id,comment", "{0},day {0}"), ("author,text", "Ann,day {0}")):
        with pytest.raises(RecipeError, match="cannot be told") as caught:
            settled(table(tmp_path / "a.csv", before, cells))
        assert "--columns text=NAME,labels=toxic+rude" in caught.value.fix
    recipe = Recipe.build({"train": (str(tmp_path / "a.csv"),), "task": "text-classification"})
    import torch

    with pytest.raises(DataError, match="no labels") as missing:
        from_settings(recipe).open_training(torch.device("cpu"))
    assert "--columns labels=toxic+rude" in missing.value.fix


def test_which_columns_they_are() -> None:
    rows = [{"id": "1", "text": "a", "x": "1", "y": False}, {"id": "0", "text": "b", "x": 0.0, "y": "true"}]
    assert bit_columns(rows) == ("id", "x", "y")
    assert plain_columns(rows, TextColumns()) == ("x", "y")
    assert plain_columns([{**row, "z": "n"} for row in rows], TextColumns()) == ()
    assert plain_columns([{"text": "a", "x": 1}], TextColumns()) == ()
    assert way_to_name_bits(("a b", "c"), "text=NAME") == "--columns text=NAME,'labels=a b+c'"
