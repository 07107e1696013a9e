"""Evaluating and predicting: what may be given, and what is refused because it would do nothing."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from distiltune import cli
from distiltune.errors import DistiltuneError, RecipeError
from distiltune.recipe.for_use import FOR_PREDICTING, FOR_USE
from distiltune.recipe.recipe import Recipe
from distiltune.runs.evaluate import evaluate, predict
from distiltune.tasks.table import TASKS
from tests.helpers import people, train_on_people, write_squad


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_on_people(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squad(tmp_path_factory.mktemp("data") / "dev.json", people().examples[:8])


IDLE: list[dict[str, Any]] = [
    {"batch_size": 8, "epochs": 7, "learning_rate": 0.5},
    {"epochs": 5},
    {"train": "starter"},
    {"seed": 0},
    {"teacher": ""},
]


@pytest.mark.parametrize("settings", IDLE, ids=lambda settings: next(iter(settings)))
def test_settings_that_do_nothing_are_refused_with_those_that_matter(settings: dict[str, Any], tmp_path: Path) -> None:
    for use in (evaluate, partial(predict, predictions=tmp_path / "out")):
        with pytest.raises(RecipeError) as caught:
            use("no-model", "no-data.json", **settings)
        assert f"takes no {' and no '.join(settings)}: nothing" in caught.value.what
        assert "columns, quoting, no_header" in caught.value.fix
    assert not (tmp_path / "out").exists()


def test_only_settings_of_the_models_task_are_offered(model: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        evaluate(model, "no-data.json", epochs=3)
    assert caught.value.what.startswith("evaluate takes no epochs")
    assert "recipe" not in caught.value.where
    assert "max_answer_tokens" in caught.value.fix
    assert "long_texts" not in caught.value.fix
    assert "overlapping" not in caught.value.fix


def test_what_matters_where_answers_are_written_is_refused_elsewhere(model: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="evaluate takes no n_best"):
        evaluate(model, data, n_best=3)
    assert evaluate(model, data, n_best=3, predictions=tmp_path / "a").written
    assert predict(model, data, tmp_path / "b", n_best=3).written


def test_another_tasks_settings_are_refused_once_the_model_has_said_what_it_is_for(model: Path, data: Path) -> None:
    with pytest.raises(RecipeError, match="long_texts is a setting of another task"):
        evaluate(model, data, long_texts="windows")


def test_a_whole_recipe_may_be_that_of_a_training(model: Path, data: Path) -> None:
    recipe = Recipe(epochs=7, learning_rate=0.5, precision="bfloat16", seed=3)
    assert evaluate(model, data, recipe=recipe, threads=1).metrics == evaluate(model, data, threads=1).metrics


def test_in_eight_bits_it_measures_and_predicts_and_says_so(model: Path, data: Path, tmp_path: Path) -> None:
    exact, rounded = (evaluate(model, data, threads=1, precision=name) for name in ("float32", "int8"))
    assert rounded.metrics["loss"] == pytest.approx(exact.metrics["loss"], rel=0.05)
    assert rounded.metrics["loss"] != exact.metrics["loss"]
    assert not any("int8" in note for note in exact.notes)
    predicted = predict(model, data, tmp_path / "answers", threads=1, precision="int8")
    assert predicted.metrics == rounded.metrics
    for made in (rounded, predicted):
        assert any("int8" in note and "MB of memory" in note for note in made.notes)


def test_earlier_predictions_that_are_replaced_are_told(model: Path, data: Path, tmp_path: Path) -> None:
    first, second = (predict(model, data, tmp_path / "answers", threads=1) for _ in range(2))
    assert not any("replaced" in note for note in first.notes)
    assert f"what {tmp_path / 'answers'} had of earlier predictions is replaced" in second.notes


def test_a_misspelt_setting_is_still_told_the_right_one() -> None:
    with pytest.raises(RecipeError, match="did you mean 'max_length'"):
        evaluate("no-model", "no-data.json", max_lenght=64)


@pytest.mark.parametrize(("command", "settings"), [("evaluate", FOR_USE), ("predict", FOR_PREDICTING)])
def test_the_commands_have_a_flag_for_each(
    command: str, settings: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for task in TASKS:
        monkeypatch.setattr("sys.argv", ["distiltune", command, "--task", task, "--help-all"])
        cli.main()
    flags = {word for word in capsys.readouterr().out.split() if word.startswith("--")}
    assert {f"--{name.replace('_', '-')}" for name in settings} <= flags
    assert "--epochs" not in flags


def test_paths_and_names_are_taken_alike(model: Path, data: Path) -> None:
    expected = evaluate(str(model), str(data), threads=1)
    for named, given in ((model, data), (str(model), [data]), (model, (str(data),))):
        assert evaluate(named, given, threads=1) == expected


@pytest.mark.parametrize(("model_given", "data_given"), [(7, "starter"), ("starter-qa", 7), ("starter-qa", [b"a"])])
def test_what_is_neither_is_refused_by_its_type(model_given: Any, data_given: Any) -> None:
    with pytest.raises(DistiltuneError, match=r"of the type (int|bytes)"):
        evaluate(model_given, data_given)


def test_answers_of_two_models_are_never_mixed(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(model, data, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"predictions.json", "nbest.jsonl", "rejected.jsonl"}

    def full(*arguments: Any, **named: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("distiltune.tasks.question_answering.evaluation.write_whole", full)
    with pytest.raises(DistiltuneError, match="cannot be written: No space left"):
        predict(model, data, tmp_path, n_best=1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_runs_own_answers_are_not_replaced(model: Path, data: Path) -> None:
    run = model.parent
    before = {path.name for path in run.iterdir()}
    with pytest.raises(DistiltuneError, match="a run's directory") as caught:
        predict(model, data, run)
    assert str(run / "answers") in caught.value.fix
    assert {path.name for path in run.iterdir()} == before
