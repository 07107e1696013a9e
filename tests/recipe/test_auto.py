from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.coach.scores import ENOUGH_TO_SCORE
from distiltune.errors import RecipeError
from distiltune.recipe.auto import Situation, fitted, fitting_epochs, fitting_rate
from distiltune.recipe.recipe import BY_RULE, Recipe, named_settings
from distiltune.tasks.table import TASKS

# DistilBERT on SQuAD: 88,524 features in batches of 16.
SITUATION_OF_2022 = Situation("question-answering", 768, 5_533, 5_533, 10_570, "f1")

SITUATIONS = st.builds(
    Situation,
    task=st.sampled_from([name for name, entry in TASKS.items() if entry.reads_rows]),
    width=st.sampled_from([16, 160, 384, 768, 1_024]),
    batches=st.integers(1, 10**6),
    steps_per_epoch=st.integers(1, 10**6),
    n_validation=st.integers(0, 10**5),
    decisive=st.just(""),
)


def test_the_situation_of_2022_gets_a_rate_that_is_usual_there() -> None:
    recipe, chosen = fitted(Recipe(task="question-answering"), SITUATION_OF_2022)
    assert 2e-5 <= recipe.learning_rate <= 5e-5
    assert recipe.epochs in (2, 3)
    assert recipe.monitor == "f1"
    assert set(chosen.settings) == set(BY_RULE)


@given(SITUATIONS)
def test_every_situation_has_a_recipe_that_can_be_run_and_read_again(situation: Situation) -> None:
    recipe, chosen = fitted(Recipe(task=situation.task), situation)
    assert recipe.open == ()
    again = Recipe.build(named_settings_of(recipe.to_toml()))
    assert again.model_dump() == recipe.model_dump()
    assert fitted(again, situation) == (again, replace(chosen, settings={}))


@pytest.mark.parametrize(
    ("row", "task", "width", "batches"),
    [
        ("| DistilBERT, 768 wide | SQuAD, 88,524 windows |", "question-answering", 768, 5_533),
        ("| 384 wide | 2,000 questions |", "question-answering", 384, 113),
        ("| `starter`, 160 wide | 800 texts |", "text-classification", 160, 45),
    ],
)
def test_the_page_shows_what_the_rule_gives(row: str, task: str, width: int, batches: int) -> None:
    epochs = fitting_epochs(task, batches)
    rate = fitting_rate(task, width, epochs * batches)
    page = (Path(__file__).parents[2] / "docs" / "recipe-auto.md").read_text(encoding="utf-8")
    assert f"{row} {rate:.1e} | {epochs} |" in page


def named_settings_of(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def test_a_narrower_model_a_shorter_schedule_and_fewer_data_have_more() -> None:
    for task in TASKS:
        assert fitting_rate(task, 160, 1_000) >= fitting_rate(task, 384, 1_000) > fitting_rate(task, 768, 1_000)
        assert fitting_rate(task, 384, 100) >= fitting_rate(task, 384, 1_000) > fitting_rate(task, 384, 10_000)
        assert fitting_rate(task, 16, 100) == fitting_rate(task, 160, 100)  # no narrower than what was measured
    task = "question-answering"
    epochs = [fitting_epochs(task, batches) for batches in (8, 100, 1_000, 10**6)]
    assert epochs[0] > epochs[1] > epochs[2] >= epochs[3] >= 2


@pytest.mark.parametrize(
    "given_settings",
    [
        {"learning_rate": 3e-5},
        {"epochs": 7},
        {"warmup_steps": 5},
        {"max_gradient_norm": 0.0},
        {"monitor": "exact_match"},
    ],
)
def test_what_was_given_stays(given_settings: dict[str, Any]) -> None:
    recipe, chosen = fitted(Recipe(task="question-answering", **given_settings), SITUATION_OF_2022)
    for name, value in given_settings.items():
        assert getattr(recipe, name) == value
        assert name not in chosen.settings
    if "warmup_steps" in given_settings:
        assert recipe.warmup_share == 0.0


def test_the_rate_follows_epochs_that_were_given() -> None:
    situation = replace(SITUATION_OF_2022, batches=20, steps_per_epoch=20)
    short, long = (
        fitted(Recipe(task="question-answering", epochs=epochs), situation)[0].learning_rate for epochs in (1, 200)
    )
    assert short > long


def test_classic_is_left_as_it_is() -> None:
    classic = Recipe(base="classic", task="question-answering")
    assert fitted(classic, SITUATION_OF_2022)[0] is not None
    assert fitted(classic, SITUATION_OF_2022)[0].model_dump() == classic.model_dump()
    assert fitted(classic, SITUATION_OF_2022)[1].lines() == ()


def test_the_loss_watches_where_the_validation_set_cannot_tell_scores_apart() -> None:
    few, enough = (
        fitted(Recipe(task="question-answering"), replace(SITUATION_OF_2022, n_validation=n))[0].monitor
        for n in (ENOUGH_TO_SCORE - 1, ENOUGH_TO_SCORE)
    )
    assert (few, enough) == ("validation_loss", "f1")


TEXTS = Situation("text-classification", 160, 45, 45, 80, "accuracy", has_spread=True)


@pytest.mark.parametrize(
    ("situation", "settings", "choice"),
    [
        (TEXTS, {}, "within_error"),
        (replace(TEXTS, n_validation=12), {}, "within_error"),  # the last epochs, nearly always
        (replace(TEXTS, has_spread=False), {}, "best"),
        (TEXTS, {"monitor": "validation_loss"}, "best"),
        (TEXTS, {"epoch_choice": "best"}, "best"),
        (TEXTS, {"base": "classic"}, "best"),
        (replace(TEXTS, task="question-answering", decisive="f1"), {}, "best"),
    ],
)
def test_texts_and_words_are_given_the_latest_epoch_within_chance(
    situation: Situation, settings: dict[str, Any], choice: str
) -> None:
    recipe, chosen = fitted(Recipe(task=situation.task, **settings), situation)
    assert recipe.epoch_choice == choice
    assert ("the latest epoch within chance of the best accuracy" in "".join(chosen.lines())) == (choice != "best")


def test_what_the_rule_is_still_to_choose_is_in_no_file() -> None:
    text = Recipe(task="question-answering", epochs=3).to_toml()
    assert "epochs = 3" in text
    assert "learning_rate =" not in text.replace("end_learning_rate", "")
    assert "learning_rate = 2e-05" in Recipe(base="classic").to_toml()


def test_a_recipe_goes_by_its_name() -> None:
    assert named_settings("classic") == {"base": "classic"}
    assert named_settings("auto") == {"base": "auto"}
    with pytest.raises(RecipeError, match="cannot be read"):
        named_settings("clasic")


def test_two_lines_say_what_was_chosen_and_why() -> None:
    lines = fitted(Recipe(task="question-answering"), SITUATION_OF_2022)[1].lines()
    assert len(lines) == 2
    assert "learning rate 4e-05" in lines[0]
    assert "epochs 2" in lines[0]
    assert "best epoch by f1" in lines[0]
    assert "768 wide" in lines[1]
    assert "5,533 batches" in lines[1]
    assert "--recipe classic" in lines[1]


def test_adapters_are_given_ten_times_the_rate() -> None:
    for width in (160, 384, 768):
        whole = fitting_rate("text-classification", width, 650)
        assert fitting_rate("text-classification", width, 650, adapters=True) == pytest.approx(10 * whole)
    here = Situation("text-classification", 384, 50, 50, 1_000, "accuracy", adapters=True)
    _, chosen = fitted(Recipe(task="text-classification"), here)
    assert chosen.settings["learning_rate"] == 1.1e-3
    assert "with adapters beside a model 384 wide" in chosen.lines()[1]
