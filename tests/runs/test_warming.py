"""A run with warm-up data: it learns from them, says so everywhere, and goes on as if it had never stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distiltune import fine_tune, resume
from distiltune.errors import DataError, RecipeError, TrainingError
from distiltune.recipe.recipe import Recipe
from distiltune.runs.fine_tune import FineTuned
from tests.helpers import TINY, word_pieces, write_tiny_model

GOOD, BAD = ("fine", "nice", "good", "kind"), ("poor", "dull", "sad", "cold")
FILLERS = ("the", "day", "was", "very", "so", "and")
SETTINGS: dict[str, Any] = {
    "max_length": 16,
    "stride": 4,
    "epochs": 3,
    "learning_rate": 3e-3,
    "batch_size": 4,
    "threads": 1,
    "seed": 1,
    "validation_share": 0.0,
    "warmup_share": 0.1,
    "max_gradient_norm": 1.0,
    "log_every": 1,
}


def row(i: int) -> dict[str, str]:
    word = (GOOD if i % 2 else BAD)[(i // 2) % 4]
    return {"text": f"the day was {FILLERS[i % 6]} {word} {i}", "label": "bg"[i % 2]}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    for name, numbers in (("train", range(8)), ("validation", range(60, 90)), ("more", range(8, 60))):
        text = "".join(json.dumps(row(i)) + "\n" for i in numbers)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    tokenizer = word_pieces([*GOOD, *BAD, *FILLERS, *map(str, range(90))])
    write_tiny_model(folder / "tiny", tokenizer, replace(TINY, vocab_size=tokenizer.get_vocab_size()))
    return folder


def named(desk: Path) -> dict[str, Any]:
    files = {name: str(desk / f"{name}.jsonl") for name in ("train", "validation")}
    return {**files, "model": str(desk / "tiny"), **SETTINGS}


def run(desk: Path, output: Path, **more: Any) -> FineTuned:
    return fine_tune(output=output, **{**named(desk), "warm_up_data": str(desk / "more.jsonl"), **more})


def log(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_first_the_rate_rises_and_falls_twice_and_the_epochs_are_those_of_the_labels(
    desk: Path, tmp_path: Path
) -> None:
    done = run(desk, tmp_path / "run")
    assert [each.n_features for each in done.epochs] == [8 + 52, 8, 8]
    rates = [line["learning_rate"] for line in log(tmp_path / "run", "step")]
    assert len(rates) == 13 + 3 * 2
    highest = max(rates)
    assert rates.index(highest) in (1, 2)
    assert rates[12] < 0.2 * highest, "the end of the first stage"
    assert max(rates[13:]) > 0.8 * highest, "the second stage begins anew"


def test_mixed_they_are_spread_over_the_epochs(desk: Path, tmp_path: Path) -> None:
    done = run(desk, tmp_path / "run", warm_up_order="mixed", warm_up_weight=0.5, warm_up_epochs=2)
    assert sum(each.n_features for each in done.epochs) == 3 * 8 + 2 * 52
    assert {each.n_features for each in done.epochs} <= {42, 43}
    rates = [line["learning_rate"] for line in log(tmp_path / "run", "step")]
    assert rates[rates.index(max(rates)) :] == sorted(rates[rates.index(max(rates)) :], reverse=True)


def test_they_are_learnt_from(desk: Path, tmp_path: Path) -> None:
    few = fine_tune(output=tmp_path / "few", **named(desk))
    more = run(desk, tmp_path / "more", warm_up_epochs=8)
    assert more.best.validation["loss"] < few.best.validation["loss"]


def test_recipe_log_and_report_say_what_was_read(desk: Path, tmp_path: Path) -> None:
    done = run(desk, tmp_path / "run")
    recipe = (done.directory / "recipe.toml").read_text(encoding="utf-8")
    assert "more.jsonl" in recipe
    assert "[data.warm-up]" in recipe
    assert log(done.directory, "start")[0]["data"]["warm-up"]["examples"] == 52
    assert "Warm-up" in (done.directory / "report.html").read_text(encoding="utf-8")
    assert "Warm-up" in (done.model / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("at", [4, 13, 16])
def test_it_goes_on_as_if_it_had_never_stopped(at: int, desk: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Stopped in the first stage, between the two, and in the second."""
    whole = run(desk, tmp_path / "whole")
    from distiltune.runs.keeper import RunKeeper

    plain = RunKeeper.between_steps

    def stop(self: RunKeeper, step: int, state: Any) -> None:
        if step == at:
            self._save(state())
            self._checkpointer.wait()
            raise KeyboardInterrupt
        plain(self, step, state)

    monkeypatch.setattr(RunKeeper, "between_steps", stop)
    with pytest.raises(KeyboardInterrupt):
        run(desk, tmp_path / "run")
    monkeypatch.setattr(RunKeeper, "between_steps", plain)
    gone_on = resume(tmp_path / "run")
    assert [each.train for each in gone_on.epochs] == [each.train for each in whole.epochs]
    assert gone_on.best.validation == whole.best.validation


def test_other_warm_up_data_are_seen_when_a_run_goes_on(desk: Path, tmp_path: Path) -> None:
    def stop(report: Any) -> bool:
        raise KeyboardInterrupt

    more = tmp_path / "more.jsonl"
    more.write_bytes((desk / "more.jsonl").read_bytes())
    with pytest.raises(KeyboardInterrupt):
        run(desk, tmp_path / "run", warm_up_data=str(more), go_on=stop)
    more.write_text("".join(json.dumps(row(i)) + "\n" for i in range(8, 40)), encoding="utf-8")
    with pytest.raises(TrainingError, match="warm-up data, files"):
        resume(tmp_path / "run")


def test_a_label_that_the_task_does_not_have_leaves_the_row_out(desk: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.jsonl"
    rows = [row(i) for i in range(8, 60)]
    more.write_text("".join(json.dumps(each) + "\n" for each in [*rows, {"text": "the day", "label": "x"}]))
    done = run(desk, tmp_path / "run", warm_up_data=str(more))
    lines = [json.loads(line) for line in (done.directory / "rejected.jsonl").read_text().splitlines()]
    assert [(line["set"], line["outcome"]) for line in lines] == [("warm-up", "rejected")]
    with pytest.raises(DataError):
        run(desk, tmp_path / "other", warm_up_data=str(tmp_path / "none.jsonl"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"warm_up_order": "mixed"}, "warm_up_data names none"),
        ({"warm_up_epochs": 2}, "warm_up_data names none"),
        ({"warm_up_data": "a.jsonl", "warm_up_weight": 2.0}, "warm_up_weight does nothing"),
        ({"warm_up_data": "a.txt", "task": "encoder", "teacher": "starter"}, "warm_up_data has no meaning"),
    ],
)
def test_a_setting_that_does_nothing_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Recipe.build(given)


def test_more_passes_than_epochs_are_refused_before_the_training(desk: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="4 passes cannot be mixed into 3 epochs"):
        run(desk, tmp_path / "run", warm_up_order="mixed", warm_up_epochs=4)
    assert not (tmp_path / "run").exists()
