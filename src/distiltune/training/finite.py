"""Non-finite numbers: a step whose loss or gradient is NaN or infinite never reaches the weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distiltune.data.loader import FeatureIds
from distiltune.system.device import works_at_once

MAX_SKIPPED_IN_A_ROW = 10
"""Beyond these it is no single bad batch."""


@dataclass(frozen=True, slots=True)
class BadStep:
    """A step, and what is needed to find what was wrong with it: its number, learning rate and features."""

    epoch: int
    step: int
    learning_rate: float
    batches: tuple[FeatureIds, ...]

    @property
    def feature_ids(self) -> list[int]:
        """All features of the step."""
        return [int(feature) for ids in self.batches for feature in ids]


def gradient_norms(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """The length of each gradient that there is: scalars on their device.

    One pass over the gradients (1 % of a step of DistilBERT on a CPU).
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return list(torch._foreach_norm(gradients)) if gradients else []


def are_finite(sums: Tensor, norms: Sequence[Tensor]) -> Tensor:
    """Whether all of ``sums`` and all gradients of these norms are finite; a scalar on their device.

    A norm that overflows counts as infinite: its gradients are beyond 1e19.
    """
    return torch.isfinite(torch.stack([sums.sum().float(), *norms]).sum())


class AdmittedSteps:
    """Looks at every step before the optimiser takes it.

    On a CPU the answer is there at once. On a GPU the optimiser's own kernel leaves the weights alone where the
    answer is no, and the host learns of it at the next log line, so that it need not wait at every step.
    """

    def __init__(
        self,
        model: nn.Module,
        device: torch.device,
        on_bad_step: Callable[[BadStep], None],
    ) -> None:
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._at_once, self._on_bad_step = works_at_once(device), on_bad_step
        self._norms: list[Tensor] = []
        self._waiting: list[tuple[BadStep, Tensor]] = []
        self._n_skipped = 0

    def judge(self, sums: Tensor) -> Tensor:
        """Whether a step of these sums and the gradients that there are may be taken; a scalar on their device."""
        self._norms = gradient_norms(self._parameters)
        return are_finite(sums, self._norms)

    def admit(self, step: BadStep, good: Tensor) -> Tensor | bool:
        """Note what was judged of a step; returns it as a bool, or on a GPU as it is."""
        if not self._at_once:
            self._waiting.append((step, good))
            return good
        if bool(good):
            return True
        self._on_bad_step(step)
        self._n_skipped += 1
        return False

    def clip(self, most: float) -> None:
        """Scale the gradients last judged so that together they are no longer than ``most``.

        To the bits of PyTorch's ``clip_grad_norm_``, which would measure them a second time.
        """
        if self._norms:
            length = torch.linalg.vector_norm(torch.stack(self._norms))
            nn.utils.clip_grads_with_norm_(self._parameters, most, length)

    def settle(self) -> int:
        """Report what the device has found since; returns how many steps were skipped since the last call."""
        if self._waiting:
            answers = torch.stack([good for _, good in self._waiting]).tolist()
            waiting, self._waiting = self._waiting, []
            for (step, _), good in zip(waiting, answers, strict=True):
                if not good:
                    self._on_bad_step(step)
                    self._n_skipped += 1
        n_skipped, self._n_skipped = self._n_skipped, 0
        return n_skipped
