"""What the coach goes by: what was known before the first step, what was recorded since, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from distiltune.checks.concerns import Concern
from distiltune.training.early_stopping import BestEpoch, monitored
from distiltune.training.loop import EpochReport, StepReport
from distiltune.training.vitals import Vitals


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """What is known before the first step.

    Attributes:
        planned_epochs: how many epochs the recipe asks for.
        steps_per_epoch: optimiser steps in one.
        learning_rate: the highest of the schedule.
        dropout: the largest dropout probability in use.
        n_train: training examples.
        n_validation: validation examples, 0 without validation data.
        uniform_loss: the loss of a model that knows nothing; 0 if that has no bound.
        blind_loss: the loss of a model that knows only how often which label occurs.
        frozen_share: share of the parameters that are not trained.
        from_scratch: whether the whole model started from random weights.
        concerns: what is wrong with the data.
        monitor: the metric that decides which epoch is kept.
        choice: how it decides, before the first epoch.
        find_lr: the command that finds a learning rate for this run.
        check: the command that looks at this run's data.

    """

    planned_epochs: int = 0
    steps_per_epoch: int = 0
    learning_rate: float = 0.0
    dropout: float = 0.0
    n_train: int = 0
    n_validation: int = 0
    uniform_loss: float = 0.0
    blind_loss: float = 0.0
    frozen_share: float = 0.0
    from_scratch: bool = False
    concerns: tuple[Concern, ...] = ()
    monitor: str = "validation_loss"
    choice: BestEpoch = BestEpoch("lower")  # noqa: RUF009 (frozen)
    find_lr: str = "distiltune find-lr --recipe RUN/recipe.toml"
    check: str = "distiltune check TRAIN --recipe RUN/recipe.toml"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What came of learning a few examples by heart: the mean loss before and after so many steps."""

    n_features: int
    n_steps: int
    loss_before: float
    loss_after: float

    @property
    def learned(self) -> bool:
        """Whether the model can learn at all: most of the loss is gone."""
        return self.loss_after < 0.4 * self.loss_before


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was recorded of a run so far.

    Attributes:
        facts: what is known before the first step.
        epochs: one report an epoch ended.
        steps: the log lines.
        vitals: looks at how strongly the parts are trained.
        answers: `Analysis.facts` of the last epoch that was looked at; empty if unknown.
        probe: of `overfit_probe`, None if it was not run.
        ended: whether the training is over.

    """

    facts: TrainingFacts
    epochs: tuple[EpochReport, ...] = ()
    steps: tuple[StepReport, ...] = ()
    vitals: tuple[Vitals, ...] = ()
    answers: Mapping[str, float] = field(default_factory=dict)
    probe: ProbeResult | None = None
    ended: bool = True

    @property
    def kept_epoch(self) -> int:
        """The epoch that is kept as the best so far, -1 if there is none."""
        best = self.facts.choice
        for report in self.epochs:
            best = best.after(report.epoch, monitored(report, self.facts.monitor))
        return best.epoch
