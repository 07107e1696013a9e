"""The coach inside a run: what it says, what it logs, what it leaves in the run directory."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from distiltune.coach.advice import advise
from distiltune.coach.evidence import Evidence, TrainingFacts
from distiltune.recipe.auto import fitting_rate
from distiltune.recipe.recipe import Recipe
from distiltune.report.console import ConsoleReporter
from distiltune.runs.coaching import training_facts
from distiltune.runs.directory import RunDirectory
from distiltune.runs.fine_tune import FineTuned, fine_tune, resume
from distiltune.runs.prepare import prepare
from distiltune.training.distributed import Processes
from distiltune.training.early_stopping import BestEpoch
from distiltune.training.loop import EpochReport
from distiltune.training.reporter import Quiet
from tests.helpers import TINY, people, read_log, write_squad, write_tiny_model

PEOPLE = people()


class Ears(Quiet):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sources")
    config = replace(TINY, vocab_size=PEOPLE.tokenizer.get_vocab_size(), max_position_embeddings=64)
    return {
        "model": str(write_tiny_model(folder / "tiny", PEOPLE.tokenizer, config)),
        "train": str(write_squad(folder / "train.json", PEOPLE.examples)),
        "validation": str(write_squad(folder / "dev.json", PEOPLE.examples)),
        "max_length": 48,
        "stride": 8,
        "epochs": 2,
        "threads": 1,
    }


def train(settings: dict[str, Any], output: Path, **changes: Any) -> tuple[FineTuned, Ears]:
    ears = Ears()
    return fine_tune(output=output, reporter=ears, **{**settings, **changes}), ears


def test_a_leak_is_told_before_the_first_step_and_stands_in_log_and_report(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    done, ears = train(settings, tmp_path / "run")  # the validation data is the training data
    assert done.advice[0].sickness == "question_leaked"
    said = [note for note in ears.notes if "same questions are in the training and in the validation data" in note]
    assert len(said) == 1  # and only once
    kinds = [(line["kind"], line.get("event"), line.get("sickness")) for line in read_log(done.directory / "log.jsonl")]
    told = kinds.index(("event", "advice", "question_leaked"))
    assert told < next(i for i, (kind, _, _) in enumerate(kinds) if kind == "step")
    assert ("event", "vitals", None) in kinds
    report = (done.directory / "report.html").read_text(encoding="utf-8")
    assert "same questions are in the training and in the validation data" in report
    assert "Where it is right, and where not" in report


def test_a_learning_rate_that_is_far_too_low_is_told_with_a_rate_that_is_not(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    dev = write_squad(tmp_path / "dev.json", [replace(e, context=f"{e.context} so") for e in PEOPLE.examples[:2]])
    done, ears = train(settings, tmp_path / "run", learning_rate=1e-9, validation=str(dev))
    sicknesses = [advice.sickness for advice in done.advice]
    assert "learning_rate_too_low" in sicknesses
    text = "\n".join(ears.notes)
    assert "the updates are too small" in text
    assert "--learning-rate" in text


def test_commands_are_of_the_runs_own_recipe_and_data(settings: dict[str, Any], tmp_path: Path) -> None:
    """Data that was set aside has no name to be checked against."""
    run = RunDirectory(tmp_path / "a run")

    def facts(**changes: Any) -> TrainingFacts:
        recipe = Recipe.build({**settings, "train": (settings["train"],), **changes})
        return training_facts(prepare(recipe, Processes(), torch.device("cpu")), run)

    found = facts(validation=(settings["validation"],), monitor="f1", min_change=0.5)
    assert (found.monitor, found.choice) == ("f1", BestEpoch("higher", 0.5))
    assert found.find_lr == f"distiltune find-lr --recipe '{run.recipe}'"
    named = f"distiltune check {settings['train']} --against {settings['validation']} --recipe '{run.recipe}'"
    assert found.check == named
    assert found.again == f"distiltune train --recipe '{run.recipe}' --output '{run.path}-2'"
    n_steps = found.planned_epochs * found.steps_per_epoch
    assert found.fitting_rate == fitting_rate("question-answering", TINY.hidden_size, n_steps)
    assert [blind.metric for blind in found.blind_scores] == ["f1"]
    assert not found.is_fine_tuned
    leak = advise(Evidence(found))[0]
    assert (leak.sickness, leak.command) == ("question_leaked", f"train on what this leaves: {named} --fix clean.json")
    assert "--against" not in facts(validation=(), validation_share=0.2).check
    alone = facts(validation=(), validation_share=0.0)
    assert not alone.blind_scores
    assert [blind.metric for blind in alone.blind_in_training] == ["f1"]
    assert not found.blind_in_training


def test_terminal_log_and_report_have_one_epoch_table(settings: dict[str, Any], tmp_path: Path) -> None:
    said = io.StringIO()
    reporter = ConsoleReporter(Console(file=said, width=1_000))
    done = fine_tune(output=tmp_path / "run", reporter=reporter, **settings)
    lines = [line.split() for line in said.getvalue().splitlines()]
    shown = [line for line in lines if len(line) == 9 and line[0].isdigit()]
    log = [line for line in read_log(done.directory / "log.jsonl") if line["kind"] == "epoch"]
    names = [("train", "loss"), ("train", "end_accuracy"), ("train", "start_accuracy")]
    names += [("validation", name) for name in (*(name for _, name in names), "exact_match", "f1")]
    logged = [
        [str(line["epoch"]), *(f"{line[of][name]:.4f}" for of, name in names)]  # type: ignore[index]
        for line in log
    ]
    assert shown == logged
    report = (done.directory / "report.html").read_text(encoding="utf-8")
    section = report[report.rindex("Epoch by epoch") :]  # the first is in the list of contents
    rows = re.findall(r'<th scope="row">(\d+).*?</th>((?:<td>[^<]*</td>)+)', section)
    assert [[epoch, *re.findall(r"<td>([^<]*)</td>", cells)] for epoch, cells in rows] == logged


def test_answers_are_left_for_compare(settings: dict[str, Any], tmp_path: Path) -> None:
    done, _ = train(settings, tmp_path / "run")
    lines = [json.loads(line) for line in (done.directory / "answers.jsonl").read_text("utf-8").splitlines()]
    assert {line["id"] for line in lines} == {example.id for example in PEOPLE.examples}
    mean = 100 * sum(line["f1"] for line in lines) / len(lines)
    assert mean == pytest.approx(done.best.validation["f1"], abs=1e-3)


def test_without_validation_data_there_is_a_report_and_no_analysis(settings: dict[str, Any], tmp_path: Path) -> None:
    done, _ = train(settings, tmp_path / "run", validation=(), validation_share=0.0)
    assert not (done.directory / "answers.jsonl").exists()
    assert "What the coach says" in (done.directory / "report.html").read_text(encoding="utf-8")


def test_a_run_asks_whether_to_go_on(settings: dict[str, Any], tmp_path: Path) -> None:
    seen: list[EpochReport] = []

    def go_on(report: EpochReport) -> bool:
        seen.append(report)
        return False

    done, _ = train(settings, tmp_path / "run", epochs=3, go_on=go_on)
    assert done.epochs == tuple(seen)
    assert len(seen) == 1
    assert (done.model / "model.safetensors").is_file()


def test_what_a_resumed_run_goes_on_from_is_not_what_it_began_from(settings: dict[str, Any], tmp_path: Path) -> None:
    """The checkpoint's base holds no weights; the run began from a pretrained model all the same."""
    dev = write_squad(tmp_path / "dev.json", [replace(e, context=f"{e.context} so") for e in PEOPLE.examples[:2]])

    def stop(report: EpochReport) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "run", validation=str(dev), learning_rate=1e-4, stride=0, go_on=stop)
    told = {advice.sickness for advice in resume(tmp_path / "run").advice}
    assert {"learning_rate_too_low", "too_few_steps"} & told  # what it began from does not hide it
    assert "no_pretraining" not in told


def test_the_log_can_be_read_while_it_grows(settings: dict[str, Any], tmp_path: Path) -> None:
    """After each epoch everything logged so far is on disk, line by line."""
    counts: list[int] = []

    def go_on(report: EpochReport) -> bool:
        lines = read_log(tmp_path / "run" / "log.jsonl")
        counts.append(sum(line["kind"] == "epoch" for line in lines))
        return True

    train(settings, tmp_path / "run", go_on=go_on)
    assert counts == [1, 2]


def test_tensorboard_has_the_logs_names_and_figures(settings: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    done, _ = train(settings, tmp_path / "run", tracker="tensorboard", log_every=1)
    events = EventAccumulator(str(done.directory / "events"))
    events.Reload()
    log = read_log(done.directory / "log.jsonl")
    losses = {line["step"]: line["loss"] for line in log if line["kind"] == "step"}
    assert {event.step: event.value for event in events.Scalars("step/loss")} == pytest.approx(losses)
    for epoch in done.epochs:
        event = events.Scalars("epoch/validation/loss")[epoch.epoch]
        assert (event.step, event.value) == (epoch.epoch, pytest.approx(epoch.validation["loss"]))
    assert {"step/learning_rate", "epoch/train/loss", "epoch/validation/f1"} <= set(events.Tags()["scalars"])
