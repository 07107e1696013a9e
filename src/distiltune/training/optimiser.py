"""Adam (Kingma & Ba 2015) with bias correction, and decoupled weight decay (Loshchilov & Hutter 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


class Optimiser(Protocol):
    """What the loop asks of one."""

    learning_rate: float
    """Set before every step."""

    def step(self, admitted: Tensor | bool = True) -> None:
        """Take the step that the parameters' gradients say, if it is admitted; see `Adam.step`."""


@dataclass(frozen=True, slots=True)
class Moments:
    """What Adam remembers of one parameter.

    Attributes:
        step: steps taken, a float32 scalar on the parameter's device.
        exp_avg: running mean of the gradient, in the parameter's shape.
        exp_avg_sq: running mean of its square, likewise.

    """

    step: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor


class Adam:
    """Adam over the trainable parameters of a model, by PyTorch's fused kernel: one pass over the memory a step.

    The steps are those of ``torch.optim.AdamW(fused=True)`` bit for bit, without that class, which imports PyTorch's
    compiler: 1.2 to 2 s at every start. Weight decay spares biases and norms (all one-dimensional parameters), as
    BERT's training does. A parameter without a gradient is left alone.
    """

    def __init__(self, model: nn.Module, *, beta1: float, beta2: float, epsilon: float, weight_decay: float) -> None:
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._groups = (
            ([parameter for parameter in trainable if parameter.ndim > 1], weight_decay),
            ([parameter for parameter in trainable if parameter.ndim <= 1], 0.0),
        )
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.learning_rate = 0.0
        self.moments: dict[nn.Parameter, Moments] = {}
        """Of every parameter that has had a gradient."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All of them, in the order of which ``tensors`` counts."""
        return [parameter for parameters, _ in self._groups for parameter in parameters]

    @torch.no_grad()
    def step(self, admitted: Tensor | bool = True, rate: Tensor | None = None) -> None:
        """Take the step that the gradients say.

        ``admitted`` may be a scalar on the device, of which the host has not heard yet: where it is false, the kernel
        leaves weights, moments and counts as they are. ``rate``, a float32 scalar there, stands for ``learning_rate``
        in a step that is recorded.
        """
        if admitted is False:
            return
        barred = (~admitted).float() if isinstance(admitted, Tensor) else None
        for parameters, weight_decay in self._groups:
            moved = [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]
            if not moved:
                continue
            moments = [self._moments(parameter) for parameter, _ in moved]
            counts = [each.step for each in moments]
            torch._foreach_add_(counts, 1)
            torch._fused_adamw_(
                [parameter for parameter, _ in moved],
                [gradient for _, gradient in moved],
                [each.exp_avg for each in moments],
                [each.exp_avg_sq for each in moments],
                [],
                counts,
                amsgrad=False,
                lr=self.learning_rate if rate is None else rate,  # type: ignore[arg-type]
                beta1=self.beta1,
                beta2=self.beta2,
                weight_decay=weight_decay,
                eps=self.epsilon,
                maximize=False,
                grad_scale=None,
                found_inf=barred,
            )
            if barred is not None:
                torch._foreach_sub_(counts, [barred] * len(counts))

    def tensors(self) -> dict[str, Tensor]:
        """All that it remembers, not copied, as ``<parameter's number>.<name>``."""
        return {
            f"{number}.{name}": getattr(self.moments[parameter], name)
            for number, parameter in enumerate(self.parameters)
            if parameter in self.moments
            for name in Moments.__slots__
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Remember what ``tensors`` told.

        Raises:
            ValueError: if they are of other parameters.
            KeyError: if one is missing.

        """
        self.moments.clear()
        numbers = {name.partition(".")[0] for name in tensors}
        for number, parameter in enumerate(self.parameters):
            if str(number) not in numbers:
                continue
            kept = [tensors[f"{number}.{name}"] for name in Moments.__slots__]
            step, *averages = kept
            for tensor, shape in ((step, ()), *((each, parameter.shape) for each in averages)):
                if tensor.shape != shape:
                    raise ValueError(f"a tensor of the optimiser's parameter {number} has the shape {(*tensor.shape,)}")
            self.moments[parameter] = Moments(
                step.to(parameter.device, torch.float32, copy=True),
                *(each.to(parameter.device, parameter.dtype, copy=True) for each in averages),
            )
        if unknown := numbers - {str(number) for number in range(len(self.parameters))}:
            raise ValueError(f"the optimiser has no parameter {min(unknown)}")

    def _moments(self, parameter: nn.Parameter) -> Moments:
        if parameter not in self.moments:
            count = torch.zeros((), dtype=torch.float32, device=parameter.device)
            self.moments[parameter] = Moments(count, torch.zeros_like(parameter), torch.zeros_like(parameter))
        return self.moments[parameter]
