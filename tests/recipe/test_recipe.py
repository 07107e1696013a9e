from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.errors import ModelError, RecipeError
from distiltune.recipe.recipe import (
    MONITORS,
    Recipe,
    allowed,
    read_settings,
)
from distiltune.settings.stored import stored_settings
from distiltune.tasks.question_answering.settings import fill_question_windows, question_limit
from tests.helpers import pipe_of

WORDS = st.text(max_size=12)
NAMES = st.text(min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "model": NAMES,
    "train": st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    "validation": st.lists(NAMES, max_size=2).map(tuple),
    "validation_share": st.floats(0, 0.5, exclude_min=True),
    "columns": WORDS,
    "max_rejected_share": st.floats(0, 1),
    "train_questions": st.integers(0, 10**6),
    "max_length": st.integers(300, 131_072),
    "stride": st.integers(0, 100),
    "epochs": st.integers(1, 1000),
    "batch_size": st.integers(1, 1000),
    "learning_rate": st.floats(1e-8, 1.0),
    "decay_power": st.floats(0.01, 10),
    "adam_beta1": st.floats(0, 0.999),
    "adam_epsilon": st.floats(1e-12, 1),
    "weight_decay": st.floats(0, 10),
    "dropout": st.none() | st.floats(0, 0.99),
    "head_dropout": st.none() | st.floats(0, 0.99),
    "seed": st.integers(0, 2**63 - 1),
    "monitor": st.sampled_from(sorted(MONITORS)),
    "patience": st.integers(0, 50),
    "device": st.sampled_from(["auto", "cpu", "cuda"]),
}


def test_the_defaults_are_the_recipe_classic() -> None:
    classic = {
        "max_length": 384,
        "stride": 128,
        "epochs": 5,
        "batch_size": 16,
        "accumulation_steps": 1,
        "learning_rate": 2e-5,
        "end_learning_rate": 0.0,
        "decay_power": 1.0,
        "warmup_steps": 0,
        "warmup_share": 0.0,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "weight_decay": 0.0,
        "max_gradient_norm": 0.0,
        "monitor": "validation_loss",
        "patience": 0,
    }
    recipe = Recipe()
    assert {name: getattr(recipe, name) for name in classic} == classic
    # Dropout 0.1 is what the model's own config.json says.
    assert recipe.dropout is recipe.attention_dropout is recipe.head_dropout is None


@given(st.fixed_dictionaries({}, optional=SETTINGS))
def test_toml_round_trip(settings: dict[str, Any]) -> None:
    recipe = Recipe.build(settings)
    assert Recipe.build(tomllib.loads(recipe.to_toml())) == recipe


def test_a_file_round_trip_and_settings_not_named_take_their_defaults(tmp_path: Path) -> None:
    recipe = Recipe(train=("ü.json", 'a"b\\c'), learning_rate=3e-5, dropout=0.0)
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    assert Recipe.from_toml(path) == Recipe.from_toml(str(path)) == recipe
    path.write_text("epochs = 2\n")
    assert Recipe.from_toml(path) == Recipe(epochs=2)


def test_a_runs_recipe_is_read_from_its_table(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('[recipe]\nepochs = 2\n\n[versions]\ntorch = "2.13"\n')
    assert read_settings(path) == {"epochs": 2}
    assert Recipe.from_toml(path).epochs == 2


def test_every_setting_stands_under_its_sentence() -> None:
    text = Recipe(base="classic", dropout=0.1, attention_dropout=0.1, head_dropout=0.1).to_toml()
    lines = text.splitlines()
    for name, field in Recipe.model_fields.items():
        if f"{name} =" not in text:
            assert getattr(Recipe(), name) is None, name
            continue
        assert field.description, name
        place = next(i for i, line in enumerate(lines) if line.startswith(f"{name} ="))
        assert lines[place - 1] == "# " + " ".join(field.description.split())


# Setting, bad value, what the message must say of the allowed range.
BAD = [
    *[(name, value, "at least 1") for name in ("epochs", "batch_size", "accumulation_steps") for value in (0, -3)],
    *[(name, -1, "at least 0") for name in ("stride", "warmup_steps", "train_questions", "patience", "threads")],
    ("epochs", 1.5, "at least 1"),
    ("epochs", "three", "at least 1"),
    ("max_length", 15, "at least 16"),
    ("max_length", 10**6, "at most 131072"),
    ("learning_rate", 0.0, "above 0"),
    ("learning_rate", -1e-5, "above 0"),
    ("learning_rate", 2.0, "at most 1"),
    ("learning_rate", "fast", "above 0"),
    ("learning_rate", float("nan"), "above 0"),
    ("learning_rate", float("inf"), "at most 1"),
    ("end_learning_rate", -0.1, "at least 0"),
    ("decay_power", 0.0, "above 0"),
    ("warmup_share", 1.0, "below 1"),
    ("adam_beta1", 1.0, "below 1"),
    ("adam_beta2", -0.1, "at least 0"),
    ("adam_epsilon", 0.0, "above 0"),
    ("weight_decay", -0.1, "at least 0"),
    ("max_gradient_norm", float("inf"), "at least 0"),
    ("dropout", 1.0, "less than 1"),
    ("attention_dropout", -0.1, "greater than or equal to 0"),
    ("head_dropout", 7, "less than 1"),
    ("validation_share", 0.6, "at most 0.5"),
    ("max_rejected_share", 1.1, "at most 1"),
    ("seed", -1, "at least 0"),
    ("seed", 2**63, f"below {2**63}"),
    ("evaluation_tokens", 5, "at least 512"),
    ("min_change", -1.0, "at least 0"),
    ("monitor", "acuracy", "'start_accuracy'"),
    ("task", "sums", "'question-answering'"),
    ("train", 5, ""),
    ("model", None, ""),
]


@pytest.mark.parametrize(("name", "value", "range_"), BAD)
def test_a_bad_value_is_refused_with_the_value_and_what_is_allowed(name: str, value: object, range_: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.build({name: value})
    text = str(caught.value)
    assert caught.value.where == f"recipe: {name}"
    assert f"{name} is {value!r}" in text
    assert range_ in text
    assert caught.value.fix


QA = {"task": "question-answering"}
EXCLUSIONS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"warmup_steps": 5, "warmup_share": 0.1}, ("warmup_steps", "warmup_share")),
    (
        {"learning_rate": 1e-5, "end_learning_rate": 2e-5},
        ("learning_rate", "end_learning_rate", "1e-05", "2e-05"),
    ),
    (
        {**QA, "max_length": 100, "stride": 50, "max_question_tokens": 47},
        ("max_length", "stride", "max_question_tokens"),
    ),
    ({**QA, "max_length": 64}, ("max_length", "stride", "64", "128")),
    ({"train_questions": 5, "train_examples": 5}, ("train_questions", "train_examples")),
    ({"validation_questions": 5, "validation_examples": 9}, ("validation_questions", "validation_examples")),
    ({"epoch_choice": "within_error"}, ("epoch_choice", "validation_loss")),
    *(
        ({"validation_share": 0.0, name: value}, (name, "validation names none", "validation_share"))
        for name, value in (("patience", 2), ("monitor", "f1"), ("min_change", 0.1))
    ),
]


@pytest.mark.parametrize(("settings", "named"), EXCLUSIONS)
def test_settings_that_exclude_each_other_are_both_named(settings: dict[str, Any], named: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.build(settings)
    for each in named:
        assert each in caught.value.what


def test_no_training_data_is_refused() -> None:
    with pytest.raises(RecipeError, match="train names no data"):
        Recipe.build({"train": ()})


@given(st.integers(16, 600), st.integers(0, 300), st.integers(0, 300))
def test_what_is_accepted_leaves_windows_room_to_move_on(max_length: int, stride: int, question: int) -> None:
    try:
        recipe = Recipe.build({**QA, "max_length": max_length, "stride": stride, "max_question_tokens": question})
    except RecipeError:
        assert max_length - 3 - (question or 1) <= stride
        return
    assert question_limit(recipe) >= 1
    assert max_length - 3 - question_limit(recipe) > stride


@pytest.mark.parametrize(
    ("name", "near"),
    [("learnig_rate", "learning_rate"), ("epoch", "epochs"), ("max_lenght", "max_length"), ("drop_out", "dropout")],
)
def test_an_unknown_name_suggests_a_near_one(name: str, near: str) -> None:
    with pytest.raises(RecipeError, match=f"no setting called '{name}'") as caught:
        Recipe.build({name: 1})
    assert repr(near) in caught.value.fix


def test_a_name_like_no_other_is_refused_too() -> None:
    with pytest.raises(RecipeError, match="zzz"):
        Recipe.build({"zzz": 1})


def test_changes_are_checked_and_the_recipe_itself_stays() -> None:
    recipe = Recipe(epochs=3)
    changed = recipe.with_changes(batch_size=4, train=("a.json",))
    assert (changed.epochs, changed.batch_size, changed.train) == (3, 4, ("a.json",))
    assert recipe == Recipe(epochs=3)
    with pytest.raises(RecipeError, match="batch_size is 0"):
        recipe.with_changes(batch_size=0)
    with pytest.raises(RecipeError, match="exclude"):
        Recipe(warmup_steps=3).with_changes(warmup_share=0.1)
    with pytest.raises(RecipeError, match="epochs"):
        recipe.with_changes(epoch=4)


def test_a_task_has_defaults_of_its_own_wherever_a_recipe_is_built(tmp_path: Path) -> None:
    """Nothing excludes what somebody gave, and nothing that was not given counts as set."""
    given: dict[str, Any] = {"task": "encoder", "teacher": "large"}
    recipe = Recipe.build(given)
    assert recipe == Recipe(**given) == Recipe().with_changes(**given)
    assert (recipe.model, recipe.learning_rate, recipe.dropout, recipe.warmup_share) == ("large", 1e-3, 0.0, 0.05)
    assert recipe.model_fields_set == set(given)
    (tmp_path / "mine.toml").write_text(recipe.to_toml(), encoding="utf-8")
    assert Recipe.from_toml(tmp_path / "mine.toml") == recipe
    for built in (Recipe.build({**given, "warmup_steps": 7}), recipe.with_changes(warmup_steps=7)):
        assert (built.warmup_steps, built.warmup_share, built.epochs) == (7, 0.0, 6)
    assert Recipe.build({**given, "warmup_steps": 0}).warmup_share == 0.05
    own = Recipe.build({**given, "model": "small", "learning_rate": 2e-5, "dropout": 0.1})
    assert (own.model, own.learning_rate, own.dropout) == ("small", 2e-5, 0.1)
    assert recipe.with_changes(teacher="larger").model == "larger"


def test_a_recipe_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().epochs = 3


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"epochs = ", "not TOML"), (b"\xff\xfe", "not TOML"), (b"epochs = 0", "epochs is 0"), (None, "cannot be read")],
)
def test_a_file_that_is_no_recipe(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        Recipe.from_toml(path)


def test_a_recipe_may_come_from_a_pipe() -> None:
    with pipe_of(b"epochs = 7\n", 0.1) as path:
        assert Recipe.from_toml(path).epochs == 7


def test_the_dropouts_of_the_packaged_models_are_what_the_recipe_s_page_says() -> None:
    for name in ("model", "model-qa"):
        config = json.loads(resources.files("distiltune.starter").joinpath(name, "config.json").read_text("utf-8"))
        assert [config[each] for each in ("dropout", "attention_dropout", "qa_dropout")] == [0.0, 0.0, 0.0]
    page = (Path(__file__).parents[2] / "docs" / "recipe.md").read_text(encoding="utf-8")
    assert "both packaged models, `starter` and `starter-qa`, have 0" in page.replace("\n", " ")


def test_ranges_in_words() -> None:
    assert allowed("max_length") == "at least 16 and at most 131072"
    assert allowed("adam_beta1") == "at least 0.0 and below 1.0"
    assert allowed("model") == ""


def test_every_monitor_is_one_that_the_recipe_takes() -> None:
    for monitor in MONITORS:
        assert Recipe.build({"monitor": monitor}).monitor == monitor


@pytest.mark.parametrize(
    ("given", "stored", "limit", "expected"),
    [
        # One setting given leaves the others as the model was trained.
        ({"max_question_tokens": 20}, (256, 64, 40), 512, (256, 64, 20)),
        ({"stride": 32}, (256, 64, 40), 512, (256, 32, 40)),
        ({"max_length": 200}, (256, 64, 40), 512, (200, 64, 40)),
        ({}, (256, 64, 40), 512, (256, 64, 40)),
        ({}, (256, 120, 100), 512, (256, 120, 100)),  # as it was trained, however odd
        # What was not given is fitted to what was.
        ({"max_length": 90}, (256, 64, 40), 512, (90, 30, 28)),
        ({"max_question_tokens": 0}, (256, 64, 40), 512, (256, 64, 94)),
        # Without anything stored, as in the recipe.
        ({}, (), 512, (384, 128, 126)),
        ({"max_length": 200}, (), None, (200, 66, 65)),
        # A model that cannot read as much.
        ({}, (), 64, (64, 21, 20)),
        ({"max_length": 1000, "stride": 9, "max_question_tokens": 50}, (64, 8, 26), 64, (64, 9, 26)),
    ],
)
def test_windows_are_filled_up_with_those_of_the_training(
    given: dict[str, int], stored: tuple[int, ...], limit: int | None, expected: tuple[int, int, int]
) -> None:
    known = dict(zip(("max_length", "stride", "max_question_tokens"), stored, strict=False))
    assert tuple(fill_question_windows(given, known, limit).values()) == expected


def test_settings_are_taken_from_a_model() -> None:
    entry = {"max_length": 99, "stride": None, "long_texts": "truncate", "of_another": 1.5}
    assert stored_settings({"distiltune": entry}, Recipe) == {"max_length": 99, "long_texts": "truncate"}
    assert stored_settings({"distiltune": [1]}, Recipe) == {}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("stride", 1.5, "a whole number"),
        ("max_answer_tokens", True, "a whole number"),
        ("max_answer_tokens", 0, "at least 1"),
        ("max_length", -384, "at least"),
        ("long_texts", ["truncate"], "one of"),
        ("long_texts", "guess", "one of"),
    ],
)
def test_settings_of_a_model_that_cannot_be_are_named(name: str, value: object, allowed: str) -> None:
    with pytest.raises(ModelError, match=f"keeps {name} = ") as caught:
        stored_settings({"distiltune": {name: value}}, Recipe)
    assert allowed in caught.value.what
    assert caught.value.where == f"config.json: {name}"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"average_decay": 0.9}, "average_decay"),
        ({"average": "epochs", "average_decay": 0.9}, "average_decay"),
        ({"average": "steps", "average_epochs": 2}, "average_epochs"),
    ],
    ids=["no mean", "of epochs", "of steps"],
)
def test_what_a_mean_that_is_not_taken_would_be_like_is_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        Recipe.build(settings)


def test_questions_begin_with_the_model_that_answers_where_none_is_named() -> None:
    """On the starter data 68 F1 instead of 56 (docs/recipe-auto.md)."""
    task = "question-answering"
    assert Recipe(task=task).model == "starter-qa"
    assert Recipe().with_changes(task=task).model == "starter-qa"
    assert Recipe(task=task, model="starter").model == "starter"
    assert Recipe(task=task, base="classic").model == "starter"
    assert Recipe(task=task, teacher="t").model == "starter"
    assert Recipe(task="text-classification").model == "starter"
