"""Trackers, against stand-ins that have their calls; where the real ones are installed, against those too, offline."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distiltune.errors import TrainingError
from distiltune.training.loop import EpochReport, StepReport
from distiltune.training.trackers import Tracked, check_installed, tracking

STEP = StepReport(0, 9, 20, 1.5, 2e-5, 900.0)
EPOCH = EpochReport(0, {"loss": 1.4}, {"loss": 1.2, "f1": math.nan}, 1e-5, 1.0, 1.0, 100, 1000)
FIGURES = {"step/loss": 1.5, "step/learning_rate": 2e-5, "step/tokens_per_second": 900.0}


class Wandb:
    """What of `wandb` is called, and what it was told."""

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.logged: list[dict[str, float]] = []
        self.defined: list[tuple[str, str | None]] = []
        self.finished = 0

    def init(self, **named: Any) -> Any:
        self.begun.append(named)
        return SimpleNamespace(
            id=named["id"] or "abc",
            log=self.logged.append,
            define_metric=lambda name, step_metric=None: self.defined.append((name, step_metric)),
            finish=self.finish,
        )

    def finish(self) -> None:
        self.finished += 1


class Mlflow:
    """What of `mlflow` is called, and what it was told."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self.logged: list[tuple[str, str, float, int]] = []
        self.params: dict[str, str] = {}
        self.runs = 0
        self.calls: list[str] = []

    def MlflowClient(self, tracking_uri: str) -> Mlflow:  # noqa: N802 (its name)
        self.uris.append(tracking_uri)
        return self

    def get_experiment_by_name(self, name: str) -> None:
        self.calls.append(f"asked for {name}")

    def create_experiment(self, name: str) -> str:
        return f"experiment {name}"

    def create_run(self, experiment_id: str, run_name: str) -> Any:
        self.runs += 1
        self.calls.append(f"{experiment_id}: {run_name}")
        return SimpleNamespace(info=SimpleNamespace(run_id=f"r{self.runs}"))

    def update_run(self, run_id: str, status: str) -> None:
        self.calls.append(f"{run_id} is {status}")

    def log_param(self, run_id: str, key: str, value: str) -> None:
        self.params[key] = value

    def log_metric(self, run_id: str, key: str, value: float, step: int) -> None:
        self.logged.append((run_id, key, value, step))

    def set_terminated(self, run_id: str) -> None:
        self.calls.append(f"{run_id} has ended")


def tell(name: str, folder: Path, said: list[str], steps_done: int = 0) -> None:
    run = Tracked(folder / "events", "mine", {"epochs": 2, "train": ["a.json"]}, steps_done)
    with tracking((name,), run, said.append) as (watcher,):
        watcher.on_step(STEP)
        watcher.on_epoch(EPOCH)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Wandb:
    stand_in = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return stand_in


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    stand_in = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", stand_in)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return stand_in


def test_wandb_hears_the_logs_figures_and_a_run_goes_on_under_its_id(wandb: Wandb, tmp_path: Path) -> None:
    said: list[str] = []
    tell("wandb", tmp_path, said)
    tell("wandb", tmp_path, said, steps_done=10)
    first, again = wandb.begun
    assert (first["project"], first["name"], first["id"], again["id"]) == ("distiltune", "mine", None, "abc")
    assert first["config"] == {"epochs": 2, "train": ["a.json"]}
    assert wandb.logged[0] == {"step": 9, **FIGURES}
    assert wandb.logged[1] == {"epoch": 0, "epoch/train/loss": 1.4, "epoch/validation/loss": 1.2}, "NaN is no figure"
    assert ("epoch/*", "epoch") in wandb.defined
    assert wandb.finished == 2
    assert said == []


def test_mlflow_hears_the_logs_figures_and_a_run_goes_on_under_its_id(mlflow: Mlflow, tmp_path: Path) -> None:
    said: list[str] = []
    tell("mlflow", tmp_path, said)
    tell("mlflow", tmp_path, said, steps_done=10)
    assert mlflow.uris == [f"sqlite:///{(tmp_path / 'events' / 'mlflow.db').absolute()}"] * 2
    assert mlflow.calls == [
        *("asked for distiltune", "experiment distiltune: mine", "r1 has ended", "r1 is RUNNING", "r1 has ended")
    ]
    assert mlflow.params == {"epochs": "2", "train": "['a.json']"}
    assert {key: value for _, key, value, step in mlflow.logged if step == 9} == FIGURES
    assert ("r1", "epoch/validation/loss", 1.2, 0) in mlflow.logged
    assert said == []


def test_mlflow_goes_where_its_variables_say(mlflow: Mlflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "leases")
    tell("mlflow", tmp_path, [])
    assert mlflow.uris == ["http://tracking:5000"]
    assert "experiment leases: mine" in mlflow.calls


def test_a_tracker_that_fails_is_told_nothing_more(wandb: Wandb, tmp_path: Path) -> None:
    said: list[str] = []

    def fail(*args: Any) -> None:
        raise ConnectionError("no network")

    wandb.logged = SimpleNamespace(append=fail)  # type: ignore[assignment]
    tell("wandb", tmp_path, said)
    assert said == ["wandb is told nothing more: ConnectionError: no network"]
    assert wandb.finished == 0


def test_one_that_cannot_begin_is_an_error(wandb: Wandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**named: Any) -> None:
        raise RuntimeError("not logged in")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(TrainingError, match="The tracker wandb cannot begin: RuntimeError: not logged in"):
        tell("wandb", tmp_path, [])


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_what_is_not_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = {"tensorboard": "torch.utils.tensorboard"}.get(name, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TrainingError, match=f"The tracker {name} was asked for, and it is not installed"):
        check_installed(("tensorboard", name) if name != "tensorboard" else (name,))


def test_the_real_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    said: list[str] = []
    tell("wandb", tmp_path, said)
    assert said == []
    assert json.loads((tmp_path / "events" / "ids.json").read_text())["wandb"]
    assert list((tmp_path / "events" / "wandb").glob("offline-run-*/run-*.wandb"))


def test_the_real_mlflow_in_the_run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    said: list[str] = []
    tell("mlflow", tmp_path, said)
    tell("mlflow", tmp_path, said, steps_done=10)
    assert said == []
    run_id = json.loads((tmp_path / "events" / "ids.json").read_text())["mlflow"]
    client = real.MlflowClient(tracking_uri=f"sqlite:///{(tmp_path / 'events' / 'mlflow.db').absolute()}")
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["epochs"] == "2"
    assert run.data.metrics["step/loss"] == 1.5
    assert run.data.metrics["epoch/validation/loss"] == 1.2
