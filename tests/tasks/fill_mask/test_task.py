"""Adapting a model to texts from end to end: learnt, told, gone on with, and read by what comes after."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import DistilBertForMaskedLM

from distiltune import StepReport, Watcher, adapt, fine_tune, resume
from distiltune.errors import DataError, RecipeError
from distiltune.inference.predictor import outputs
from distiltune.model.build import Dropouts
from distiltune.model.source import load_source
from distiltune.recipe.choose_task import task_of_model
from distiltune.recipe.recipe import Recipe
from distiltune.runs.fine_tune import FineTuned
from distiltune.runs.prepare import prepare
from distiltune.studies.rate_trials import RateTrials
from distiltune.tasks.fill_mask import task
from distiltune.tasks.fill_mask.head import HEAD_RULES
from distiltune.tasks.table import TASKS
from distiltune.training.distributed import ALONE
from tests.helpers import TINY, word_pieces, write_tiny_model

WORDS = [*"abcdefghijkl"]
QUICK: dict[str, Any] = {
    "max_length": 16,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "validation_share": 0.2,
    "threads": 1,
}


def lines(n: int) -> list[str]:
    """The alphabet from any letter on: each tells those beside it."""
    random = np.random.default_rng(0)
    return [
        " ".join(WORDS[(first + i) % len(WORDS)] for i in range(10)) + f" {n}"
        for n, first in enumerate(random.integers(0, len(WORDS), n).tolist())
    ]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("places")
    (folder / "texts.txt").write_text("\n".join(lines(60)), encoding="utf-8")
    tokenizer = word_pieces([*WORDS, *map(str, range(60))])
    shape = replace(TINY, vocab_size=tokenizer.get_vocab_size(), dropout=0.0, attention_dropout=0.0)
    return {"texts": str(folder / "texts.txt"), "model": str(write_tiny_model(folder / "tiny", tokenizer, shape))}


@pytest.fixture(scope="module")
def adapted(places: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    output = tmp_path_factory.mktemp("runs") / "adapted"
    return adapt(places["texts"], model=places["model"], output=output, epochs=8, **QUICK)


def test_it_learns_and_says_what_it_was_worth_before(adapted: FineTuned) -> None:
    first, best = adapted.epochs[0].validation, adapted.best.validation
    assert best["loss"] < 0.9 * first["loss"]
    assert best["accuracy"] >= first["accuracy"]
    card = (adapted.model / "README.md").read_text(encoding="utf-8")
    page = (adapted.directory / "report.html").read_text(encoding="utf-8")
    assert "before: masked loss" in page
    assert "fill-mask" in card
    assert "masked loss" in adapted.scores
    assert adapted.recipe.task == "fill-mask"


def test_transformers_reads_its_head(adapted: FineTuned) -> None:
    _, told = DistilBertForMaskedLM.from_pretrained(adapted.model, output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert not told["mismatched_keys"]


def test_it_goes_on_adapting_with_the_head_that_it_has(
    adapted: FineTuned, places: dict[str, str], tmp_path: Path
) -> None:
    assert not load_source(adapted.model, HEAD_RULES).missing
    again = adapt(
        [{"text": line} for line in lines(20)], model=adapted.directory, output=tmp_path / "b", epochs=1, **QUICK
    )
    assert again.epochs[0].validation["loss"] < adapted.epochs[0].validation["loss"]


def test_a_fine_tuning_starts_from_it_whatever_its_data_are(adapted: FineTuned, tmp_path: Path) -> None:
    """A head for masked words names no task, as that of the published models does not."""
    config = json.loads((adapted.model / "config.json").read_text())
    assert config["architectures"] == ["DistilBertForMaskedLM"]
    assert task_of_model(config) == ""
    rows = [{"text": f"{'a b' if i % 2 else 'g h'} {i}", "label": "pn"[i % 2]} for i in range(24)]
    run = fine_tune(train=rows, model=adapted.directory, output=tmp_path / "run", epochs=1, max_length=16, threads=1)
    assert run.recipe.task == "text-classification"


class _Stop(Watcher):
    def on_step(self, report: StepReport) -> None:
        if report.step == 8:  # in the middle of the second epoch
            raise KeyboardInterrupt


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(places: dict[str, str], tmp_path: Path) -> None:
    settings = {**QUICK, "task": "fill-mask", "train": places["texts"], "model": places["model"], "epochs": 2}
    whole = fine_tune(output=tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "cut", callbacks=[_Stop()], checkpoint_steps=1, log_every=1, **settings)
    resume(tmp_path / "cut")
    ended = [run / "model" / "model.safetensors" for run in (tmp_path / "cut", whole.directory)]
    assert ended[0].read_bytes() == ended[1].read_bytes()


def test_what_it_is_worth_before_is_measured_by_each_process_alone(
    places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They prepare one after the other: one that waited for the others to share it would wait for ever."""
    asked: list[bool] = []

    def spy(*given: Any, alone: bool) -> Any:
        asked.append(alone)
        return outputs(*given, alone=alone)

    monkeypatch.setattr(task, "outputs", spy)
    recipe = Recipe(task="fill-mask", train=(places["texts"],), max_length=16)
    training = TASKS["fill-mask"](recipe).open_training(torch.device("cpu"))
    loaded = training.load_model(places["model"], Dropouts())
    lesson = training.lesson(loaded)
    assert asked == [True]
    assert lesson.validation is not None
    lesson.task.evaluate(loaded.model, lesson.validation)
    assert asked == [True, False]


def test_no_loss_is_made_up_of_it_without_reading(places: dict[str, str]) -> None:
    """Its rows are losses: fitted numbers in their place would be as low as one likes, and find-lr's bar with them."""
    recipe = Recipe(task="fill-mask", train=(places["texts"],), model=places["model"], max_length=16, threads=1)
    trials = RateTrials.of(prepare(recipe, ALONE, torch.device("cpu")))
    assert trials.prior_losses() == (None, None)


def test_what_cannot_be_is_refused(places: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no texts"):
        adapt([], model=places["model"], output=tmp_path / "run")
    with pytest.raises(DataError, match="no text in the column `text`") as caught:
        adapt([{"words": "a b"}], model=places["model"], output=tmp_path / "run")
    assert 'its columns are words: columns="text=NAME"' in caught.value.fix
    for name, value in (("quoting", "backslash"), ("folds", 2), ("lora_rank", 2), ("warm_up_data", "a.txt")):
        with pytest.raises(RecipeError, match=name):
            Recipe.build({"task": "fill-mask", name: value})
    with pytest.raises(RecipeError, match="where a fine-tuning starts"):
        TASKS["fill-mask"](Recipe(task="fill-mask")).open_model({})
    with pytest.raises(RecipeError, match="windows cannot move on"):
        adapt(places["texts"], model=places["model"], output=tmp_path / "run", max_length=16, stride=15)
