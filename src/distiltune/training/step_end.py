"""What ends a step: are its numbers finite, is its gradient too long, and the optimiser's move.

On a GPU these are a dozen operations on lists of a hundred tensors each, which take the host long beside a step of two
or three milliseconds. So they are recorded too (see ``cuda_graphs``) and started with one call.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from distiltune.model.encoder import model_device
from distiltune.system.device import works_at_once
from distiltune.training.cuda_graphs import Record, Recorder, Run
from distiltune.training.finite import AdmittedSteps, BadStep
from distiltune.training.optimiser import Adam
from distiltune.training.setup import TrainingSetup

PLAIN_STEPS = 2
"""Before the recording: the optimiser's memory of every parameter must be there, and is made in its first step."""


class StepEnd:
    """Judges every step and takes it. On a GPU it is recorded once, and replayed from then on."""

    def __init__(
        self,
        setup: TrainingSetup,
        on_bad_step: Callable[[BadStep], None],
        record: Record | None = None,
    ) -> None:
        """Of a training's model and optimiser; ``on_bad_step`` is told as `AdmittedSteps` says."""
        self._device = model_device(setup.model)
        self._admitted = AdmittedSteps(setup.model, self._device, on_bad_step)
        self._optimiser, self._max_norm, self._record = (
            setup.optimiser,
            setup.loop.max_gradient_norm,
            record or Recorder(),
        )
        self._n_taken = 0
        self._sums = torch.zeros(0)
        self._rate = torch.zeros((), device=self._device)
        self._replay: Run | None = None

    def take(self, step: BadStep, sums: Tensor) -> Tensor | bool:
        """Take the step of the gradients that there are, if they and ``sums`` are finite; returns whether they are.

        A bool, or on a GPU a scalar of the device. The rate is the optimiser's ``learning_rate``.
        """
        self._n_taken += 1
        if self._replay is not None:
            self._sums.copy_(sums)
            self._rate.fill_(self._optimiser.learning_rate)
            return self._admitted.admit(step, self._replay().clone())
        good = self._admitted.admit(step, self._admitted.judge(sums))
        # A norm that is no number would spoil gradients that are never cleared whole: rows of embeddings.
        if self._max_norm > 0.0 and good is not False:
            self._admitted.clip(self._max_norm)
        self._optimiser.step(good)
        if self._n_taken == PLAIN_STEPS and not works_at_once(self._device) and isinstance(self._optimiser, Adam):
            self._replay = self._recorded(self._optimiser, sums)
        return good

    def settle(self) -> int:
        """See `AdmittedSteps.settle`."""
        return self._admitted.settle()

    def _recorded(self, optimiser: Adam, sums: Tensor) -> Run:
        """Record it, right after a step: the gradients are of no use any more, and without numbers no step is taken."""
        self._sums = torch.full_like(sums, torch.nan)

        def run() -> Tensor:
            good = self._admitted.judge(self._sums)
            if self._max_norm > 0.0:
                self._admitted.clip(self._max_norm)
            optimiser.step(good, self._rate)
            return good

        return self._record(run, self._device)
