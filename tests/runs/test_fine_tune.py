from __future__ import annotations

import json
import math
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from distiltune.errors import DataError, DistiltuneError, ModelError, RecipeError, TrainingError
from distiltune.inference.predictor import outputs
from distiltune.model.build import load_model
from distiltune.model.config import EncoderConfig
from distiltune.recipe.recipe import Recipe
from distiltune.runs.fine_tune import FineTuned, fine_tune
from distiltune.tasks.question_answering.examples import Answer, Example
from distiltune.tasks.question_answering.task import HEAD_RULES, QuestionAnswering, from_settings, make_span_head
from distiltune.training.checkpoint import read_weights
from distiltune.training.loop import StepReport
from distiltune.training.reporter import Quiet
from tests.helpers import packing_threads, people, read_log, write_squad, write_tiny_model
from tests.tasks.question_answering.pairwise import reference_windows

CPU = torch.device("cpu")
PEOPLE = people()
SHAPE = EncoderConfig(
    vocab_size=PEOPLE.tokenizer.get_vocab_size(),
    hidden_size=32,
    n_layers=2,
    n_heads=4,
    intermediate_size=64,
    max_position_embeddings=64,
)
MISPLACED = Example("misplaced", "what eats ada", PEOPLE.examples[0].context, (Answer("pizza", 9),))
LONG = replace(PEOPLE.examples[0], id="long", question="what " * 30)
QUICK: dict[str, Any] = {
    "max_length": 48,
    "stride": 8,
    "epochs": 2,
    "learning_rate": 3e-3,
    "log_every": 2,
    "max_rejected_share": 0.1,
    "threads": 1,
}


class Ears(Quiet):
    """Remembers what was said, how far which stage was, and whether it was closed."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.n_closed = 0
        self.stages: list[tuple[object, ...]] = []

    def working(self, *words: Any) -> None:
        self.stages.append(words)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def close(self) -> None:
        self.n_closed += 1


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A model directory without a head, training data with one row that cannot be used, validation data."""
    directory = tmp_path_factory.mktemp("sources")
    return {
        "model": str(write_tiny_model(directory / "tiny", PEOPLE.tokenizer, SHAPE)),
        "train": str(write_squad(directory / "train.json", [*PEOPLE.examples, MISPLACED, LONG])),
        "validation": str(write_squad(directory / "dev.json", PEOPLE.examples[:8])),
    }


@pytest.fixture(scope="module")
def told() -> Ears:
    return Ears()


@pytest.fixture(scope="module")
def trained(sources: dict[str, str], told: Ears, tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    output = tmp_path_factory.mktemp("runs") / "first"
    return fine_tune(output=output, reporter=told, **{**QUICK, **sources})


def test_the_run_directory_is_as_designed(trained: FineTuned) -> None:
    assert {path.name for path in trained.directory.iterdir()} == {
        "answers.jsonl",
        "recipe.toml",
        "log.jsonl",
        "checkpoints",
        "model",
        "report.html",
        "curves.svg",
        "curves.png",
        "predictions.json",
        "nbest.jsonl",
        "rejected.jsonl",
    }
    checkpoints = {path.name for path in (trained.directory / "checkpoints").iterdir()}
    assert checkpoints == {"base", f"best-epoch-{trained.best_epoch}", "step-00000006-epochs-2"}
    assert {path.name for path in trained.model.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "README.md")
    }
    assert trained.model == trained.directory / "model"


def test_the_recipe_as_run_can_be_run_again(trained: FineTuned, sources: dict[str, str]) -> None:
    path = trained.directory / "recipe.toml"
    assert Recipe.from_toml(path) == trained.recipe
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    assert table["recipe"]["train"] == [sources["train"]]
    assert table["versions"]["torch"] == torch.__version__
    assert table["machine"]["threads"] == 1
    assert table["data"]["train"]["examples"] == 33
    assert table["data"]["train"]["findings"]["rejected/answer_not_found"] == 1
    assert table["data"]["validation"]["sources"] == [sources["validation"]]
    fingerprints = {table["data"][name]["fingerprint"] for name in ("train", "validation")}
    assert len(fingerprints) == 2


def test_what_the_recipe_leaves_open_is_written_as_it_was_decided(trained: FineTuned) -> None:
    """In the recipe's file and in the log; the recipe itself stays as it was given."""
    table = tomllib.loads((trained.directory / "recipe.toml").read_text(encoding="utf-8"))
    assert (table["recipe"]["precision"], table["recipe"]["max_question_tokens"]) == ("auto", 0)
    assert table["resolved"] == {
        "device": "cpu",
        "threads": 1,
        "precision": "float32",  # a model this narrow gains nothing from less
        "dropout": SHAPE.dropout,
        "attention_dropout": SHAPE.attention_dropout,
        "head_dropout": 0.1,
        "max_question_tokens": (48 - 3 - 8) // 2,
    }
    assert read_log(trained.directory / "log.jsonl")[0]["resolved"] == table["resolved"]


def test_the_log_has_every_kind_in_order(trained: FineTuned) -> None:
    log = read_log(trained.directory / "log.jsonl")
    kinds = [str(line["kind"]) for line in log]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert set(kinds) == {"start", "event", "step", "epoch", "evaluation", "end"}
    # 33 features in batches of 16: steps 1, 3 and 5 of 6, and each epoch's last.
    assert [line["step"] for line in log if line["kind"] == "step"] == [1, 2, 3, 5]
    epochs = [line for line in log if line["kind"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [0, 1]
    assert [line["train"] for line in epochs] == [dict(report.train) for report in trained.epochs]
    assert (log[-1]["outcome"], log[-1]["best_epoch"]) == ("done", trained.best_epoch)
    assert log[0]["recipe"] == json.loads(trained.recipe.model_dump_json())


def test_the_learning_rate_falls_to_0_over_all_steps(trained: FineTuned) -> None:
    steps = [line for line in read_log(trained.directory / "log.jsonl") if line["kind"] == "step"]
    assert [line["learning_rate"] for line in steps] == pytest.approx([3e-3 * (1 - t / 6) for t in (1, 2, 3, 5)])
    assert {line["n_steps"] for line in steps} == {6}


def test_what_was_left_out_is_listed_with_its_reason(trained: FineTuned) -> None:
    (line,) = read_log(trained.directory / "rejected.jsonl")
    assert (line["id"], line["set"], line["kind"]) == ("misplaced", "train", "answer_not_found")
    assert "train.json" in str(line["where"])
    assert line["reason"]


def test_what_was_only_noted_is_in_the_log(trained: FineTuned) -> None:
    log = read_log(trained.directory / "log.jsonl")
    noted: list[Any] = [line["finding"] for line in log if line.get("event") == "finding"]
    assert ("question_truncated", "long") in [(finding["kind"], finding["id"]) for finding in noted]


def test_the_predictions_are_those_of_the_best_epoch(trained: FineTuned, sources: dict[str, str]) -> None:
    predictions = json.loads((trained.directory / "predictions.json").read_text(encoding="utf-8"))
    assert list(predictions) == [each.id for each in PEOPLE.examples[:8]]
    right = sum(predictions[each.id] == each.answers[0].text for each in PEOPLE.examples[:8])
    assert trained.best.validation["exact_match"] == pytest.approx(100 * right / 8)


def test_epochs_are_reported_with_all_figures(trained: FineTuned) -> None:
    assert [report.epoch for report in trained.epochs] == [0, 1]
    for report in trained.epochs:
        assert report.train.keys() == {"loss", "start_accuracy", "end_accuracy"}
        assert report.train.keys() | {"exact_match", "f1"} <= report.validation.keys()
        assert report.n_features == 33
    assert trained.epochs[1].train["loss"] < trained.epochs[0].train["loss"]
    losses = [report.validation["loss"] for report in trained.epochs]
    assert trained.best_epoch == losses.index(min(losses))


def test_the_model_directory_holds_the_best_epoch(trained: FineTuned) -> None:
    loaded = load_model(str(trained.model), HEAD_RULES, make_span_head, CPU)
    best = read_weights(trained.directory / "checkpoints" / f"best-epoch-{trained.best_epoch}")
    assert loaded.source.missing == ()
    state = loaded.model.state_dict()
    assert state.keys() == best.keys()
    assert all(torch.equal(state[name], best[name]) for name in best)


def task_of(trained: FineTuned) -> QuestionAnswering:
    return from_settings(trained.recipe).open_model(json.loads((trained.model / "config.json").read_text()))


def test_transformers_loads_the_model_and_says_the_same(trained: FineTuned, sources: dict[str, str]) -> None:
    theirs, report = AutoModelForQuestionAnswering.from_pretrained(trained.model, output_loading_info=True)
    assert not any(report.values())
    their_tokenizer = AutoTokenizer.from_pretrained(trained.model)
    task = task_of(trained)
    loaded = load_model(str(trained.model), task.head_rules, task.make_head, CPU)
    data = task.load_data([sources["validation"]], loaded.tokenizer)
    windows = reference_windows(their_tokenizer, data.examples, max_length=48, stride=8)
    n_compared = 0
    for batch, logits in outputs(loaded.model, data.features, np.arange(len(data.features)), 60):
        for feature, part in zip(batch.feature_ids.tolist(), torch.split(logits, list(batch.lengths)), strict=True):
            ids = torch.tensor([windows[feature].token_ids])
            with torch.no_grad():
                output = theirs.eval()(input_ids=ids)
            expected = torch.stack([output.start_logits[0], output.end_logits[0]], dim=-1)
            torch.testing.assert_close(part, expected, rtol=1e-5, atol=1e-5)
            n_compared += 1
    assert n_compared == len(windows) == len(data.features)
    loss = task.evaluate(loaded.model, data).metrics["loss"]
    assert loss == pytest.approx(trained.best.validation["loss"], rel=1e-6)


def test_the_reporter_is_told_what_matters_and_closed_once(told: Ears, trained: FineTuned) -> None:
    text = "\n".join(told.notes)
    assert "random weights: head.output.weight, head.output.bias" in text
    assert "33 examples" in text
    assert "answer not found" in text
    assert told.n_closed == 1
    stages = dict.fromkeys(words[0] for words in told.stages)
    # Tokens may come from the cache, and steps are told of once a second.
    always = [each for each in stages if each not in ("tokenising", "training")]
    assert always == ["checking the data", "evaluating"]
    assert told.stages[-1] == ("evaluating", "examples", 8, 8)
    assert packing_threads() == 0


def test_the_same_settings_give_the_same_run(trained: FineTuned, sources: dict[str, str], tmp_path: Path) -> None:
    again = fine_tune(trained.recipe, output=tmp_path / "again")
    assert [dict(report.train) for report in again.epochs] == [dict(report.train) for report in trained.epochs]
    ours, theirs = (run.model / "model.safetensors" for run in (again, trained))
    assert ours.read_bytes() == theirs.read_bytes()
    other = fine_tune(trained.recipe, output=tmp_path / "other", seed=1)
    assert other.epochs[0].train["loss"] != trained.epochs[0].train["loss"]


def snapshot(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_an_output_that_holds_a_run_is_refused_and_stays(trained: FineTuned, sources: dict[str, str]) -> None:
    before = snapshot(trained.directory)
    with pytest.raises(TrainingError, match="holds a run") as caught:
        fine_tune(output=trained.directory, **{**QUICK, **sources})
    assert "--overwrite" in caught.value.fix
    assert snapshot(trained.directory) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_that_holds_something_else_is_never_replaced(
    sources: dict[str, str], tmp_path: Path, overwrite: bool
) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(TrainingError, match="not an empty directory") as caught:
        fine_tune(output=tmp_path, overwrite=overwrite, **{**QUICK, **sources})
    assert caught.value.where == str(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_overwriting_replaces_the_run_but_only_once_it_can_begin(sources: dict[str, str], tmp_path: Path) -> None:
    settings = {**QUICK, **sources, "epochs": 1}
    output = tmp_path / "run"
    fine_tune(output=output, **settings)
    (output / "report.html").write_text("old")
    before = snapshot(output)
    for wrong in ({"train": "absent.json"}, {"model": "./absent"}, {"max_length": 65}, {"epochs": 0}):
        with pytest.raises(DistiltuneError):
            fine_tune(output=output, overwrite=True, **{**settings, **wrong})
        assert snapshot(output) == before, wrong
    again = fine_tune(output=output, overwrite=True, **settings)
    assert (output / "report.html").read_text() != "old"
    assert (again.model / "config.json").is_file()


def test_a_run_may_go_on_from_itself(sources: dict[str, str], tmp_path: Path) -> None:
    """A run as the model, replaced by the new one: its weights are read before it goes."""
    settings = {**QUICK, **sources, "epochs": 1}
    first = fine_tune(output=tmp_path / "run", **settings)
    second = fine_tune(output=tmp_path / "run", overwrite=True, **{**settings, "model": str(tmp_path / "run")})
    assert second.epochs[0].train["loss"] < first.epochs[0].train["loss"]


def test_an_empty_directory_is_a_fine_output(sources: dict[str, str], tmp_path: Path) -> None:
    assert fine_tune(output=str(tmp_path), **{**QUICK, **sources, "epochs": 1}).directory == tmp_path


def test_32_questions_are_learnt_by_heart(sources: dict[str, str], tmp_path: Path) -> None:
    file = write_squad(tmp_path / "all.json", PEOPLE.examples)
    run = fine_tune(
        output=tmp_path / "run",
        model=sources["model"],
        train=file,
        validation=file,
        **{**QUICK, "epochs": 40, "batch_size": 4, "learning_rate": 5e-3},
        dropout=0.0,
        attention_dropout=0.0,
        head_dropout=0.0,
    )
    best = run.best
    assert (best.validation["start_accuracy"], best.validation["end_accuracy"]) == (1.0, 1.0)
    assert (best.train["start_accuracy"], best.train["end_accuracy"]) == (1.0, 1.0)
    assert best.validation["exact_match"] == best.validation["f1"] == 100.0
    predictions = json.loads((run.directory / "predictions.json").read_text())
    assert predictions == {each.id: each.answers[0].text for each in PEOPLE.examples}


def test_without_validation_the_last_epoch_is_kept(sources: dict[str, str], tmp_path: Path) -> None:
    ears = Ears()
    settings = {**QUICK, "model": sources["model"], "train": sources["train"], "validation_share": 0.0}
    run = fine_tune(output=tmp_path / "run", reporter=ears, **settings)
    assert run.best_epoch == 1
    assert all(not report.validation for report in run.epochs)
    assert not (run.directory / "predictions.json").exists()
    assert any("no validation data" in note for note in ears.notes)
    assert "evaluation" not in {line["kind"] for line in read_log(run.directory / "log.jsonl")}


def test_it_stops_early(sources: dict[str, str], tmp_path: Path) -> None:
    """No change is large enough: after the first epoch, `patience` more. The model is that of the first."""
    settings = {**QUICK, **sources, "epochs": 9, "patience": 2, "min_change": 1e6}
    run = fine_tune(output=tmp_path / "run", **settings)
    assert (len(run.epochs), run.best_epoch) == (3, 0)
    task = task_of(run)
    held = load_model(str(run.model), task.head_rules, task.make_head, CPU).model.state_dict()
    names = ("best-epoch-0", "step-00000009-epochs-3")
    best, last = (read_weights(run.directory / "checkpoints" / name) for name in names)
    assert all(torch.equal(held[name], best[name]) for name in held)
    assert not torch.equal(held["head.output.weight"], last["head.output.weight"])
    events = [line["event"] for line in read_log(run.directory / "log.jsonl") if line["kind"] == "event"]
    assert "early_stop" in events


@pytest.mark.parametrize(
    ("settings", "error", "named"),
    [
        ({"max_length": 65}, RecipeError, ("65", "64")),
        ({"warmup_steps": 6}, RecipeError, ("6", "warm")),
        ({"validation": (), "validation_share": 0.0, "patience": 2}, RecipeError, ("patience",)),
        ({"validation": (), "validation_share": 0.0, "monitor": "f1"}, RecipeError, ("f1",)),
        ({"device": "abacus"}, RecipeError, ("abacus",)),
        ({"epoch": 3}, RecipeError, ("epochs",)),
        ({"train": "absent.json"}, DataError, ("absent.json",)),
        ({"max_rejected_share": 0.0}, DataError, ("train.json",)),
        ({"model": "./absent"}, ModelError, ("absent",)),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_written(
    sources: dict[str, str], tmp_path: Path, settings: dict[str, Any], error: type[DistiltuneError], named: tuple[str]
) -> None:
    with pytest.raises(error) as caught:
        fine_tune(output=tmp_path / "run", **{**QUICK, **sources, **settings})
    assert all(name in str(caught.value) for name in named)
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_broken_off_says_so_in_its_log(sources: dict[str, str], tmp_path: Path) -> None:
    class Interrupts(Ears):
        def step(self, report: object) -> None:
            raise KeyboardInterrupt

    ears = Interrupts()
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "run", reporter=ears, **{**QUICK, **sources})
    last = read_log(tmp_path / "run" / "log.jsonl")[-1]
    assert (last["kind"], last["outcome"]) == ("end", "interrupted")
    assert ears.n_closed == 1
    assert not (tmp_path / "run" / "model").exists()


def test_an_interrupted_run_keeps_the_best_of_its_epochs(sources: dict[str, str], tmp_path: Path) -> None:
    class InterruptsInTheSecondEpoch(Ears):
        def step(self, report: StepReport) -> None:
            if report.epoch == 1:
                raise KeyboardInterrupt

    ears = InterruptsInTheSecondEpoch()
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "run", reporter=ears, **{**QUICK, **sources})
    kept = load_model(str(tmp_path / "run"), HEAD_RULES, make_span_head, CPU).model.state_dict()
    best = read_weights(tmp_path / "run" / "checkpoints" / "best-epoch-0")
    assert all(torch.equal(kept[name], best[name]) for name in best)
    assert (tmp_path / "run" / "report.html").is_file()
    assert any("interrupted" in note and "epoch 0" in note for note in ears.notes)


def test_ctrl_c_stays_one_and_gives_the_terminal_back_at_once(
    sources: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no epoch can be the best; and nothing is trained to find out why."""

    class InterruptsInTheSecondEpoch(Ears):
        def step(self, report: StepReport) -> None:
            if report.epoch == 1:
                raise KeyboardInterrupt

    def probe(*arguments: object) -> None:
        raise AssertionError("it trains on")

    monkeypatch.setattr("distiltune.runs.coaching.needs_probe", lambda evidence: True)
    monkeypatch.setattr("distiltune.runs.results.overfit_probe", probe)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "run", reporter=InterruptsInTheSecondEpoch(), **{**QUICK, **sources})
    assert (tmp_path / "run" / "model").is_dir()
    monkeypatch.setattr("distiltune.runs.fine_tune._evaluate", lambda *arguments: {"loss": math.nan})
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "nan", reporter=InterruptsInTheSecondEpoch(), **{**QUICK, **sources})
    assert not (tmp_path / "nan" / "model").exists()


def test_a_warm_up_by_share_is_counted_in_steps(sources: dict[str, str], tmp_path: Path) -> None:
    run = fine_tune(output=tmp_path / "run", **{**QUICK, **sources, "warmup_share": 0.5, "log_every": 1})
    steps = [line for line in read_log(run.directory / "log.jsonl") if line["kind"] == "step"]
    expected = [3e-3 * part for part in (1 / 4, 2 / 4, 3 / 4, 1, 2 / 3, 1 / 3)]
    assert [line["learning_rate"] for line in steps] == pytest.approx(expected)
