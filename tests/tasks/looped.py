"""The project's own training loop around a task that is no `Task`: a model, features and a loss, and nothing kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from distiltune.data.feature_set import FeatureSet
from distiltune.model.encoder import TaskModel
from distiltune.training.checkpoint import Snapshot, restore, take_snapshot
from distiltune.training.gradients import make_gradients
from distiltune.training.loop import EpochReport, LoopSettings, LoopState, StepReport, Unguarded, train
from distiltune.training.objective import Objective
from distiltune.training.optimiser import Adam
from distiltune.training.schedule import PolynomialDecay


@dataclass(frozen=True, slots=True)
class Learning:
    """What is learnt, from what, how long and how fast."""

    features: FeatureSet
    objective: Objective
    metric_names: tuple[str, ...]
    loop: LoopSettings
    rate: float = 1e-2


class Heard(Unguarded):
    """Remembers the epochs; takes a snapshot after one step."""

    def __init__(self, save: Callable[[], Snapshot], save_at: int) -> None:
        self._save, self._save_at = save, save_at
        self.saved: tuple[Snapshot, LoopState] | None = None
        self.epochs: list[EpochReport] = []

    def between_steps(self, step: int, state: Callable[[], LoopState]) -> None:
        if step == self._save_at:
            self.saved = self._save(), state()

    def on_step(self, report: StepReport) -> None:
        """Nothing."""

    def on_epoch(self, report: EpochReport) -> bool:
        self.epochs.append(report)
        return True


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
    longest = int(learning.features.lengths.max())
    with make_gradients(model, learning.objective, max_length=longest) as gradients:
        train(
            model,
            learning.features,
            gradients,
            learning.metric_names,
            optimiser,
            PolynomialDecay(learning.rate, learning.rate, 1.0, 0, 1),
            learning.loop,
            _no_validation,
            heard,
            torch.device("cpu"),
            start=state,
            guard=heard,
        )
    return heard


def _no_validation() -> Mapping[str, float]:
    return {}
