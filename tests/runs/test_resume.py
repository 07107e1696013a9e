"""Which runs can be gone on with, and that nothing is deleted for one that cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from distiltune.errors import TrainingError
from distiltune.runs.directory import RunDirectory
from distiltune.runs.fine_tune import fine_tune, resume
from distiltune.runs.prepare import PreparedRun
from distiltune.runs.resume import find_resumable, notes_on_bits, precision_of
from distiltune.training import checkpoint
from distiltune.training.checkpoint import Position, Snapshot, write_checkpoint
from distiltune.training.loop import StepReport
from distiltune.training.reporter import Quiet
from tests.helpers import TINY, people, read_log, weights_of, write_squad, write_tiny_model

AS_RUN = '[recipe]\nepochs = 1\n[versions]\ntorch = "2"\n'
QUICK: dict[str, Any] = {
    "max_length": 64,
    "stride": 8,
    "epochs": 1,
    "learning_rate": 3e-3,
    "batch_size": 8,
    "log_every": 1,
    "validation_share": 0.25,
    "threads": 1,
}


def snapshot(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def begun(tmp_path: Path) -> RunDirectory:
    """A run that was stopped before its first checkpoint."""
    run = RunDirectory(tmp_path / "run")
    run.create(overwrite=False, recipe=AS_RUN)
    run.base.mkdir()
    run.log.write_text('{"kind": "start", "time": ""}\n{"kind": "event", "time": ""}\n{"kind": "st')
    return run


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, known = tmp_path_factory.mktemp("sources"), people()
    shape = replace(TINY, vocab_size=known.tokenizer.get_vocab_size())
    return {
        **QUICK,
        "model": str(write_tiny_model(folder / "tiny", known.tokenizer, shape)),
        "train": str(write_squad(folder / "train.json", known.examples)),
    }


@pytest.mark.parametrize("recipe", ["epochs = 1\n", AS_RUN])
def test_a_folder_with_a_recipe_is_no_run_and_stays(tmp_path: Path, recipe: str) -> None:
    (tmp_path / "recipe.toml").write_text(recipe)
    (tmp_path / "thesis.txt").write_text("dear")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.json").write_text("{}")
    before = snapshot(tmp_path)
    with pytest.raises(TrainingError, match="no run to resume"):
        resume(tmp_path)
    assert snapshot(tmp_path) == before


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(begun: RunDirectory) -> None:
    assert find_resumable(begun) is None
    begun.log.write_text(begun.log.read_text() + '\n{"kind": "end", "time": "", "outcome": "failed"}\n')
    assert find_resumable(begun) is None


@pytest.mark.parametrize("what", ["a model", "the log of 2 epoch"])
def test_a_run_that_came_to_something_is_never_begun_anew(begun: RunDirectory, what: str) -> None:
    """Its checkpoints were removed, to save room."""
    (begun.path / "answers.jsonl").write_text("{}")
    if what == "a model":
        begun.model.mkdir()
        (begun.model / "config.json").write_text("{}")
    else:
        begun.log.write_text('{"kind": "epoch", "time": ""}\n' * 2)
    before = snapshot(begun.path)
    with pytest.raises(TrainingError, match=what) as caught:
        resume(begun.path)
    assert "--overwrite" in caught.value.fix
    assert snapshot(begun.path) == before


def test_checkpoints_that_cannot_be_listed_are_not_taken_for_none(begun: RunDirectory) -> None:
    begun.base.rmdir()
    begun.checkpoints.rmdir()
    begun.checkpoints.write_text("in the way")
    with pytest.raises(TrainingError, match="cannot be read") as caught:
        find_resumable(begun)
    assert caught.value.where == str(begun.checkpoints)


def test_no_tensor_is_loaded_to_find_the_checkpoint(begun: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bits are checked nevertheless."""
    tensors = {"weight": torch.arange(10.0)}
    state = {"format": checkpoint.FORMAT, "best": {"epoch": -1}}
    for position in (Position(1, 0), Position(2, 0)):
        write_checkpoint(begun.checkpoints / position.name, Snapshot(tensors, tensors, state))
    file = begun.checkpoints / Position(2, 0).name / "optimiser.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(checkpoint, "load_file", None)
    found = find_resumable(begun)
    assert found is not None
    assert (found.position, found.state) == (Position(1, 0), state)
    assert "damaged" in found.notes[0]


class InterruptsAtOnce(Quiet):
    def step(self, report: StepReport) -> None:
        raise KeyboardInterrupt


def test_what_lay_beside_a_run_stays_when_it_begins_anew(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "run", reporter=InterruptsAtOnce(), **settings)
    (tmp_path / "run" / "thesis.txt").write_text("dear")
    resumed = resume(tmp_path / "run")
    assert (tmp_path / "run" / "thesis.txt").read_text() == "dear"
    assert len(resumed.epochs) == 1
    assert [line["kind"] for line in read_log(tmp_path / "run" / "log.jsonl")].count("start") == 1


class Told(Quiet):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_run_that_was_finished_says_so(settings: dict[str, Any], tmp_path: Path) -> None:
    first, again = Told(), Told()
    fine_tune(output=tmp_path / "run", reporter=first, **settings)
    resume(tmp_path / "run", reporter=again)
    assert not any("finished already" in note for note in first.notes)
    assert any("finished already" in note for note in again.notes)


def test_a_run_that_early_stopping_has_ended_has_its_weights_again(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written at its end, the coach's probe too, is of the trained model."""
    models: list[dict[str, torch.Tensor]] = []

    def broken_off(run: RunDirectory, prepared: PreparedRun, *others: object) -> None:
        models.append(weights_of(prepared.loaded.model))
        raise KeyboardInterrupt

    monkeypatch.setattr("distiltune.runs.fine_tune.write_results", broken_off)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "run", **{**settings, "epochs": 3, "patience": 1, "min_change": 1e6})
    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path / "run")
    trained, resumed = models
    assert all(torch.equal(value, resumed[name]) for name, value in trained.items())


class InterruptsLate(Quiet):
    """At the second step of the second epoch, whose first is beyond the checkpoint then."""

    def __init__(self) -> None:
        self.n_steps = 0

    def step(self, report: StepReport) -> None:
        self.n_steps += report.epoch
        if self.n_steps == 2:
            raise KeyboardInterrupt


def test_events_and_time_go_on_where_the_checkpoint_is(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=run, reporter=InterruptsLate(), **{**settings, "epochs": 2, "tracker": ("tensorboard",)})
    found = find_resumable(RunDirectory(run))
    assert found is not None
    assert found.state["seconds"] > 0
    long_ago = replace(found, state={**found.state, "seconds": 1_000.0})
    monkeypatch.setattr("distiltune.runs.fine_tune.find_resumable", lambda run: long_ago)
    resume(run)
    log = read_log(run / "log.jsonl")
    assert isinstance(log[-1]["seconds"], float)
    assert log[-1]["seconds"] > 1_000
    events = EventAccumulator(str(run / "events"))
    events.Reload()
    assert len(list((run / "events").iterdir())) == 2
    steps = [event.step for event in events.Scalars("step/loss")]
    assert steps == [line["step"] for line in log if line["kind"] == "step"]


def test_a_run_goes_on_in_its_own_precision_or_in_one_that_is_named(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun on a processor that has bfloat16, and resumed on one that has not."""
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=run, reporter=InterruptsLate(), **{**settings, "epochs": 2})
    before = snapshot(run)
    found = find_resumable(RunDirectory(run))
    assert found is not None
    assert found.state["same_bits"]["precision"] == "float32"
    monkeypatch.setattr("distiltune.system.device._BFLOAT16_MIN_HIDDEN", 0)
    monkeypatch.setattr("distiltune.system.device.has_bfloat16", lambda device: True)
    assert precision_of(found.state, "", torch.device("cpu")) == "float32"  # not what auto is now
    elsewhere = replace(
        found, state={**found.state, "same_bits": {**found.state["same_bits"], "precision": "bfloat16"}}
    )
    monkeypatch.setattr("distiltune.runs.fine_tune.find_resumable", lambda run: elsewhere)
    monkeypatch.setattr("distiltune.system.device.has_bfloat16", lambda device: False)
    with pytest.raises(TrainingError, match="begun in bfloat16") as caught:
        resume(run)
    assert "--precision float32" in caught.value.fix
    assert snapshot(run) == before
    assert len(resume(run, precision="float32").epochs) == 2
    (event,) = [line for line in read_log(run / "log.jsonl") if line.get("event") == "resumed"]
    assert "others than without the stop: precision bfloat16 then, float32 now" in str(event["notes"])
    assert dict(event["resolved"])["precision"] == "float32"  # type: ignore[call-overload]


def test_another_processor_or_other_libraries_are_told(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=run, reporter=InterruptsLate(), **{**settings, "epochs": 2})
    found = find_resumable(RunDirectory(run))
    assert found is not None
    bits = found.state["same_bits"]
    assert {"torch", "tokenizers", "safetensors", "processor", "instructions"} <= set(bits)
    assert notes_on_bits(found.state, found.state) == []
    for name, then in (("instructions", "others"), ("processor", "another"), ("tokenizers", "0.1"), ("torch", "1")):
        (note,) = notes_on_bits({**found.state, "same_bits": {**bits, name: then}}, found.state)
        assert note == f"the results may differ in their last bits: {name} {then} then, {bits[name]} now"
    of_before = {name: value for name, value in bits.items() if name != "instructions"}
    assert notes_on_bits({**found.state, "same_bits": of_before}, found.state) == []
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    resume(run)
    (event,) = [line for line in read_log(run / "log.jsonl") if line.get("event") == "resumed"]
    assert "instructions" in str(event["notes"])
    assert "ONEDNN_MAX_CPU_ISA=AVX2 now" in str(event["notes"])


@pytest.mark.parametrize("name", [".lock", "log.jsonl", "report.html", "model", "checkpoints"])
def test_nothing_elsewhere_is_touched_through_a_link(settings: dict[str, Any], tmp_path: Path, name: str) -> None:
    """Neither by going on, nor by beginning anew, whatever a run that came from somebody else links to."""
    run, home = RunDirectory(tmp_path / "run"), tmp_path / "home"
    fine_tune(output=run.path, **settings)
    place = run.path / name
    if place.is_dir():
        place.rename(home)
    else:
        home.mkdir()
        (home / name).write_bytes(place.read_bytes() if place.exists() else b"mine")
        place.unlink(missing_ok=True)
    for hidden in (".profile", ".ssh"):
        (home / hidden).write_text("mine")
    place.symlink_to(home if name in ("model", "checkpoints") else home / name)
    before = snapshot(home)
    with pytest.raises(TrainingError, match="a link where a run writes"):
        resume(run.path)
    assert snapshot(home) == before
    with pytest.raises(TrainingError, match=r"a link where a run writes|not an empty directory"):
        fine_tune(output=run.path, overwrite=True, **settings)
    assert snapshot(home) == before


@pytest.mark.parametrize("name", [".lock", ".recipe.toml.new"])
def test_a_prepared_directory_leads_nowhere(settings: dict[str, Any], tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "mine")
    with pytest.raises(TrainingError, match="a link where a run writes"):
        fine_tune(output=tmp_path / "run", **settings)
    assert (tmp_path / "mine").read_text() == "mine"


def test_what_a_run_does_not_write_stays_among_its_checkpoints(settings: dict[str, Any], tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    fine_tune(output=run.path, **settings)
    ours = (".step-00000009-epochs-1.gone", ".best-epoch-7.7-0123abcd.new")
    theirs = (".ssh", ".config.gone", ".notes.7-0123abcd.old", "best-epoch-notes")
    for each in (*ours, *theirs):
        (run.checkpoints / each).mkdir()
    resume(run.path)
    left = {path.name for path in run.checkpoints.iterdir()}
    assert left.issuperset(theirs)
    assert left.isdisjoint(ours)
