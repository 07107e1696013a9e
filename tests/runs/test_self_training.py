"""A run that learns from texts without labels: its stages, which model it keeps, what it says, and how it goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distiltune import StepReport, Watcher, evaluate, fine_tune, resume
from distiltune.errors import DataError, RecipeError, TrainingError
from distiltune.python.arguments import held
from distiltune.recipe.recipe import Recipe
from distiltune.runs import self_training
from distiltune.runs.directory import RunDirectory
from distiltune.runs.fine_tune import FineTuned
from distiltune.runs.fine_tune import fine_tune as one_training
from distiltune.tasks.self_taught import Rights
from distiltune.tasks.text_classification.task import TextTraining
from distiltune.training.distributed import Processes
from distiltune.training.reporter import Quiet
from tests.helpers import TINY, read_log, word_pieces, write_tiny_model

GOOD, BAD = ("fine", "nice", "good", "kind"), ("poor", "dull", "sad", "cold")
FILLERS = ("the", "day", "was", "very", "so", "and")
SETTINGS: dict[str, Any] = {
    "max_length": 16,
    "stride": 4,
    "epochs": 2,
    "learning_rate": 3e-3,
    "batch_size": 4,
    "threads": 1,
    "seed": 1,
    "warmup_share": 0.1,
    "max_gradient_norm": 1.0,
    "log_every": 1,
    "checkpoint_steps": 2,
}


def row(i: int) -> dict[str, str]:
    word = (GOOD if i % 2 else BAD)[(i // 2) % 4]
    return {"text": f"the day was {FILLERS[i % 6]} {word} {i}", "label": "bg"[i % 2]}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    for name, numbers in (("train", range(8)), ("validation", range(60, 80))):
        text = "".join(json.dumps(row(i)) + "\n" for i in numbers)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    # Two that are labelled already, and one twice.
    texts = [row(i)["text"] for i in (0, 60, *range(8, 60), 9)]
    (folder / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    tokenizer = word_pieces([*GOOD, *BAD, *FILLERS, *map(str, range(90))])
    shape = replace(TINY, vocab_size=tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=64)
    write_tiny_model(folder / "tiny", tokenizer, shape)
    # A model that knows the labels somewhat: eight texts teach one that does not nothing.
    rows = [row(i) for i in range(8, 60)]
    with held({"train": rows}) as given:
        known = {**SETTINGS, "epochs": 4, "learning_rate": 5e-3, "head_dropout": 0.0, "model": str(folder / "tiny")}
        one_training(output=folder / "known", validation_share=0.0, **known, **given)
    return folder


def named(desk: Path) -> dict[str, Any]:
    files = {name: str(desk / f"{name}.jsonl") for name in ("train", "validation")}
    return {**files, "model": str(desk / "known"), "unlabelled": str(desk / "texts.txt"), **SETTINGS}


@pytest.fixture(scope="module")
def whole(desk: Path, tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    return fine_tune(output=tmp_path_factory.mktemp("whole") / "run", **named(desk))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def weights(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


def test_the_first_model_labels_what_is_not_labelled_and_the_second_learns_from_both(
    desk: Path, whole: FineTuned
) -> None:
    kept = lines(whole.directory / "self-labels.jsonl")
    found = whole.self_training
    assert found is not None
    choice = found["choice"]
    assert (choice["n_read"], choice["n_repeated"], choice["n_known"]) == (55, 1, 2)
    assert sum(each["n_given"] for each in choice["of_label"].values()) == 52
    for label, of_it in choice["of_label"].items():
        assert of_it["n_allowed"] == 12, "three for each labelled one"
        assert 0 < of_it["n_kept"] <= min(12, of_it["n_given"])
        assert of_it["n_kept"] == sum(each["label"] == label for each in kept)
    assert {each["text"] for each in kept} <= {row(i)["text"] for i in range(8, 60)}
    assert all(set(each) == {"text", "label", "confidence", "why"} for each in kept)
    second = whole.directory / "second-training"
    data = read_log(second / "log.jsonl")[0]["data"]
    assert isinstance(data, dict)
    assert data["warm-up"]["examples"] == len(kept)
    # Read no more often than the labels in all, eight in two epochs; but once.
    recipe = Recipe.from_toml(second / "recipe.toml")
    assert recipe.warm_up_epochs == 1 == max(1, 8 * 2 // len(kept))
    assert recipe.warm_up_order == "first", "what the first model got wrong is forgotten"
    assert (whole.directory / "first-training" / "model" / "model.safetensors").is_file()


def test_the_run_is_a_run_as_any_other(desk: Path, whole: FineTuned) -> None:
    run = whole.directory
    kept = "second-training"
    assert weights(run) == weights(run / kept)
    assert RunDirectory(run).is_run()
    assert evaluate(str(run), str(desk / "validation.jsonl"), threads=1).metrics["accuracy"] == pytest.approx(
        whole.best.validation["accuracy"], abs=0.051
    )
    for name in ("answers.jsonl", "predictions.jsonl", "rejected.jsonl", "curves.svg"):
        assert (run / name).read_bytes() == (run / kept / name).read_bytes()
    assert read_log(run / "log.jsonl")[-1]["outcome"] == "done"
    assert whole.model == run / "model"


def test_what_was_done_is_said_everywhere(whole: FineTuned) -> None:
    run = whole.directory
    page, card = (run / "report.html").read_text(), (run / "model" / "README.md").read_text()
    for text in (page, card):
        assert "55 texts without labels, left out 1 read before and 2 in the labelled data" in text
        assert "too little validation data to calibrate" in text
    assert '<a href="#self-training">' in page
    assert f"<h1>{run.name}</h1>" in page, "not the name of the stage's folder"
    (event,) = [line for line in read_log(run / "log.jsonl") if line.get("event") == "self_training"]
    assert event["choice"] == whole.as_json()["self_training"]["choice"]
    recipe = (run / "recipe.toml").read_text()
    assert "texts.txt" in recipe
    assert "[self_training.verdict]" in recipe
    assert Recipe.from_toml(run / "recipe.toml").unlabelled


class _Stop(Watcher):
    """Stops as Ctrl-C would at a step of one of the two trainings."""

    def __init__(self, training: int, step: int) -> None:
        self.training, self.step, self.now = training, step, -1

    def on_step(self, report: StepReport) -> None:
        self.now += report.step == 0
        if (self.now, report.step) == (self.training, self.step):
            raise KeyboardInterrupt


@pytest.mark.parametrize(("training", "step"), [(0, 2), (1, 3)], ids=["within the first", "within the second"])
def test_it_goes_on_within_a_training_as_if_it_had_never_stopped(
    training: int, step: int, desk: Path, whole: FineTuned, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "run", callbacks=[_Stop(training, step)], **named(desk))
    assert not (tmp_path / "run" / "model").exists()
    gone_on = resume(tmp_path / "run")
    check_same(gone_on, whole)


def check_same(gone_on: FineTuned, whole: FineTuned) -> None:
    for name in ("self-labels.jsonl", "self-training.json", "model/model.safetensors", "answers.jsonl"):
        assert (gone_on.directory / name).read_bytes() == (whole.directory / name).read_bytes(), name
    assert [each.train for each in gone_on.epochs] == [each.train for each in whole.epochs]


def _killed(monkeypatch: pytest.MonkeyPatch, name: str, begin: Callable[[], object]) -> None:
    """Run until a function of the stages is called, and stop there as a kill does."""
    plain = getattr(self_training, name)

    def kill(*given: Any, **more: Any) -> Any:
        raise SystemExit

    monkeypatch.setattr(self_training, name, kill)
    with pytest.raises(SystemExit):
        begin()
    monkeypatch.setattr(self_training, name, plain)


@pytest.mark.parametrize("before", ["_choose", "_with_own_labels", "_publish"])
def test_it_goes_on_between_the_stages(
    before: str, desk: Path, whole: FineTuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _killed(monkeypatch, before, lambda: fine_tune(output=tmp_path / "run", **named(desk)))
    first = tmp_path / "run" / "first-training" / "log.jsonl"
    done = first.read_text()
    # Also of a directory that has moved meanwhile, and by the name of a stage.
    (tmp_path / "run").rename(tmp_path / "moved")
    check_same(resume(tmp_path / "moved" / "first-training"), whole)
    assert (tmp_path / "moved" / "first-training" / "log.jsonl").read_text().startswith(done[: len(done) // 2])


def judged(monkeypatch: pytest.MonkeyPatch, first: str, second: str, *, held_out: bool = True) -> None:
    """The two models are right about these: a one a text."""
    rights = iter([first, second])

    def of(self: TextTraining, model: str) -> Rights:
        return Rights(np.array([sign == "1" for sign in next(rights)]), held_out)

    monkeypatch.setattr(TextTraining, "rights", of)


def test_a_second_model_that_is_worse_is_not_kept(
    desk: Path, whole: FineTuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    reporter = Quiet()
    monkeypatch.setattr(reporter, "note", told.append, raising=False)
    judged(monkeypatch, "111111", "110001")
    run = fine_tune(output=tmp_path / "run", overwrite=True, reporter=reporter, **named(desk))
    assert weights(run.directory) == weights(run.directory / "first-training") != weights(whole.directory)
    (*_, measured) = [line for line in read_log(run.directory / "log.jsonl") if line["kind"] == "evaluation"]
    assert run.best.validation == measured["metrics"]
    assert (run.directory / "predictions.jsonl").read_bytes() == (
        run.directory / "first-training" / "predictions.jsonl"
    ).read_bytes()
    said = "the first model is kept, since the second is worse by more than chance: of 6 validation texts"
    assert said in "\n".join(told)
    assert said in (run.directory / "report.html").read_text()
    assert said in (run.model / "README.md").read_text()
    assert run.self_training is not None
    assert run.self_training["verdict"]["kept"] == "first"
    (event,) = [line for line in read_log(run.directory / "log.jsonl") if line.get("event") == "self_training"]
    assert event["kept"] == "first-training"


def test_without_validation_data_it_is_said_that_little_is_known(desk: Path, tmp_path: Path) -> None:
    given = {**named(desk), "validation": (), "validation_share": 0.0}
    rows = [{"tweet": each["text"], "mood": each["label"]} for each in lines(Path(given["train"]))]
    texts = [{"tweet": row(i)["text"], "mood": "x"} for i in range(8, 40)]
    given |= {"train": rows, "unlabelled": texts, "columns": {"text": "tweet", "label": "mood"}}
    run = fine_tune(output=tmp_path / "run", **given)
    assert {"tweet", "mood"} < set(lines(run.directory / "self-labels.jsonl")[0])
    said = (run.directory / "report.html").read_text()
    assert "there is no validation data, so the two were judged by the training texts" in said
    assert run.self_training is not None
    assert not run.self_training["verdict"]["held_out"]
    # Rows in memory are handed over again, the texts too.
    with pytest.raises(DataError, match="memory"):
        resume(tmp_path / "run", train=rows)
    again = resume(tmp_path / "run", train=rows, unlabelled=texts)
    assert weights(again.directory) == weights(run.directory / "second-training")


def test_where_no_text_is_sure_enough_there_is_no_second_training(desk: Path, tmp_path: Path) -> None:
    run = fine_tune(output=tmp_path / "run", unlabelled_confidence=0.999, **named(desk))
    assert not (run.directory / "second-training").exists()
    assert weights(run.directory) == weights(run.directory / "first-training")
    assert "no text could be kept" in (run.directory / "report.html").read_text()
    assert run.as_json()["self_training"]["verdict"] is None


def test_other_texts_are_seen_when_a_run_goes_on(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_bytes((desk / "texts.txt").read_bytes())
    given = {**named(desk), "unlabelled": str(texts)}
    _killed(monkeypatch, "_choose", lambda: fine_tune(output=tmp_path / "run", **given))
    texts.write_text("another day\nand one more\n", encoding="utf-8")
    with pytest.raises(TrainingError, match="unlabelled texts, files"):
        resume(tmp_path / "run")
    with pytest.raises(TrainingError, match="unlabelled_most"):
        resume(tmp_path / "run", unlabelled_most=2.0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"warm_up_data": "more.jsonl"}, "warm_up_data and unlabelled"),
        ({"few_labels": "pairs"}, "few_labels 'pairs' and unlabelled"),
        ({"teacher": "starter"}, "teacher and unlabelled"),
        ({"folds": 3}, "folds and unlabelled"),
        ({"problem": "multi-label"}, "one label each, and problem is multi-label"),
        ({"problem": "regression"}, "one label each, and problem is regression"),
        ({"task": "question-answering"}, "unlabelled is a setting of another task"),
        ({"unlabelled": (), "unlabelled_most": 2.0}, "unlabelled_most is of texts without labels"),
        ({"unlabelled": (), "unlabelled_confidence": 0.5}, "unlabelled_confidence is of texts without labels"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Recipe.build({"task": "text-classification", "unlabelled": "texts.txt", **more})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"text": f"a {i}", "label": i + 0.5} for i in range(9)], "problem is regression"),
        ([{"text": f"a {i}", "labels": ["a", "b"][: i % 3]} for i in range(9)], "problem is multi-label"),
        ([{"text": f"a {i}", "text_pair": "b", "label": "ab"[i % 2]} for i in range(9)], "pairs of texts"),
        ([{"question": "a", "context": "a b", "answer_text": "b"}], "setting of another task"),
    ],
    ids=["numbers", "several labels", "pairs", "questions"],
)
def test_data_that_cannot_be_labelled_are_refused_before_anything_is_written(
    rows: list[dict[str, Any]], said: str, desk: Path, tmp_path: Path
) -> None:
    given = {**named(desk), "train": rows, "validation": (), "model": str(desk / "tiny")}
    with pytest.raises(RecipeError, match=said):
        fine_tune(output=tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_texts_that_are_all_labelled_are_refused(desk: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="All of the texts without labels are in the training"):
        fine_tune(output=tmp_path / "run", **{**named(desk), "unlabelled": str(desk / "train.jsonl")})


def test_what_trains_once_refuses_it(desk: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="take two trainings"):
        one_training(Recipe.build(named(desk)), output=tmp_path / "run")
    with pytest.raises(RecipeError, match="go_on and unlabelled"):
        fine_tune(output=tmp_path / "run", go_on=lambda report: True, **named(desk))


def test_several_processes_are_refused(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_training, "processes", lambda: Processes(0, 2, 0, 2))
    with pytest.raises(TrainingError, match="Several processes"):
        fine_tune(output=tmp_path / "run", **named(desk))
    assert not (tmp_path / "run").exists()


def test_an_ordinary_run_takes_the_place_of_one_in_stages(desk: Path, whole: FineTuned, tmp_path: Path) -> None:
    shutil.copytree(whole.directory, tmp_path / "run")
    (tmp_path / "run" / "mine.txt").write_text("mine")
    given = {name: value for name, value in named(desk).items() if name != "unlabelled"}
    fine_tune(output=tmp_path / "run", overwrite=True, **given)
    there = {path.name for path in (tmp_path / "run").iterdir()}
    assert not {"first-training", "second-training", "self-labels.jsonl", "self-training.json"} & there
    assert "mine.txt" in there
