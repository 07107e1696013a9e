"""Arguments of the Python classes are held to the bounds of the settings that they are called as."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distiltune import Answerer, EntityMarker, TextClassifier, fine_tune
from distiltune.errors import RecipeError
from distiltune.settings.bounds import check_values
from distiltune.tasks.question_answering.settings import QuestionAnsweringSettings
from tests.helpers import TINY, people, write_tiny_model

OF_ALL: list[tuple[dict[str, Any], str]] = [
    ({"max_length": 0}, "at least 16 and at most 131072"),
    ({"max_length": -5}, "at least 16 and at most 131072"),
    ({"max_length": 2}, "at least 16 and at most 131072"),
    ({"stride": -1}, "at least 0"),
    ({"threads": -1}, "at least 0"),
    ({"precision": "f16"}, "'float32'"),
    ({"device": 3}, "a string"),
]


@pytest.mark.parametrize("kind", [Answerer, TextClassifier, EntityMarker])
@pytest.mark.parametrize(("given", "allowed"), OF_ALL)
def test_what_is_out_of_bounds_is_refused_before_a_model_is_looked_for(
    kind: Callable[..., Any], given: dict[str, Any], allowed: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError) as caught:
        kind(tmp_path / "no-model", **given)
    ((name, value),) = given.items()
    assert caught.value.what.startswith(f"{name} is {value!r}")
    assert caught.value.where == f"argument: {name}"
    assert allowed in caught.value.fix


@pytest.mark.parametrize(
    "given", [{"max_answer_tokens": 0}, {"max_question_tokens": -1}, {"null_threshold": float("nan")}]
)
def test_those_of_questions_too(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=next(iter(given))):
        Answerer(tmp_path / "no-model", **given)


@pytest.mark.parametrize(("given", "most"), [({"stride": 384}, 379), ({"stride": 60, "max_length": 64}, 59)])
def test_a_stride_that_leaves_no_room(given: dict[str, Any], most: int) -> None:
    with pytest.raises(RecipeError) as caught:
        Answerer("starter-qa", threads=1, **given)
    assert caught.value.what.startswith(f"stride is {given['stride']}")
    assert f"at most {most}" in caught.value.fix


@pytest.mark.parametrize("kind", [TextClassifier, EntityMarker])
def test_a_stride_as_long_as_a_window(kind: Callable[..., Any], tmp_path: Path) -> None:
    known, texts = people(), kind is TextClassifier
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size())
    base = write_tiny_model(tmp_path / "base", known.tokenizer, config)
    train = tmp_path / "train.jsonl"
    rows: list[dict[str, Any]] = [
        {"text": f"ada eats {i}", "label": "ab"[i % 2]} if texts else {"tokens": ["ada", str(i)], "tags": ["B-p", "O"]}
        for i in range(12)
    ]
    train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = "text-classification" if texts else "token-classification"
    run = fine_tune(
        output=tmp_path / "run", model=base, train=train, task=task, max_length=32, stride=8, epochs=1, threads=1
    )
    with pytest.raises(RecipeError) as caught:
        kind(run.model, threads=1, stride=30)
    assert caught.value.where == "argument: stride"
    assert "below 30" in caught.value.fix
    assert kind(run.model, threads=1, stride=29)


@pytest.mark.parametrize(("given", "name"), [({"n_best": 0}, "n_best"), ({"passages": -1}, "passages")])
def test_what_is_asked_for_with_a_question(given: dict[str, Any], name: str) -> None:
    with pytest.raises(RecipeError, match=f"{name} is"):
        Answerer("starter-qa", threads=1)("Who?", "Ann met Bob.", **given)


def test_values_become_those_of_the_settings() -> None:
    given = {"max_length": "64", "stride": None, "null_threshold": 1}
    assert check_values(QuestionAnsweringSettings, given) == {"max_length": 64, "null_threshold": 1.0}
