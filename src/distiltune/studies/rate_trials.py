"""A training that is begun again and again from the same weights, at one learning rate after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from distiltune.model.encoder import TaskModel, model_device
from distiltune.progress import tell
from distiltune.recipe.recipe import MONITORS
from distiltune.runs.prepare import PreparedRun
from distiltune.runs.setup import make_optimiser, training_setup
from distiltune.studies.blind import Blind, fit_blind
from distiltune.studies.stretches import WARMUP_SHARE, TriedRate
from distiltune.system.device import seed_dropout, seed_everything
from distiltune.training.distributed import as_the_first
from distiltune.training.finite import BadStep
from distiltune.training.loop import NothingKept, StepReport, train
from distiltune.training.schedule import PolynomialDecay
from distiltune.training.setup import TrainingSetup

_LOG_EVERY = 10


class _Enough(Exception):  # noqa: N818 (no error: it ends a loop that only its watcher can end)
    """The stretch is done."""


class _Stopper(NothingKept):
    """Ends a training after so many steps, or at a loss that is no number."""

    def __init__(self, n_steps: int, stage: str) -> None:
        self._n_steps, self._stage = n_steps, stage
        self.diverged = False

    def on_step(self, report: StepReport) -> None:
        """Say how far it is; end the training at the last step."""
        tell(self._stage, "steps", report.step + 1, self._n_steps)
        if report.step + 1 >= self._n_steps:
            raise _Enough

    def on_bad_step(self, bad: BadStep) -> None:
        """End the training: the rate is too high."""
        self.diverged = True
        raise _Enough


@dataclass(frozen=True, slots=True)
class RateTrials:
    """A training that is begun again and again from the same weights.

    Attributes:
        prepared: it, with held-out rows.
        setup: the same for the loop.
        fresh: the model's weights before the first step.
        score_name: the metric that is the task's score, empty if there is none.
        in_percent: whether that goes to 100.

    """

    prepared: PreparedRun
    setup: TrainingSetup
    fresh: Mapping[str, Tensor]
    score_name: str
    in_percent: bool

    @staticmethod
    def of(prepared: PreparedRun) -> RateTrials:
        """The trials of a training that was prepared, with its weights as they are now."""
        model, task = prepared.loaded.model, prepared.task
        fresh = {name: value.detach().clone() for name, value in model.state_dict().items()}
        guide = task.guide({})
        name = guide.decisive if MONITORS.get(guide.decisive) == "higher" else ""
        in_percent = bool(name) and guide.label(name).unit == "percent"
        setup = training_setup(prepared, make_optimiser(prepared.recipe, model, prepared.lesson.head_rate))
        return RateTrials(prepared, setup, fresh, name, in_percent)

    @property
    def n_held_out(self) -> int:
        """Rows that are judged on."""
        validation = self.prepared.validation
        return validation.n_examples if validation is not None else 0

    def judge(self, model: nn.Module) -> tuple[float, float | None]:
        """The loss and the score, from 0 to 1, on the held-out rows; the first process's for all."""
        metrics = self.prepared.task.evaluate(model, self.prepared.validation).metrics
        score = metrics.get(self.score_name, math.nan) / (100.0 if self.in_percent else 1.0)
        loss, score = as_the_first(self.prepared.here, (metrics.get("loss", math.nan), score))
        return loss if math.isfinite(loss) else math.inf, score if math.isfinite(score) else None

    def start_afresh(self) -> None:
        """The weights and the random states as they were before the first step."""
        recipe, model = self.prepared.recipe, self.prepared.loaded.model
        model.load_state_dict(self.fresh)
        seed_everything(recipe.seed)
        seed_dropout(model_device(model), recipe.seed, self.prepared.here.rank)

    def stretch(self, rate: float, n_steps: int) -> TriedRate:
        """Train so many steps at a rate, and judge."""
        began = time.perf_counter()
        self.start_afresh()
        model, recipe, setup = self.prepared.loaded.model, self.prepared.recipe, self.setup
        schedule = PolynomialDecay(rate, 0.0, 1.0, round(WARMUP_SHARE * n_steps), n_steps)
        log_every = math.gcd(_LOG_EVERY, n_steps)  # so that the last step is told
        loop = replace(setup.loop, epochs=-(-n_steps // setup.steps_per_epoch), log_every=log_every)
        optimiser = make_optimiser(recipe, model, self.prepared.lesson.head_rate)
        stopper = _Stopper(n_steps, f"trying {rate:.1e}")
        with suppress(_Enough):
            train(replace(setup, optimiser=optimiser, learning_rate_at=schedule, loop=loop), dict, stopper)
        loss, score = (math.inf, None) if stopper.diverged else self.judge(model)
        return TriedRate(rate, n_steps, loss, score, time.perf_counter() - began)

    def prior_losses(self) -> tuple[float | None, float | None]:
        """What is reached without reading: on the training rows, and on the held-out ones; None if it is not known."""
        model, setup = self.prepared.loaded.model, self.setup
        device = model_device(model)
        if not isinstance(model, TaskModel) or model.gives_losses:
            return None, None
        model.eval()
        shown = setup.features.of_epoch(setup.loop.seed, 0).batch(np.arange(1)).to(device)
        n_columns = model(shown).shape[1]
        separator = self.prepared.loaded.tokenizer.token_to_id("[SEP]")
        validation = self.prepared.validation

        def blind(*, sees_places: bool) -> Blind:
            return Blind(model.rows, n_columns, separator, sees_places=sees_places).to(device)

        knowing, constant = blind(sees_places=model.rows == "token"), blind(sees_places=False)
        on_training = fit_blind(knowing, setup.features, setup.objective, setup.loop.seed)
        held_out = [self.judge(knowing)[0]]
        if validation is not None and setup.features.targets is None:
            # Where the two sets differ in how often what occurs, a model need not read to be better than the first.
            fit_blind(constant, validation.features, setup.objective, setup.loop.seed)
            held_out.append(self.judge(constant)[0])
        (lowest,) = as_the_first(self.prepared.here, (on_training,))
        return _known(lowest), _known(min(held_out))


def _known(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None
