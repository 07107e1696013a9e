from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distiltune.coach.search_space import DEFAULT_SEARCH, Choice, Range, parse_space
from distiltune.errors import RecipeError, TrainingError
from distiltune.fine_tuning import FineTuned, GoOn
from distiltune.recipe import Recipe
from tests.coach.evidence import epoch
from tests.helpers import TINY, people, write_squad, write_tiny_model

PEOPLE = people()


def test_ranges_and_choices_are_read_as_the_recipe_types_them() -> None:
    space = parse_space(
        ["learning-rate=1e-5:3e-4:log", "dropout=0:0.3", "epochs=2,3", "batch_size=8:32", "monitor_not=1"][:4], Recipe()
    )
    assert space == (
        Range("learning_rate", 1e-5, 3e-4, log=True),
        Range("dropout", 0.0, 0.3),
        Choice("epochs", (2, 3)),
        Range("batch_size", 8, 32, whole=True),
    )
    assert parse_space(["precision=float32,bfloat16"], Recipe()) == (Choice("precision", ("float32", "bfloat16")),)
    assert len(parse_space(DEFAULT_SEARCH, Recipe())) == len(DEFAULT_SEARCH)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learning_rate", "nothing to search"),
        ("learning_rte=1:2", "no setting called"),
        ("learning_rate=1e-4:1e-5", "ends before it begins"),
        ("weight_decay=0:0.1:log", "begins at 0"),
        ("learning_rate=1:2:3", "no range"),
        ("epochs=0,2", "epochs"),
        ("dropout=0:7", "dropout"),
        ("precision=a:b", "precision"),
        ("train=a,b", "cannot be searched"),
    ],
)
def test_a_space_that_cannot_be_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse_space([text], Recipe())
    with pytest.raises(RecipeError, match="twice"):
        parse_space(["epochs=1,2", "epochs=3,4"], Recipe())


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("sources")
    config = replace(TINY, vocab_size=PEOPLE.tokenizer.get_vocab_size(), max_position_embeddings=64)
    settings: dict[str, Any] = {
        "model": str(write_tiny_model(folder / "tiny", PEOPLE.tokenizer, config)),
        "train": (str(write_squad(folder / "train.json", PEOPLE.examples)),),
        "validation": (str(write_squad(folder / "dev.json", PEOPLE.examples[:8])),),
        "max_length": 48,
        "stride": 8,
        "epochs": 2,
        "threads": 1,
    }
    return Recipe.build(settings)


def test_a_search_goes_on_where_it_was_broken_off(recipe: Recipe, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.coach.tune import search_lines, tune, write_search

    recipe = recipe.with_changes(epochs=1)  # in which nothing can be stopped early
    space = parse_space(["learning_rate=1e-4:1e-2:log", "batch_size=8,16"], recipe)
    first = tune(recipe, space, tmp_path / "search", n_trials=2)
    assert [each.number for each in first.trials] == [0, 1]
    found = tune(recipe, space, tmp_path / "search", n_trials=6)
    assert found.trials[:2] == first.trials
    assert len(found.trials) == 6
    assert set(found.importances) == {"learning_rate", "batch_size"}
    assert found.best is not None
    done = [each for each in found.trials if each.outcome == "done"]
    assert found.best.value == min(each.value for each in done if each.value is not None)
    # a model of the best trial only, and no checkpoints: a search must not fill the disk
    kept = {path.parent.name for path in (tmp_path / "search" / "trials").glob("*/model")}
    assert kept == {f"{found.best.number:03d}"}
    assert not list((tmp_path / "search" / "trials").glob("*/checkpoints"))

    data, picture, best = write_search(found, tmp_path / "search")
    assert json.loads(data.read_text())["best"] == found.best.number
    assert picture.stat().st_size > 5_000
    assert Recipe.from_toml(best) == recipe.with_changes(task="question-answering", **found.best.settings)
    assert "6 trials" in search_lines(found)[0]

    with pytest.raises(TrainingError, match="other settings"):
        tune(recipe, space[:1], tmp_path / "search", n_trials=8)


def test_a_trial_that_is_behind_is_stopped(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.coach import tune as module

    def pretend(recipe: Recipe, *, output: Path, go_on: GoOn, **others: Any) -> FineTuned:
        """A training whose validation loss is what the learning rate says, each epoch."""
        epochs = []
        for number in range(recipe.epochs):
            epochs.append(epoch(number, 1.0, recipe.learning_rate))
            if not go_on(epochs[-1]):
                break
        return FineTuned(output, output, tuple(epochs), 0, recipe)

    monkeypatch.setattr(module, "fine_tune", pretend)
    space = parse_space(["learning_rate=0.1:0.9"], recipe)
    found = module.tune(recipe.with_changes(epochs=4), space, tmp_path / "search", n_trials=15)
    pruned = [each.value for each in found.trials if each.outcome == "pruned"]
    done = [each.value for each in found.trials if each.outcome == "done"]
    assert pruned
    assert done
    assert all(each.epochs_done == (1 if each.outcome == "pruned" else 4) for each in found.trials)
    assert found.best is not None
    assert found.best.value == min(value for value in done if value is not None)
    assert min(value for value in pruned if value is not None) > found.best.value


def test_a_trial_that_diverges_is_counted_and_the_search_goes_on(recipe: Recipe, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.coach.tune import search_lines, tune, write_search

    space = parse_space(["learning_rate=0.9,1.0"], recipe)
    spoilt = recipe.with_changes(adam_epsilon=1e-30, warmup_steps=0)
    found = tune(spoilt, space, tmp_path / "search", n_trials=2)
    assert len(found.trials) == 2
    assert write_search(found, tmp_path / "search")
    assert search_lines(found)


def test_a_search_needs_something_to_judge_by(recipe: Recipe, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.coach.tune import tune

    with pytest.raises(RecipeError, match="validation"):
        tune(recipe.with_changes(validation=(), validation_share=0.0), (), tmp_path, n_trials=1)
