"""Whole runs with what a training may have beside the usual: each trains, stops, goes on exactly and is told of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from distiltune.errors import RecipeError
from distiltune.runs.fine_tune import FineTuned, fine_tune, resume
from distiltune.training.loop import StepReport
from distiltune.training.reporter import Quiet
from tests.helpers import TINY, people, read_log, write_squad, write_tiny_model

QUICK: dict[str, Any] = {
    "base": "classic",
    "max_length": 64,
    "stride": 8,
    "epochs": 3,
    "learning_rate": 3e-3,
    "batch_size": 8,
    "log_every": 1,
    "validation_share": 0.25,
    "threads": 1,
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, known = tmp_path_factory.mktemp("sources"), people()
    shape = replace(TINY, vocab_size=known.tokenizer.get_vocab_size(), dropout=0.1)
    return {
        **QUICK,
        "model": str(write_tiny_model(folder / "tiny", known.tokenizer, shape)),
        "train": str(write_squad(folder / "train.json", known.examples)),
    }


class InterruptsAt(Quiet):
    """At a step, after which nothing is saved: what a kill does."""

    def __init__(self, step: int) -> None:
        self.at = step

    def step(self, report: StepReport) -> None:
        if report.step == self.at:
            raise KeyboardInterrupt


class Told(Quiet):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def tensors(run: FineTuned) -> dict[str, torch.Tensor]:
    return load_file(run.model / "model.safetensors")


def figures(run: FineTuned) -> list[Any]:
    return [(each.epoch, dict(each.train), dict(each.validation)) for each in run.epochs]


def assert_goes_on_exactly(settings: dict[str, Any], folder: Path, **called: Any) -> FineTuned:
    """A run, and the same one broken off in its second epoch and gone on with, come to the same bit for bit."""
    whole = fine_tune(output=folder / "whole", **settings, **called)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=folder / "stopped", reporter=InterruptsAt(4), **settings, checkpoint_steps=2, **called)
    resumed = resume(folder / "stopped", **called)
    assert figures(resumed) == figures(whole)
    ours, theirs = tensors(resumed), tensors(whole)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    return whole


@pytest.mark.parametrize("more", [{"freeze": 1}, {"freeze": "encoder"}, {"layer_rate_decay": 0.5}], ids=str)
def test_frozen_layers_and_rates_by_layer(settings: dict[str, Any], tmp_path: Path, more: dict[str, Any]) -> None:
    run = assert_goes_on_exactly({**settings, **more}, tmp_path)
    before, after = load_file(Path(settings["model"]) / "model.safetensors"), tensors(run)
    still = {name for name, value in before.items() if torch.equal(value, after[name])}
    frozen = {1: ("distilbert.embeddings.", "distilbert.transformer.layer.0."), "encoder": ("distilbert.",)}
    below = frozen.get(more.get("freeze", ""), ("nothing",))
    assert still == {name for name in before if name.startswith(below)}
    advice = [line for line in read_log(run.directory / "log.jsonl") if line.get("event") == "advice"]
    assert not {"frozen", "dead_head"} & {line["sickness"] for line in advice}
    assert ("are frozen" in (run.directory / "report.html").read_text(encoding="utf-8")) == ("freeze" in more)


@pytest.mark.parametrize("average", [{"average": "steps", "average_decay": 0.8}, {"average": "epochs"}], ids=str)
def test_a_mean_of_the_weights(settings: dict[str, Any], tmp_path: Path, average: dict[str, Any]) -> None:
    run = assert_goes_on_exactly({**settings, **average}, tmp_path)
    plain = fine_tune(output=tmp_path / "plain", **settings)
    assert [each.train for each in run.epochs] == [each.train for each in plain.epochs]
    assert run.epochs[-1].validation != plain.epochs[-1].validation


@pytest.mark.parametrize("what", ["layers", "0", -1, True, "3"])
def test_what_cannot_be_frozen(settings: dict[str, Any], tmp_path: Path, what: Any) -> None:
    with pytest.raises(RecipeError, match=r"freeze|layers are to be frozen"):
        fine_tune(output=tmp_path / "run", **settings, freeze=what)
    assert not (tmp_path / "run").exists()


def test_the_head_alone_has_no_layers_to_have_rates(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="layer_rate_decay and freeze 'encoder' exclude each other"):
        fine_tune(output=tmp_path / "run", **settings, freeze="encoder", layer_rate_decay=0.9)
