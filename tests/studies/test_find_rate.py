"""find-lr from data to a suggestion: on words that decide the label, on shuffled labels, in one process and in two."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from distiltune.errors import RecipeError, TrainingError
from distiltune.recipe.recipe import Recipe
from distiltune.runs.prepare import prepare
from distiltune.studies.find_rate import MOST_HELD_OUT, _suggested, _with_held_out, find_learning_rate
from distiltune.studies.found_rate import FoundRate, rate_lines, write_rate
from distiltune.studies.learning_rate import RangeTest
from distiltune.studies.rate_trials import RateTrials
from distiltune.studies.stretches import TriedRate
from distiltune.training.distributed import ALONE
from tests.helpers import TINY, people, write_tiny_model

N_TEXTS = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, texts whose word says the label (three of four have one label), and the same shuffled."""
    made = tmp_path_factory.mktemp("folder")
    known = people()
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size(), max_position_embeddings=64)
    write_tiny_model(made / "tiny", known.tokenizer, config)
    words = sorted(word for word in known.tokenizer.get_vocab() if word.isalpha() and len(word) > 2)[:12]
    draw = random.Random(0)
    rows = []
    for _ in range(N_TEXTS):
        kind = int(draw.random() < 0.25)
        rows.append((" ".join(draw.choice(words[6 * kind : 6 * kind + 6]) for _ in range(5)), ("no", "yes")[kind]))
    shuffled = [label for _, label in rows]
    draw.shuffle(shuffled)
    for name, labels in (("plain", [label for _, label in rows]), ("shuffled", shuffled)):
        lines = [
            json.dumps({"text": f"{text} {i}", "label": label})
            for i, ((text, _), label) in enumerate(zip(rows, labels, strict=True))
        ]
        (made / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return made


def recipe_of(folder: Path, name: str, **settings: object) -> Recipe:
    return Recipe.build(
        {
            "train": str(folder / f"{name}.jsonl"),
            "model": str(folder / "tiny"),
            "epochs": 8,
            "max_length": 32,
            "stride": 8,
            "threads": 1,
            "validation_share": 0.3,
            **settings,
        }
    )


def test_a_rate_that_learns_is_suggested_with_its_cost(folder: Path) -> None:
    found = find_learning_rate(recipe_of(folder, "plain"), n_steps=40)
    assert found.suggestion is not None
    assert found.best is not None
    assert found.prior_loss is not None
    assert found.best.loss < found.prior_loss
    assert found.score_name == "accuracy"
    assert found.best.score is not None
    assert found.best.score > 0.8
    assert found.n_steps == len(found.test.losses) + sum(each.n_steps for each in found.stretches)
    assert {each.n_steps for each in found.stretches} == {found.n_run} == {88}  # a run so short is tried as a whole
    lines = rate_lines(found)
    assert f"learning rate: {found.suggestion:g}" in lines
    assert any(line.startswith("cost: ") and "the run has 88" in line for line in lines)
    assert all(len(line) <= 40 for line in lines[: len(found.stretches) + 1])
    assert not found.default_is_right
    same = find_learning_rate(recipe_of(folder, "plain", learning_rate=found.suggestion), n_steps=40)
    assert same.default_is_right
    assert any("leave it" in line for line in rate_lines(same))


def test_shuffled_labels_get_no_suggestion(folder: Path) -> None:
    found = find_learning_rate(recipe_of(folder, "shuffled"), n_steps=40)
    assert found.suggestion is None
    assert found.best is None
    assert "without reading" in found.reason
    assert "held-out rows" in found.reason
    lines = rate_lines(found)
    assert any(line.startswith("no suggestion: ") for line in lines)
    assert any(line.startswith("what to do: ") and "labels" in line for line in lines)


def test_every_stretch_begins_from_the_same_weights(folder: Path) -> None:
    prepared = prepare(_with_held_out(recipe_of(folder, "plain")), ALONE, torch.device("cpu"))
    trials = RateTrials.of(prepared)
    first = trials.stretch(1e-3, 20)
    trials.stretch(1e-2, 20)
    again = trials.stretch(1e-3, 20)
    assert (again.loss, again.score) == (first.loss, first.score)
    trials.start_afresh()
    now = prepared.loaded.model.state_dict()
    assert all(torch.equal(now[name], value) for name, value in trials.fresh.items())


def test_rows_are_held_out_also_where_the_recipe_has_none(folder: Path) -> None:
    assert _with_held_out(recipe_of(folder, "plain", validation_share=0.0)).validation_share == 0.1
    assert _with_held_out(recipe_of(folder, "plain")).validation_share == 0.3
    assert _with_held_out(recipe_of(folder, "plain")).validation_examples == MOST_HELD_OUT
    assert _with_held_out(recipe_of(folder, "plain", validation_examples=50)).validation_examples == 50
    asked = Recipe.build({"task": "question-answering", "validation_questions": 2_000})
    assert _with_held_out(asked).validation_questions == MOST_HELD_OUT


def test_too_few_steps_are_refused_before_anything_is_read() -> None:
    with pytest.raises(RecipeError, match="12 steps") as caught:
        find_learning_rate(Recipe.build({"train": "not-there.json"}), n_steps=12)
    assert "30 or more" in caught.value.fix


@pytest.mark.slow
def test_two_processes_find_what_one_finds(folder: Path, tmp_path: Path) -> None:
    asked = ["find-lr", "--train", str(folder / "plain.jsonl"), "--model", str(folder / "tiny"), "--epochs", "8"]
    asked += ["--max-length", "32", "--stride", "8", "--threads", "1", "--validation-share", "0.3", "--steps", "40"]
    dropouts = ["--dropout", "0", "--attention-dropout", "0", "--head-dropout", "0"]  # each process draws its own
    found = []
    for n_processes in (1, 2):
        output = tmp_path / str(n_processes)
        together = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_processes}"]
        start = [sys.executable, *(together if n_processes > 1 else []), "-m", "distiltune"]
        command = [*start, *asked, *dropouts, "--output", str(output)]
        ended = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False, timeout=600)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.count("learning rate: ") == 1
        found.append(json.loads((output / "learning_rate.json").read_text()))
    one, two = found
    assert one["suggestion"] == two["suggestion"]
    assert [each["rate"] for each in one["stretches"]] == [each["rate"] for each in two["stretches"]]
    for ours, theirs in zip(one["stretches"], two["stretches"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=0.02, abs=1e-4)


@pytest.mark.parametrize(("problem", "score"), [("multi-label", "macro_f1"), ("regression", "pearson")])
def test_several_labels_and_numbers_have_a_prior_too(folder: Path, tmp_path: Path, problem: str, score: str) -> None:
    rows = [json.loads(line) for line in (folder / "plain.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        is_yes = row["label"] == "yes"
        row["label"] = 1000.0 + 30.0 * is_yes if problem == "regression" else ["a", "yes"] if is_yes else ["a"]
        if problem == "multi-label" and number % 3 == 0:
            row["label"] = row["label"][1:]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    recipe = recipe_of(folder, "plain", train=str(tmp_path / "data.jsonl"), problem=problem, epochs=16)
    found = find_learning_rate(recipe, n_steps=40)
    assert found.score_name == score
    assert found.prior_loss is not None
    assert found.suggestion is not None
    assert found.best is not None
    assert found.best.loss < 0.8 * found.prior_loss
    json.dumps(found.as_json(), allow_nan=False)


def test_rates_and_their_picture_are_written_both_or_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = RangeTest((1e-5, 1e-4), (0.7, 0.6), (0.7, 0.6))
    found = FoundRate(None, "", "", 1e-3, False, test, (), None, 1.0, "", 100, 1_000, 300, 1.0, 1.0)
    written = write_rate(found, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {path.name for path in written}

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("distiltune.studies.found_rate.draw_range", full)
    with pytest.raises(TrainingError, match="cannot be written: No space left"):
        write_rate(replace(found, n_steps=9), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("others", "is_edge"), [([5e-4], True), ([5e-4, 2e-3], False)])
def test_a_higher_rate_may_be_better_only_where_none_was_tried(others: list[float], is_edge: bool) -> None:
    """Also where it was tried for fewer steps than the best one."""
    best = TriedRate(1e-3, 200, 0.5, None, 1.0)
    tried = (*(TriedRate(rate, 100, 0.9, None, 1.0) for rate in others), best)
    nothing: Any = None
    found = FoundRate(None, "", "", 1e-3, False, nothing, tried, None, 1.0, "", 100, 1_000, 300, 1.0, 1.0)
    assert ("higher one may be better" in _suggested(found, best).reason) is is_edge
