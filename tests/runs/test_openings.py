"""Whole runs with what a training may have beside the usual: each trains, stops, goes on exactly and is told of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from distiltune.errors import RecipeError, TrainingError
from distiltune.recipe.recipe import Recipe
from distiltune.runs.evaluate import evaluate
from distiltune.runs.fine_tune import FineTuned, fine_tune, resume
from distiltune.tasks.own import Own
from distiltune.training.loop import EpochReport, StepReport, Watcher
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


def agreement(gold: Sequence[tuple[str, ...]], given: Sequence[str]) -> float:
    """Share of questions whose answer is, letter by letter, one of the gold ones."""
    return sum(answer in (texts or ("",)) for texts, answer in zip(gold, given, strict=True)) / len(gold)


def length(gold: Sequence[Any], given: Sequence[str]) -> float:
    return sum(map(len, given)) / len(given)


class Heard(Watcher):
    """Hears of epochs; of steps what is inherited does nothing."""

    def __init__(self) -> None:
        self.epochs: list[EpochReport] = []

    def on_epoch(self, report: EpochReport) -> None:
        self.epochs.append(report)


def test_metrics_of_ones_own_are_logged_shown_and_chosen_by(settings: dict[str, Any], tmp_path: Path) -> None:
    own = Own({"agreement": agreement, "length": length})
    chosen = {**settings, "monitor": "length", "monitor_better": "lower"}
    run = assert_goes_on_exactly(chosen, tmp_path, own=own)
    for report in run.epochs:
        assert 0.0 <= report.validation["agreement"] <= report.validation["exact_match"] / 100 + 1e-9
    assert run.best_epoch == min(run.epochs, key=lambda each: each.validation["length"]).epoch
    page = (run.directory / "report.html").read_text(encoding="utf-8")
    assert "Validation Agreement" in page
    assert 'metrics = [\n    "agreement",\n    "length",\n]' in (run.directory / "recipe.toml").read_text()
    answers = json.loads((run.directory / "predictions.json").read_text())
    assert run.best.validation["length"] == pytest.approx(sum(map(len, answers.values())) / len(answers))
    higher = fine_tune(output=tmp_path / "higher", own=own, **{**settings, "monitor": "length"})
    assert higher.best_epoch == max(run.epochs, key=lambda each: each.validation["length"]).epoch


def test_a_run_with_functions_goes_on_only_with_them(settings: dict[str, Any], tmp_path: Path) -> None:
    own = Own({"agreement": agreement})
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "run", reporter=InterruptsAt(4), **settings, own=own)
    with pytest.raises(RecipeError, match="agreement is one of your own") as caught:
        resume(tmp_path / "run")
    assert "distiltune.resume" in caught.value.fix
    with pytest.raises(TrainingError, match=r"metrics: .*agreement.* in the run"):
        resume(tmp_path / "run", own=Own({"another": length}))


@pytest.mark.parametrize(
    ("own", "error"),
    [
        (Own({"f1": length}), "cannot be called 'f1'"),
        (Own({"my metric": length}), "cannot be called 'my metric'"),
        (Own({"mine": 3}), "mine is int, no function"),  # type: ignore[dict-item]
        (Own(loss="focal"), "loss is str, no function"),  # type: ignore[arg-type]
    ],
    ids=["taken", "no name", "no function", "no loss"],
)
def test_what_is_no_metric_or_loss(settings: dict[str, Any], tmp_path: Path, own: Own, error: str) -> None:
    with pytest.raises(RecipeError, match=error):
        fine_tune(output=tmp_path / "run", own=own, **settings)
    assert not (tmp_path / "run").exists()


def test_a_metric_that_fails_costs_no_training(settings: dict[str, Any], tmp_path: Path) -> None:
    def broken(gold: Sequence[Any], given: Sequence[Any]) -> float:
        raise ZeroDivisionError("by zero")

    with pytest.raises(TrainingError, match="The metric agreement failed: ZeroDivisionError: by zero"):
        fine_tune(output=tmp_path / "run", own=Own({"agreement": broken}), **settings)
    resumed = resume(tmp_path / "run", own=Own({"agreement": agreement}))
    whole = fine_tune(output=tmp_path / "whole", own=Own({"agreement": agreement}), **settings)
    assert figures(resumed) == figures(whole)


def test_callbacks_hear_what_the_log_says(settings: dict[str, Any], tmp_path: Path) -> None:
    heard = Heard()
    run = fine_tune(output=tmp_path / "run", callbacks=[heard], **settings)
    assert tuple(heard.epochs) == run.epochs
    plain = fine_tune(output=tmp_path / "plain", **settings)
    assert figures(run) == figures(plain)
    with pytest.raises(RecipeError, match="a class, and not one of its objects: Heard"):
        fine_tune(output=tmp_path / "other", callbacks=[Heard], **settings)  # type: ignore[list-item]
    with pytest.raises(RecipeError, match="A callback is without on_step: object"):
        fine_tune(output=tmp_path / "other", callbacks=[object()], **settings)  # type: ignore[list-item]


def test_a_callback_that_fails_ends_the_run_which_goes_on(settings: dict[str, Any], tmp_path: Path) -> None:
    class Fails(Watcher):
        def on_epoch(self, report: EpochReport) -> None:
            if report.epoch == 1:
                raise RuntimeError("no disk")

    with pytest.raises(RuntimeError, match="no disk"):
        fine_tune(output=tmp_path / "run", callbacks=[Fails()], **settings)
    heard = Heard()
    resumed = resume(tmp_path / "run", callbacks=[heard])
    assert figures(resumed) == figures(fine_tune(output=tmp_path / "whole", **settings))
    assert [each.epoch for each in heard.epochs] == [1, 2]


def test_any_figure_may_be_watched(settings: dict[str, Any], tmp_path: Path) -> None:
    assert Recipe.build({"task": "text-classification", "monitor": "mean_absolute_error"}).better == "lower"
    with pytest.raises(TrainingError, match="The validation data give no answerable_f1: there is loss, "):
        fine_tune(output=tmp_path / "run", **settings, monitor="answerable_f1")
    with pytest.raises(RecipeError, match="monitor is 'accuracy', and question-answering has"):
        fine_tune(output=tmp_path / "other", **settings, monitor="accuracy")
    with pytest.raises(RecipeError, match="monitor_better is of metrics of your own"):
        fine_tune(output=tmp_path / "other", **settings, monitor="f1", monitor_better="lower")


@pytest.mark.parametrize("more", [{}, {"lora_dropout": 0.3, "lora_targets": ("lin1", "q_lin")}], ids=["usual", "other"])
def test_lora(settings: dict[str, Any], tmp_path: Path, more: dict[str, Any]) -> None:
    asked = {**settings, "lora_rank": 2, "lora_alpha": 4, **more}
    run = assert_goes_on_exactly(asked, tmp_path)
    before, after = load_file(Path(settings["model"]) / "model.safetensors"), tensors(run)
    targets = more.get("lora_targets", ("q_lin", "v_lin"))
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert after.keys() == before.keys() | {"qa_outputs.weight", "qa_outputs.bias"}
    assert changed == {name for name in before if name.split(".")[-2] in targets and name.endswith("weight")}
    measured = evaluate(run.model, settings["train"])
    whole = fine_tune(output=tmp_path / "again", **{**asked, "validation": settings["train"]})
    assert evaluate(whole.model, settings["train"]).metrics["loss"] == pytest.approx(
        whole.best.validation["loss"], rel=1e-4
    )
    assert measured.n_examples == 32
    # The adapters by hand, as peft adds them.
    adapter = load_file(run.directory / "adapter" / "adapter_model.safetensors")
    name = f"distilbert.transformer.layer.1.{'ffn.lin1' if 'lin1' in targets else 'attention.v_lin'}"
    low, high = (adapter[f"base_model.model.{name}.lora_{each}.weight"] for each in "AB")
    torch.testing.assert_close(after[f"{name}.weight"], before[f"{name}.weight"] + 2.0 * high @ low)
    advice = [line for line in read_log(run.directory / "log.jsonl") if line.get("event") == "advice"]
    assert not {"frozen", "dead_head"} & {line["sickness"] for line in advice}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"lora_alpha": 3}, "lora_alpha is of LoRA, and lora_rank is 0"),
        ({"lora_rank": 2, "freeze": 1}, "exclude each other"),
        ({"lora_rank": 2, "lora_targets": "query"}, "name some of q_lin"),
    ],
    ids=["no rank", "freeze", "no layer"],
)
def test_what_lora_cannot_be(more: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.build(more)
