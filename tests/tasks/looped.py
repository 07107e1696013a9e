"""The project's own training loop around a task that is no `Task`: a model, features and a loss, and nothing kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from distiltune.data.feature_set import FeatureSet
from distiltune.model.encoder import TaskModel
from distiltune.training.checkpoint import Snapshot, restore, take_snapshot
from distiltune.training.loop import EpochReport, LoopState, NothingKept, train
from distiltune.training.objective import Objective
from distiltune.training.optimiser import Adam
from distiltune.training.setup import LoopSettings, TrainingSetup


@dataclass(frozen=True, slots=True)
class Learning:
    """What is learnt, from what, how long and how fast."""

    features: FeatureSet
    objective: Objective
    metric_names: tuple[str, ...]
    loop: LoopSettings
    rate: float = 1e-2


class Heard(NothingKept):
    """Remembers the epochs; takes a snapshot after one step."""

    def __init__(self, save: Callable[[], Snapshot], save_at: int) -> None:
        self._save, self._save_at = save, save_at
        self.saved: tuple[Snapshot, LoopState] | None = None
        self.epochs: list[EpochReport] = []

    def between_steps(self, step: int, state: Callable[[], LoopState]) -> None:
        if step == self._save_at:
            self.saved = self._save(), state()

    def on_epoch(self, report: EpochReport) -> None:
        self.epochs.append(report)


def learn(
    model: TaskModel, learning: Learning, *, save_at: int = -1, start: tuple[Snapshot, LoopState] | None = None
) -> Heard:
    """Train with Adam at a constant rate; from ``start``, which an earlier training saved, if there is one."""
    optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    heard = Heard(lambda: take_snapshot(model, optimiser, {}), save_at)
    state = LoopState()
    if start is not None:
        snapshot, state = start
        restore(snapshot, model, optimiser)
    setup = TrainingSetup(
        model,
        learning.features,
        learning.objective,
        learning.metric_names,
        optimiser,
        lambda step: learning.rate,
        learning.loop,
    )
    train(setup, dict, heard, start=state)
    return heard
