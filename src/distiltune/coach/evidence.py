"""What the coach goes by: what was known before the first step, what was recorded since, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from distiltune.checks.concerns import Concern
from distiltune.coach.pairs import LossChange
from distiltune.coach.scores import BlindScore, best_scores
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
        frozen_share: share of the parameters that are not trained, and nobody asked for that.
        still_parts: the parts that are not trained since that was asked for.
        fitting_rate: the learning rate that fits this model, data and number of steps; None if that is not known.
        blind_scores: what scores of the validation data come to without reading, the main one first.
        blind_in_training: the same of the training data, where there are no validation data.
        from_scratch: whether the whole model started from random weights.
        is_fine_tuned: whether the model had a trained head of the task before.
        concerns: what is wrong with the data.
        monitor: the metric that decides which epoch is kept.
        choice: how it decides, before the first epoch.
        find_lr: the command that finds a learning rate for this run.
        check: the command that looks at this run's data.
        again: the command that trains again by the run's recipe, to which flags are appended.

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
    still_parts: tuple[str, ...] = ()
    fitting_rate: float | None = None
    blind_scores: tuple[BlindScore, ...] = ()
    blind_in_training: tuple[BlindScore, ...] = ()
    from_scratch: bool = False
    is_fine_tuned: bool = False
    concerns: tuple[Concern, ...] = ()
    monitor: str = "validation_loss"
    choice: BestEpoch = BestEpoch("lower")  # noqa: RUF009 (frozen)
    find_lr: str = "distiltune find-lr --recipe RUN/recipe.toml"
    check: str = "distiltune check TRAIN --recipe RUN/recipe.toml"
    again: str = "distiltune train --recipe RUN/recipe.toml --output RUN-2"


NOT_LEARNING = 0.9
"""A loss above this share of what blind guessing gives has learned nothing to speak of."""
CLEARLY_LEARNING = 0.75
"""The same where no score is better than chance."""
BY_HEART = 0.6
"""A few examples are learned by heart once no more than this share of the loss is left: some of the shortest are alike,
and with wrong labels these cannot all be learned."""
FLAT = 0.03
"""A loss that falls by less than this share from one quarter of the steps to the next has gone flat."""
_FEW_PROBE_STEPS = 24


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What came of learning a few examples by heart.

    Attributes:
        n_features: how many examples, or windows of them.
        losses: before the first step and after each, in the unit of the epoch table's loss.
        seconds: what it took.

    """

    n_features: int
    losses: tuple[float, ...]
    seconds: float = 0.0

    @property
    def n_steps(self) -> int:
        """Steps taken."""
        return len(self.losses) - 1

    def learned(self, blind_loss: float) -> bool:
        """Whether much was gone at some step, also of the loss of who knows how often which label occurs."""
        before = min(self.losses[0], blind_loss) if blind_loss > 0 else self.losses[0]
        return min(self.losses) < BY_HEART * before

    def is_stuck(self, blind_loss: float) -> bool:
        """Whether nothing more would come: not learned, and the curve has gone flat, not off the scale."""
        if self.learned(blind_loss) or self.n_steps < _FEW_PROBE_STEPS or not all(map(math.isfinite, self.losses)):
            return False
        quarter = self.n_steps // 4
        last, before = fmean(self.losses[-quarter:]), fmean(self.losses[-2 * quarter : -quarter])
        return (1 - FLAT) * before < last < 1.1 * self.losses[0]

    def in_words(self) -> str:
        """The figures, with what they cost."""
        return f"loss {self.losses[0]:.2f} → {self.losses[-1]:.2f} in {self.n_steps} steps, {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was recorded of a run so far.

    Attributes:
        facts: what is known before the first step.
        epochs: one report an epoch ended.
        changes: how each epoch's validation loss lies against the lowest before it; empty where that is not known.
        steps: the log lines.
        vitals: looks at how strongly the parts are trained.
        answers: `Analysis.facts` of the last epoch that was looked at; empty if unknown.
        probe: of `overfit_probe`, None if it was not run.
        ended: whether the training is over.

    """

    facts: TrainingFacts
    epochs: tuple[EpochReport, ...] = ()
    changes: tuple[LossChange, ...] = ()
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

    @property
    def n_steps(self) -> int:
        """Optimiser steps done."""
        return self.steps[-1].step + 1 if self.steps else len(self.epochs) * self.facts.steps_per_epoch

    @property
    def scores(self) -> list[tuple[BlindScore, float]]:
        """The best of each score over the epochs, beside what knowing nothing gets; without validation of training."""
        if not self.facts.n_validation:
            return best_scores(self.facts.blind_in_training, [epoch.train for epoch in self.epochs])
        return best_scores(self.facts.blind_scores, [epoch.validation for epoch in self.epochs])

    def losses(self) -> tuple[list[float], list[float]]:
        """Training and validation losses of the epochs that have both."""
        both = [epoch for epoch in self.epochs if "loss" in epoch.validation]
        return [epoch.train["loss"] for epoch in both], [epoch.validation["loss"] for epoch in both]

    @property
    def has_learned(self) -> bool:
        """Whether anything was learned that carries over: a score beyond chance, or a loss clearly below blindness.

        Without validation data the training's own loss and scores say it, which learning by heart betters too. Where
        there are scores and none says so, the loss has to say it clearly: that signs are never names lowers it too.
        """
        scores = self.scores
        if any(blind.is_beaten_by(score) for blind, score in scores):
            return True
        validation = [epoch.validation.get("loss", epoch.train["loss"]) for epoch in self.epochs]
        finite = [loss for loss in validation if math.isfinite(loss)]
        share = CLEARLY_LEARNING if scores and self.facts.n_validation else NOT_LEARNING
        return bool(finite) and min(finite) < share * self.facts.blind_loss
