"""The log's figures in other tools too, under the log's names: TensorBoard, Weights & Biases, MLflow; each an extra.

A tracker is told, and decides nothing: where one fails while a training runs, that is said once, and the training goes
on without it. None of them sends a text or a weight, and none is asked for but by name.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from distiltune.errors import TrainingError, install_extra
from distiltune.training.loop import EpochReport, StepReport, Watcher

_NEEDED: Final = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
"""Tracker, and the extra of that name → the module that it needs."""

_IDS: Final = "ids.json"


@dataclass(frozen=True, slots=True)
class Tracked:
    """What a tracker is told of a run before its first step.

    Attributes:
        folder: where trackers keep what they keep on this machine.
        name: of the run.
        settings: of its recipe.
        steps_done: of a run that is resumed.

    """

    folder: Path
    name: str
    settings: Mapping[str, Any]
    steps_done: int = 0


def check_installed(trackers: Sequence[str]) -> None:
    """Check that what the trackers need is there.

    Raises:
        TrainingError: naming the first that is not installed.

    """
    for name in trackers:
        _module(name)


def _module(name: str) -> Any:
    try:
        return import_module(_NEEDED[name])
    except ImportError as error:
        raise TrainingError(
            f"The tracker {name} was asked for, and it is not installed.",
            where="recipe: tracker",
            fix=f"leave --tracker {name} out, or install it: {install_extra(name)}",
        ) from error


@contextmanager
def tracking(trackers: Sequence[str], run: Tracked, say: Callable[[str], None]) -> Iterator[tuple[Watcher, ...]]:
    """The trackers as a loop's watchers, closed at the end of the block.

    Args:
        trackers: by name.
        run: what they are told of.
        say: told that one has failed.

    Raises:
        TrainingError: if one is not installed, or cannot begin.

    """
    with ExitStack() as stack:
        watchers = []
        for name in trackers:
            module = _module(name)
            run.folder.mkdir(exist_ok=True)
            try:
                tracker = _OPEN[name](module, run)
            except Exception as error:
                raise TrainingError(
                    f"The tracker {name} cannot begin: {type(error).__name__}: {error}",
                    where="recipe: tracker",
                    fix=f"mend that, take its offline mode (docs/openings.md), or leave --tracker {name} out",
                ) from error
            guarded = Guarded(tracker, name, say)
            stack.callback(guarded.close)
            watchers.append(guarded)
        yield tuple(watchers)


class Guarded:
    """A tracker's failures cost no training."""

    def __init__(self, tracker: Any, name: str, say: Callable[[str], None]) -> None:
        self._tracker, self._name, self._say = tracker, name, say
        self._failed = False

    def on_step(self, report: StepReport) -> None:
        """``step/loss``, ``step/learning_rate``, ``step/tokens_per_second`` at the step's number."""
        names = ("loss", "learning_rate", "tokens_per_second")
        self._try("log", "step", {f"step/{name}": getattr(report, name) for name in names}, report.step)

    def on_epoch(self, report: EpochReport) -> None:
        """``epoch/train/…`` and ``epoch/validation/…`` at the epoch's number."""
        sets = (("train", report.train), ("validation", report.validation))
        figures = {f"epoch/{of}/{name}": value for of, metrics in sets for name, value in metrics.items()}
        self._try("log", "epoch", figures, report.epoch)

    def close(self) -> None:
        """The run has ended, or is broken off."""
        self._try("close")

    def _try(self, method: str, kind: str = "", figures: Mapping[str, float] | None = None, at: int = 0) -> None:
        if self._failed:
            return
        finite = {name: value for name, value in (figures or {}).items() if math.isfinite(value)}
        try:
            getattr(self._tracker, method)(*((kind, finite, at) if method == "log" else ()))
        except Exception as error:
            self._failed = True
            self._say(f"{self._name} is told nothing more: {type(error).__name__}: {error}")


class _TensorBoard:
    """Events in the run directory; those of steps that come again are not shown twice."""

    def __init__(self, module: Any, run: Tracked) -> None:
        self._writer = module.SummaryWriter(str(run.folder), purge_step=run.steps_done or None)

    def log(self, kind: str, figures: Mapping[str, float], at: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, at)
        if kind == "epoch":
            self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """A run of the project ``distiltune``, or of ``WANDB_PROJECT``; offline with ``WANDB_MODE=offline``.

    A run that is resumed goes on under its id. Steps and epochs are its own axes, since a step that comes again may not
    go back on W&B's.
    """

    def __init__(self, module: Any, run: Tracked) -> None:
        id_ = _remembered(run.folder, "wandb")
        self._run = module.init(
            project=os.environ.get("WANDB_PROJECT", "distiltune"),
            name=run.name,
            id=id_ or None,
            resume="allow",
            dir=str(run.folder),
            config=dict(run.settings),
        )
        _remember(run.folder, "wandb", str(self._run.id))
        for kind in ("step", "epoch"):
            self._run.define_metric(kind)
            self._run.define_metric(f"{kind}/*", step_metric=kind)

    def log(self, kind: str, figures: Mapping[str, float], at: int) -> None:
        self._run.log({kind: at, **figures})

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    """A run of the experiment ``distiltune``, or of ``MLFLOW_EXPERIMENT_NAME``, at ``MLFLOW_TRACKING_URI``.

    Without that it is kept in ``mlflow.db`` in the run directory, which ``mlflow ui`` shows. A run that is resumed goes
    on under its id.
    """

    def __init__(self, module: Any, run: Tracked) -> None:
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(run.folder / 'mlflow.db').absolute()}"
        self._client = module.MlflowClient(tracking_uri=uri)
        self._id = _remembered(run.folder, "mlflow")
        if self._id:
            self._client.update_run(self._id, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "distiltune")
        experiment = self._client.get_experiment_by_name(name)
        experiment_id = experiment.experiment_id if experiment is not None else self._client.create_experiment(name)
        self._id = self._client.create_run(experiment_id, run_name=run.name).info.run_id
        _remember(run.folder, "mlflow", self._id)
        for setting, value in run.settings.items():
            self._client.log_param(self._id, setting, str(value)[:500])

    def log(self, kind: str, figures: Mapping[str, float], at: int) -> None:
        for name, value in figures.items():
            self._client.log_metric(self._id, name, value, step=at)

    def close(self) -> None:
        self._client.set_terminated(self._id)


_OPEN: Final[Mapping[str, Callable[[Any, Tracked], Any]]] = {
    "tensorboard": _TensorBoard,
    "wandb": _Wandb,
    "mlflow": _Mlflow,
}


def _remembered(folder: Path, tracker: str) -> str:
    """What a tracker called the run before it was stopped; empty if it knows none."""
    try:
        return str(json.loads((folder / _IDS).read_text(encoding="utf-8")).get(tracker, ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _remember(folder: Path, tracker: str, run_id: str) -> None:
    known = {name: _remembered(folder, name) for name in _OPEN}
    kept = {name: value for name, value in {**known, tracker: run_id}.items() if value}
    (folder / _IDS).write_text(json.dumps(kept) + "\n", encoding="utf-8")
