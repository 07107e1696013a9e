"""A mean of the weights over the training, which is evaluated and kept in their place.

Either an exponential mean over the steps, or the plain mean over the ends of the last epochs (Izmailov et al. 2018,
arXiv:1803.05407). The training itself goes on from its own weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

_MEAN: Final = "average."


@dataclass(frozen=True, slots=True)
class Averaging:
    """Which mean.

    Attributes:
        decay: of the exponential mean, a step; 0: the mean over epochs.
        first_epoch: from which epoch's end on that is taken; those before are evaluated as they are.

    """

    decay: float = 0.0
    first_epoch: int = 0


class Average:
    """The mean of a model's trained weights; in a checkpoint it lies beside what the optimiser remembers."""

    def __init__(self, parameters: Sequence[nn.Parameter], averaging: Averaging) -> None:
        """Begin with the weights as they are."""
        self._parameters, self._averaging = [*parameters], averaging
        self._means = self._copies()

    @torch.no_grad()
    def after_step(self, n_steps: int) -> None:
        """Move the exponential mean, once ``n_steps`` steps of the run are done.

        The first steps weigh more, so that the start of the training is soon forgotten: the decay of step t is at most
        (1 + t) / (10 + t), as TensorFlow's ``ExponentialMovingAverage`` has it.
        """
        if self._averaging.decay:
            decay = min(self._averaging.decay, (1 + n_steps) / (10 + n_steps))
            torch._foreach_lerp_(self._means, [each.detach() for each in self._parameters], 1.0 - decay)

    @contextmanager
    def in_place(self, epoch: int) -> Iterator[None]:
        """Within it, at the end of an ``epoch``, the model has the mean's weights; afterwards its own again.

        They are copied into the same memory, which replicas and recordings share. The mean itself stays as it is until
        `after_epoch`, so that an evaluation that is broken off can be gone through again.
        """
        trained = self._copies()
        self._put(self._at_end_of(epoch))
        try:
            yield
        finally:
            self._put(trained)

    def after_epoch(self, epoch: int) -> None:
        """Count the weights of this epoch's end, once it is over."""
        self._means = self._at_end_of(epoch)

    def tensors(self) -> dict[str, Tensor]:
        """The mean, not copied, as ``average.<parameter's number>``."""
        return {f"{_MEAN}{number}": mean for number, mean in enumerate(self._means)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what ``tensors`` told.

        Raises:
            ValueError: if one is of another shape.
            KeyError: if one is missing.

        """
        found = [tensors[f"{_MEAN}{number}"] for number in range(len(self._parameters))]
        for number, (mean, parameter) in enumerate(zip(found, self._parameters, strict=True)):
            if mean.shape != parameter.shape:
                raise ValueError(f"the mean of parameter {number} has the shape {(*mean.shape,)}")
        self._means = [
            mean.to(each.device, each.dtype, copy=True) for mean, each in zip(found, self._parameters, strict=True)
        ]

    @torch.no_grad()
    def _at_end_of(self, epoch: int) -> list[Tensor]:
        if self._averaging.decay:
            return self._means
        n_before = epoch - self._averaging.first_epoch
        means = self._copies()
        if n_before > 0:
            earlier = torch._foreach_sub(self._means, means)
            torch._foreach_add_(means, earlier, alpha=n_before / (n_before + 1))
        return means

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        torch._foreach_copy_([each.detach() for each in self._parameters], values)

    def _copies(self) -> list[Tensor]:
        return [each.detach().clone() for each in self._parameters]


def is_of_average(name: str) -> bool:
    """Whether a tensor of a checkpoint is of such a mean."""
    return name.startswith(_MEAN)
