"""Plain texts: which are trained on, and which are to evaluate on."""

from __future__ import annotations

from pathlib import Path

import pytest

from distiltune.errors import DataError
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.plain_texts import TextSettings


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "texts.txt").write_text("".join(f"text number {i}\n" for i in range(10)), encoding="utf-8")
    return str(tmp_path / "texts.txt")


def settings(**given: object) -> TextSettings:
    return TextSettings.of(Recipe(task="fill-mask", **given))  # type: ignore[arg-type]


def test_a_share_is_set_aside_by_the_seed(file: str) -> None:
    everything, train, validation = settings(train=(file,), validation_share=0.2, sample_seed=1).open()
    assert validation is not None
    assert (len(everything.texts), len(validation.texts)) == (10, 2)
    assert {*train.texts, *validation.texts} == {*everything.texts}
    assert settings(train=(file,), validation_share=0.2, sample_seed=1).open() == (everything, train, validation)


def test_texts_to_evaluate_on_are_read_as_they_are(file: str, tmp_path: Path) -> None:
    (tmp_path / "others.txt").write_text("one more\n", encoding="utf-8")
    everything, train, validation = settings(train=(file,), validation=(str(tmp_path / "others.txt"),)).open()
    assert train == everything
    assert validation is not None
    assert validation.texts == ("one more",)


def test_without_a_share_there_are_none(file: str) -> None:
    everything, train, validation = settings(train=(file,), validation_share=0.0).open()
    assert train == everything
    assert validation is None


def test_one_text_cannot_be_parted(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("alone\n", encoding="utf-8")
    with pytest.raises(DataError, match="only one text"):
        settings(train=(str(tmp_path / "one.txt"),), validation_share=0.5).open()
