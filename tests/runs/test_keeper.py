from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from distiltune.errors import TrainingError
from distiltune.progress import TRAINING, heard_by
from distiltune.runs.directory import RunDirectory
from distiltune.runs.keeper import BadSteps, Files, Judgement, RunKeeper
from distiltune.training.checkpoint import read_checkpoint, read_weights
from distiltune.training.checkpoint_writer import CheckpointFolder, CheckpointInterval, CheckpointWriter
from distiltune.training.early_stopping import BestEpoch, Better, Spread
from distiltune.training.interruption import Interruption
from distiltune.training.loop import EpochReport, LoopState, StepReport
from distiltune.training.optimiser import Adam
from distiltune.training.reporter import Quiet
from distiltune.training.run_log import RunLog
from tests.helpers import read_log


class Listener(Quiet):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.epochs: list[tuple[int, bool]] = []
        self.steps: list[int] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def step(self, report: StepReport) -> None:
        self.steps.append(report.step)

    def epoch(self, report: EpochReport, is_best: bool) -> None:
        self.epochs.append((report.epoch, is_best))


class Run:
    """A keeper on a new run directory, with a model whose one weight is the number of the epoch."""

    def __init__(
        self,
        path: Path,
        *,
        monitor: str = "validation_loss",
        better: Better = "lower",
        patience: int = 0,
        spread: Spread | None = None,
    ):
        self.directory = RunDirectory(path)
        self.directory.create(overwrite=False)
        self.model = torch.nn.Linear(1, 1, bias=False)
        self.listener = Listener()
        optimiser = Adam(self.model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
        self.model.weight.grad = torch.ones(1, 1)
        optimiser.step()
        self.log = RunLog(self.directory.log)
        self.checkpointer = CheckpointWriter(
            CheckpointFolder(self.directory.checkpoints), self.model, optimiser, CheckpointInterval()
        )
        self.keeper = RunKeeper(
            Files(self.directory, self.log, self.checkpointer),
            self.listener,
            BestEpoch(better, spread=spread),
            Judgement(monitor, patience),
            Interruption(),
            BadSteps(False, lambda features: [], ""),
        )

    def epochs(self, values: list[float | None], metric: str = "loss") -> list[bool]:
        """One epoch for each value of the monitored metric (None: no validation); whether each would go on."""
        with self.log:
            return [self._epoch(epoch, value, metric) for epoch, value in enumerate(values)]

    def _epoch(self, epoch: int, value: float | None, metric: str) -> bool:
        with torch.no_grad():
            self.model.weight.fill_(epoch)
        if value is not None:
            self.directory.new_predictions.mkdir(exist_ok=True)
            (self.directory.new_predictions / "predictions.json").write_text(json.dumps(epoch))
        validation = {} if value is None else {"loss": 9.0, "f1": 9.0, metric: value}
        self.keeper.on_epoch(
            EpochReport(
                epoch=epoch,
                train={"loss": 1.0},
                validation=validation,
                learning_rate=0.1,
                train_seconds=1.0,
                validation_seconds=1.0,
                n_features=5,
                n_tokens=50,
            )
        )
        goes_on = self.keeper.after_epoch(LoopState(epoch=epoch + 1, step=7 * (epoch + 1)))
        self.checkpointer.wait()
        return goes_on

    def weight(self, name: str) -> float:
        return float(read_weights(self.directory.checkpoints / name)["weight"])

    @property
    def predictions(self) -> int:
        return int(json.loads((self.directory.path / "predictions.json").read_text()))


def test_the_best_epoch_is_kept_with_its_answers_and_the_last_with_its_optimiser(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    assert run.epochs([3.0, 1.0, 2.0]) == [True] * 3
    assert run.keeper.best_epoch() == 1
    last = "step-00000021-epochs-3"
    assert (run.weight("best-epoch-1"), run.weight(last), run.predictions) == (1.0, 2.0, 1)
    checkpoints = run.directory.checkpoints
    assert {path.name for path in checkpoints.iterdir()} == {"best-epoch-1", "step-00000014-epochs-2", last}
    assert json.loads((checkpoints / "best-epoch-1" / "predictions.json").read_text()) == 1
    state = read_checkpoint(checkpoints / last).state
    assert (state["loop"]["epoch"], state["loop"]["step"], state["best"]["epoch"]) == (3, 21, 1)
    assert run.listener.epochs == [(0, True), (1, True), (2, False)]
    assert "validation_loss: 1.0000" in run.keeper.why_best()


def test_a_tiny_epoch_is_not_kept_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end before the evaluation is, where the checkpoint before it is older than a moment, or there is none."""
    run = Run(tmp_path / "run")
    checkpoints = run.directory.checkpoints
    with run.log:
        run.keeper.before_evaluation(LoopState(epoch=0, step=7))
        run.checkpointer.wait()
        assert (checkpoints / "step-00000007-epochs-0").is_dir()
        run._epoch(0, 3.0, "loss")
        run.keeper.before_evaluation(LoopState(epoch=1, step=14))
        run.checkpointer.wait()
        assert not (checkpoints / "step-00000014-epochs-1").exists()
        monkeypatch.setattr("distiltune.training.checkpoint_writer.FRESH_S", 0.0)
        run.keeper.before_evaluation(LoopState(epoch=1, step=14))
        run.checkpointer.wait()
    assert (checkpoints / "step-00000014-epochs-1").is_dir()


def test_the_monitor_says_what_is_best(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", monitor="f1", better="higher")
    run.epochs([3.0, 1.0, 2.0], metric="f1")
    assert run.keeper.best_epoch() == 0


def test_a_later_epoch_that_chance_does_not_tell_from_the_best_is_kept_and_said(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", monitor="f1", better="higher", spread=Spread(100))
    run.epochs([0.5, 0.8, 0.78, 0.7], metric="f1")
    assert (run.keeper.best_epoch(), run.weight("best-epoch-2"), run.predictions) == (2, 2.0, 2)
    assert run.keeper.why_best() == "f1 0.7800, the latest within a standard error of the best, 0.8000"
    state = read_checkpoint(run.directory.checkpoints / "step-00000028-epochs-4").state
    assert state["best"] == {"epoch": 2, "value": 0.78, "top": 0.8, "n_since": 2}


def test_without_validation_the_last_epoch_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.epochs([None] * 3)
    assert (run.keeper.best_epoch(), run.weight("best-epoch-2")) == (2, 2.0)
    assert "no validation data" in run.keeper.why_best()


def test_it_stops_when_the_patience_is_spent_and_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", patience=2)
    assert run.epochs([1.0, 0.5, 2.0, 0.5]) == [True, True, True, False]
    (note,) = run.listener.notes
    assert "epoch 3" in note
    assert "epoch 1 is kept" in note
    (event,) = [line for line in read_log(run.directory.log) if line["kind"] == "event"]
    assert (event["event"], event["message"]) == ("early_stop", note)


def test_the_log_has_a_line_for_each_step_epoch_and_evaluation(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with run.log:
        run.keeper.on_step(StepReport(0, 9, 70, 1.5, 0.1, 1000.0))
    run.epochs([2.0, math.nan])
    step, *epochs = read_log(run.directory.log)
    assert (step["kind"], step["step"], step["loss"], step["tokens_per_second"]) == ("step", 9, 1.5, 1000.0)
    assert [line["kind"] for line in epochs] == ["epoch", "evaluation"] * 2
    assert [line["best"] for line in epochs[::2]] == [True, False]
    assert epochs[1]["metrics"] == {"loss": 2.0, "f1": 9.0}
    assert epochs[3]["metrics"] == {"loss": None, "f1": 9.0}
    assert run.listener.steps == [9]


def test_no_epoch_with_a_number_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.epochs([math.nan, math.nan])
    with pytest.raises(TrainingError, match="validation_loss") as caught:
        run.keeper.best_epoch()
    assert "learning-rate" in caught.value.fix
    assert not list(run.directory.checkpoints.glob("best*"))


def test_between_steps_it_tells_how_far_the_run_is(tmp_path: Path) -> None:
    """Not only where a line is logged: steps may take long."""
    run, heard = Run(tmp_path / "run"), list[tuple[str, int]]()
    with heard_by(lambda stage, unit="", n_done=0, n_all=None: heard.append((stage, n_done))), run.log:
        run.keeper.between_steps(3, LoopState)
    assert heard == [(TRAINING, 3)]
