"""Paths are taken wherever names are, and stay paths."""

from __future__ import annotations

from collections import deque
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from distiltune.errors import DistiltuneError, RecipeError
from distiltune.model.convert import convert
from distiltune.model.source import load_source, resolve_model
from distiltune.recipe.recipe import Recipe
from distiltune.runs.evaluate import evaluate, predict
from distiltune.runs.fine_tune import fine_tune, resume
from distiltune.studies.compare import compare_runs
from distiltune.system.names import as_name, as_names, as_path
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.pipeline import pipeline
from distiltune.tasks.text_classification.classifier import TextClassifier
from distiltune.tasks.token_classification.marker import EntityMarker


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("starter", "starter"),
        ("squad", "squad"),
        (Path("starter"), "./starter"),
        (Path("owner/name"), "./owner/name"),
        (Path("runs/mine/model"), "runs/mine/model"),
        (Path("/data/a.json"), "/data/a.json"),
        (Path("../a.json"), "../a.json"),
        (Path("~/a.json"), "~/a.json"),
        (PurePosixPath("/data"), "/data"),
    ],
)
def test_a_path_stays_a_path_and_a_string_what_it_was(given: str | Path, expected: str) -> None:
    assert as_name(given, "model") == expected
    assert as_names(given, "train") == as_names([given], "train") == as_names(deque([given]), "train") == (expected,)


WITH_PATHS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"model": Path("/m")}, {"model": "/m"}),
    ({"train": Path("/a.json")}, {"train": ("/a.json",)}),
    ({"train": "a.json"}, {"train": ("a.json",)}),
    ({"train": [Path("/a.json"), "b.json"]}, {"train": ("/a.json", "b.json")}),
    ({"validation": Path("/a.json")}, {"validation": ("/a.json",)}),
    ({"teacher": Path("/t")}, {"teacher": "/t"}),
    ({"task": "encoder", "teacher": Path("/t"), "train": Path("/a.txt")}, {"model": "/t", "teacher": "/t"}),
]


@pytest.mark.parametrize(("given", "expected"), WITH_PATHS, ids=str)
def test_a_recipe_takes_paths(given: dict[str, Any], expected: dict[str, Any]) -> None:
    for recipe in (Recipe(**given), Recipe.build(given), Recipe().with_changes(**given)):
        assert {name: getattr(recipe, name) for name in expected} == expected
        assert Recipe.build(recipe.model_dump(mode="json")) == recipe  # plain strings, as TOML and JSON need them


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": 7}, r"model is .*\(of the type int\)"),
    ({"model": None}, "model is None"),
    ({"model": b"m"}, r"model is .*\(of the type bytes\)"),
    ({"teacher": ["a"]}, r"teacher is .*\(of the type list\)"),
    ({"train": 7}, r"train is .*\(of the type int\)"),
    ({"train": ["a.json", 7]}, r"train, number 2, is .*\(of the type int\)"),
    ({"train": {"a.json"}}, r"train is .*\(of the type set\)"),
    ({"validation": {"a.json": 1}}, r"validation is .*\(of the type dict\)"),
    ({"validation": [None]}, "validation, number 1, is None"),
    ({"device": 7}, r"device is .*\(of the type int\)"),
    ({"task": Path("a")}, "task is "),
    ({"monitor": 1.0}, r"monitor is .*\(of the type float\)"),
    ({"columns": {}}, r"columns is .*\(of the type dict\)"),
    ({"class_weights": 2}, r"class_weights is .*\(of the type int\)"),
    ({"model": ""}, "model is '', which names nothing"),
    ({"model": " "}, "model is ' ', which names nothing"),
    ({"train": ""}, "train is '', which names nothing"),
    ({"train": ["a.json", ""]}, "train, number 2, is '', which names nothing"),
    ({"validation": [""]}, "validation, number 1, is '', which names nothing"),
    ({"teacher": "  "}, "teacher is '  ', which names nothing"),
    ({"model": [["x" * 300]]}, r"model is .{,60}\(of the type list\)"),
]


@pytest.mark.parametrize(("given", "message"), WRONG, ids=lambda each: str(each)[:40])
def test_what_is_neither_is_refused_by_its_type(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    for build in (
        lambda: Recipe(**given),
        lambda: Recipe.build(given),
        lambda: fine_tune(output=tmp_path / "run", **given),
    ):
        with pytest.raises(RecipeError, match=message) as caught:
            build()
        assert "valid string" not in caught.value.what
        assert caught.value.fix
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("use", [Answerer, TextClassifier, EntityMarker, resolve_model, load_source])
def test_models_are_named_alike_everywhere(use: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"model is .*\(of the type int\)"):
        use(7)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DistiltuneError, match="There is no such model directory"):  # and nothing on the hub
        use(Path("owner/name"))
    with pytest.raises(DistiltuneError, match="There is no such model directory"):
        use(Path("starter"))


@pytest.mark.parametrize("data", [[], (), "", [""], " ", ["starter", ""]])
def test_nothing_is_never_something_else(data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the starter data nor what lies in the folder that the user is in."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match="nothing"):
        evaluate("starter-qa", data)
    with pytest.raises(RecipeError, match="nothing"):
        predict("starter-qa", data, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["", " ", "~nobody-of-that-name/x", 7, b"a", "a\0b", "a\udcff"])
def test_a_place_that_is_none_is_refused(place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: as_path(place, "output"),
        lambda: fine_tune(output=place),
        lambda: resume(place),
        lambda: predict("starter-qa", "starter", place),
        lambda: convert("starter", place),
        lambda: compare_runs([place, "starter"]),
    ):
        with pytest.raises(RecipeError):
            call()
    assert not list(tmp_path.iterdir())


def test_a_place_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert as_path("~/runs", "output") == Path("/home/ada/runs")
    assert as_path(Path("a") / "~", "output") == Path("a/~")


def test_the_pipeline_takes_a_path() -> None:
    with pytest.raises(RecipeError, match=r"model is .*\(of the type int\)"):
        pipeline("question-answering", model=7)  # type: ignore[arg-type]
