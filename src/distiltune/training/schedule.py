"""The learning rate at every step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PolynomialDecay:
    """Linear warm-up from 0, then polynomial decay to ``end`` (Keras ``PolynomialDecay``, ``cycle=False``).

    Attributes:
        start: learning rate at the first step after the warm-up.
        end: learning rate once ``total_steps`` are done.
        power: 1 is linear.
        warmup_steps: steps of the warm-up, counted in ``total_steps``.
        total_steps: optimiser steps of the whole run.

    """

    start: float
    end: float
    power: float
    warmup_steps: int
    total_steps: int

    def __call__(self, step: int) -> float:
        """The learning rate of optimiser step ``step``, counted from 0."""
        if step < self.warmup_steps:
            return self.start * (step + 1) / (self.warmup_steps + 1)
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        left = 1.0 - min(step - self.warmup_steps, decay_steps) / decay_steps
        return float((self.start - self.end) * left**self.power + self.end)


@dataclass(frozen=True, slots=True)
class StagedRate:
    """A learning rate that rises and falls twice: for other data first, then for the training's own.

    Attributes:
        first: the rate of the first steps.
        then: that of the others, counted from 0 again.
        n_first: how many the first are.

    """

    first: PolynomialDecay
    then: PolynomialDecay
    n_first: int

    def __call__(self, step: int) -> float:
        """The rate of step ``step``, counted from 0."""
        return self.first(step) if step < self.n_first else self.then(step - self.n_first)
