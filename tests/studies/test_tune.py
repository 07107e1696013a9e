from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distiltune.errors import RecipeError, TrainingError
from distiltune.recipe.recipe import Recipe
from distiltune.runs.fine_tune import FineTuned, GoOn
from distiltune.runs.keeper import BadSteps
from distiltune.studies.search_space import parse_space
from distiltune.system.lock import RunLock
from distiltune.training.finite import BadStep
from distiltune.training.reporter import Quiet
from tests.coach.evidence import epoch
from tests.helpers import TINY, people, write_squad, write_tiny_model

PEOPLE = people()


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


def test_a_search_goes_on_where_it_was_broken_off(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.studies.tune import search_lines, tune, write_search

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

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    before = {path: path.read_bytes() for path in (data, picture, best)}
    monkeypatch.setattr("distiltune.studies.search_picture.draw_search", full)
    with pytest.raises(TrainingError, match="cannot be written: No space left"):
        write_search(replace(found, trials=found.trials[:1]), tmp_path / "search")
    assert {path: path.read_bytes() for path in (data, picture, best)} == before, "all of one state of the search"

    with pytest.raises(TrainingError, match="other settings"):
        tune(recipe, space[:1], tmp_path / "search", n_trials=8)


def pretended(loss: Callable[[Recipe, int], float]) -> Callable[..., FineTuned]:
    """A training whose validation loss after each epoch follows from the recipe; it leaves a model and checkpoints."""

    def pretend(recipe: Recipe, *, output: Path, go_on: GoOn, **others: Any) -> FineTuned:
        for name in ("checkpoints", "model"):
            (output / name).mkdir(parents=True)
        epochs = []
        for number in range(recipe.epochs):
            epochs.append(epoch(number, 1.0, loss(recipe, number)))
            if not go_on(epochs[-1]):
                break
        return FineTuned(output, output, tuple(epochs), len(epochs) - 1, recipe)

    return pretend


def left(search: Path, name: str) -> list[str]:
    """The trials that have such a folder."""
    return sorted(path.parent.name for path in (search / "trials").glob(f"*/{name}"))


class Notes(Quiet):
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


def test_a_search_goes_on_after_a_full_disk(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is cut inside a line: told as no bug of ours, and mended by the next start, which says so."""
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from optuna.storages.journal import JournalFileBackend

    from distiltune.studies import tune as module

    monkeypatch.setattr(module, "fine_tune", pretended(lambda recipe, number: recipe.learning_rate))
    recipe, search = recipe.with_changes(epochs=1), tmp_path / "search"
    space = parse_space(["learning_rate=0.1:0.9"], recipe)
    first = module.tune(recipe, space, search, n_trials=3)
    append = JournalFileBackend.append_logs

    def no_room(self: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        if any("outcome" in str(log) for log in logs):
            with (search / "study.log").open("ab") as file:
                file.write(json.dumps(logs[0]).encode()[:25])
            raise OSError(28, "No space left on device")
        append(self, logs)

    with monkeypatch.context() as patch:
        patch.setattr(JournalFileBackend, "append_logs", no_room)
        with pytest.raises(TrainingError, match="The search cannot be written: No space left on device") as caught:
            module.tune(recipe, space, search, n_trials=5)
    assert "goes on" in caught.value.fix
    notes = Notes()
    found = module.tune(recipe, space, search, n_trials=5, make_reporter=lambda: notes)
    assert found.trials[:3] == first.trials
    assert len(found.trials) == 5
    assert any("cut inside a line" in note for note in notes.said)


@pytest.mark.parametrize("name", ["study.log", "trials", "trials/000", "trials/000/checkpoints", ".lock"])
def test_a_search_follows_no_link(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.studies import tune as module

    monkeypatch.setattr(module, "fine_tune", pretended(lambda recipe, number: recipe.learning_rate))
    home, link = tmp_path / "home", tmp_path / "search" / name
    (home / "checkpoints").mkdir(parents=True)
    (home / "checkpoints" / "mine").write_text("mine")
    link.parent.mkdir(parents=True)
    link.symlink_to(home)
    with pytest.raises(TrainingError, match="a link where a search writes") as caught:
        module.tune(recipe, parse_space(["learning_rate=0.1:0.9"], recipe), tmp_path / "search", n_trials=1)
    assert caught.value.where == str(link)
    assert (home / "checkpoints" / "mine").read_text() == "mine"


def test_a_trial_that_is_behind_is_stopped(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.studies import tune as module

    monkeypatch.setattr(module, "fine_tune", pretended(lambda recipe, number: recipe.learning_rate))
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


def test_longer_trainings_are_not_stopped_for_being_behind_shorter_ones(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rate falls to 0 over a trial's own epochs: after any epoch the shorter one is further, and ends worse."""
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.studies import tune as module

    def loss(recipe: Recipe, number: int) -> float:
        share = (number + 1) / recipe.epochs
        return 2.0 - share * (1.0 + 0.1 * recipe.epochs) + recipe.learning_rate

    monkeypatch.setattr(module, "fine_tune", pretended(loss))
    space = parse_space(["epochs=2,3,4", "learning_rate=1e-5:3e-4:log"], recipe)
    found = module.tune(recipe, space, tmp_path / "search", n_trials=24)
    assert found.best is not None
    assert found.best.settings["epochs"] == 4
    for n_epochs in (2, 3, 4):
        ran = [each for each in found.trials if each.settings["epochs"] == n_epochs]
        done = [each.settings["learning_rate"] for each in ran if each.outcome == "done"]
        assert len(done) >= min(len(ran), module.N_WITHOUT_PRUNING)
        behind = [each.settings["learning_rate"] for each in ran if each.outcome == "pruned"]
        assert all(rate > min(done) for rate in behind)
    assert any(each.outcome == "pruned" for each in found.trials)


def test_higher_scores_are_better_where_they_are(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.studies import tune as module

    def pretend(recipe: Recipe, *, output: Path, go_on: GoOn, **others: Any) -> FineTuned:
        report = epoch(0, 1.0, 1.0, f1=100 * recipe.learning_rate)
        last = (report,) if not go_on(report) else (report, replace(report, epoch=1))
        return FineTuned(output, output, last, 0, recipe)

    monkeypatch.setattr(module, "fine_tune", pretend)
    space = parse_space(["learning_rate=0.1:0.9"], recipe)
    found = module.tune(recipe.with_changes(monitor="f1"), space, tmp_path / "search", n_trials=12)
    pruned = [each.value for each in found.trials if each.outcome == "pruned" and each.value is not None]
    assert found.best is not None
    assert found.best.value is not None
    assert pruned
    assert max(pruned) < found.best.value


def test_a_trial_for_which_memory_runs_out_is_counted_and_the_search_goes_on(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.studies import tune as module

    usual = pretended(lambda recipe, number: recipe.learning_rate)

    def pretend(recipe: Recipe, *, output: Path, **others: Any) -> FineTuned:
        if recipe.batch_size > 8:
            (output / "checkpoints").mkdir(parents=True)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return usual(recipe, output=output, **others)

    monkeypatch.setattr(module, "fine_tune", pretend)
    space = parse_space(["learning_rate=0.1:0.9", "batch_size=8,16"], recipe)
    search = tmp_path / "search"
    found = module.tune(recipe, space, search, n_trials=7)
    failed = [each for each in found.trials if each.outcome == "failed"]
    assert [each.number for each in found.trials] == list(range(7))
    assert failed
    assert {each.settings["batch_size"] for each in failed} == {16}
    assert {each.value for each in failed} == {None}
    assert len({each.settings["learning_rate"] for each in found.trials}) == 7
    assert left(search, "checkpoints") == []
    assert found.best is not None
    assert left(search, "model") == [f"{found.best.number:03d}"]
    lines = "\n".join(module.search_lines(found))
    assert f"{len(failed)} failed: memory ran out" in lines
    assert [each["why"] for each in found.as_json()["trials"] if each["why"]] == [each.why for each in failed]
    assert module.write_search(found, search)


def test_settings_that_exclude_each_other_are_a_failed_trial(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.studies import tune as module

    monkeypatch.setattr(module, "fine_tune", pretended(lambda recipe, number: recipe.learning_rate))
    space = parse_space(["stride=8,16,24"], recipe)

    real = Recipe.with_changes

    def with_changes(self: Recipe, **changes: Any) -> Recipe:
        if changes.get("stride") == 24:
            raise RecipeError("The stride is too long.", fix="")
        return real(self, **changes)

    monkeypatch.setattr(Recipe, "with_changes", with_changes)
    found = module.tune(recipe, space, tmp_path / "search", n_trials=5)
    outcomes = {(each.settings["stride"], each.outcome) for each in found.trials}
    assert (24, "failed") in outcomes
    assert {stride for stride, outcome in outcomes if outcome == "done"} <= {8, 16}


def test_if_every_trial_fails_that_is_said(recipe: Recipe, tmp_path: Path) -> None:
    """The model has 64 positions, as the training finds out."""
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.studies.tune import tune

    space = parse_space(["max_length=300,400"], recipe)
    for n_trials in (3, 3):  # the second time there is nothing left to try
        with pytest.raises(TrainingError, match=r"All 3 trials failed.*positions for 64") as raised:
            tune(recipe, space, tmp_path / "search", n_trials=n_trials)
        assert "--output" in raised.value.fix


def test_a_trial_that_was_broken_off_leaves_no_checkpoints_and_does_not_come_again(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system kills for its memory at these settings, it would kill again."""
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.studies import tune as module

    tried: list[float] = []

    def interrupted(recipe: Recipe, *, output: Path, **others: Any) -> FineTuned:
        tried.append(recipe.learning_rate)
        (output / "checkpoints").mkdir(parents=True)
        raise KeyboardInterrupt

    space = parse_space(["learning_rate=0.1:0.9"], recipe)
    search = tmp_path / "search"
    monkeypatch.setattr(module, "fine_tune", interrupted)
    notes = Notes()
    with pytest.raises(KeyboardInterrupt):
        module.tune(recipe, space, search, n_trials=2, make_reporter=lambda: notes)
    assert notes.said[-1].startswith("the search goes on with the same command")
    assert left(search, "checkpoints") == ["000"]  # from which `train --resume` could go on
    monkeypatch.setattr(module, "fine_tune", pretended(lambda recipe, number: recipe.learning_rate))
    found = module.tune(recipe, space, search, n_trials=2)
    assert [each.number for each in found.trials] == [1, 2]
    assert tried[0] not in [each.settings["learning_rate"] for each in found.trials]
    assert left(search, "checkpoints") == []


def test_one_search_at_a_time(recipe: Recipe, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    pytest.importorskip("fcntl", reason="this system cannot lock files")
    from distiltune.studies.tune import tune

    lock = RunLock(tmp_path)
    lock.acquire()
    try:
        with pytest.raises(TrainingError, match="Another run is writing"):
            tune(recipe, parse_space(["learning_rate=0.1:0.9"], recipe), tmp_path, n_trials=1)
    finally:
        lock.release()


def test_a_loss_that_is_no_number_is_an_outcome(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.studies import tune as module

    def pretend(recipe: Recipe, **others: Any) -> FineTuned:
        bad_steps = BadSteps(skip=False, name_features=lambda ids: ["q1"], where="log.jsonl")
        bad_steps.on_bad_step(BadStep(epoch=0, step=3, learning_rate=0.9, batches=(np.array([1]),)))
        raise AssertionError

    monkeypatch.setattr(module, "fine_tune", pretend)
    found = module.tune(recipe, parse_space(["learning_rate=0.1:0.9"], recipe), tmp_path / "search", n_trials=2)
    assert [each.outcome for each in found.trials] == ["diverged", "diverged"]
    assert "not a finite number at step 3" in found.trials[0].why


def test_a_trial_that_diverges_is_counted_and_the_search_goes_on(recipe: Recipe, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.studies.tune import search_lines, tune, write_search

    space = parse_space(["learning_rate=0.9,1.0"], recipe)
    spoilt = recipe.with_changes(adam_epsilon=1e-30, warmup_steps=0)
    found = tune(spoilt, space, tmp_path / "search", n_trials=2)
    assert len(found.trials) == 2
    assert write_search(found, tmp_path / "search")
    assert search_lines(found)


def test_a_search_needs_something_to_judge_by(recipe: Recipe, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    from distiltune.studies.tune import tune

    with pytest.raises(RecipeError, match="validation"):
        tune(recipe.with_changes(validation=(), validation_share=0.0), (), tmp_path, n_trials=1)
