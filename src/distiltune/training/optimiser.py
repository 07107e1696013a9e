"""Adam (Kingma & Ba 2015) with bias correction, and decoupled weight decay (Loshchilov & Hutter 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor, nn

from distiltune.training.average import Average, is_of_average


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
    BERT's training does. A parameter without a gradient is left alone. With an ``average``, that goes with it wherever
    it is kept and put back.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        beta1: float,
        beta2: float,
        epsilon: float,
        weight_decay: float,
        rate_factors: Mapping[nn.Parameter, float] = MappingProxyType({}),
    ) -> None:
        """Get ready for a first step.

        Args:
            model: of which the parameters that require a gradient are trained.
            beta1: decay of the mean of gradients.
            beta2: decay of the mean of their squares.
            epsilon: added to the denominator.
            weight_decay: decoupled.
            rate_factors: what the learning rate of a parameter is multiplied by, where that is not 1.

        """
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._factors = {each: rate_factors.get(each, 1.0) for each in trainable}
        self._groups = tuple(
            ([each for each in trainable if (each.ndim > 1) is decays and self._factors[each] == factor], decay, factor)
            for factor in dict.fromkeys(self._factors.values())
            for decays, decay in ((True, weight_decay), (False, 0.0))
        )
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.average: Average | None = None
        self.learning_rate = 0.0
        self.moments: dict[nn.Parameter, Moments] = {}
        """Of every parameter that has had a gradient."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All of them, in the order of which ``tensors`` counts."""
        return [parameter for parameters, _, _ in self._groups for parameter in parameters]

    def rate_of(self, parameter: nn.Parameter) -> float:
        """The learning rate of one of them at this step."""
        return self.learning_rate * self._factors[parameter]

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
        for parameters, weight_decay, factor in self._groups:
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
                lr=factor * (self.learning_rate if rate is None else rate),  # type: ignore[arg-type]
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
        """All that it remembers, not copied, as ``<parameter's number>.<name>``, and its average as that names it."""
        moments = {
            f"{number}.{name}": getattr(self.moments[parameter], name)
            for number, parameter in enumerate(self.parameters)
            if parameter in self.moments
            for name in Moments.__slots__
        }
        return moments if self.average is None else {**moments, **self.average.tensors()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Remember what ``tensors`` told.

        Raises:
            ValueError: if they are of other parameters.
            KeyError: if one is missing.

        """
        self.moments.clear()
        if self.average is not None:
            self.average.restore(tensors)
            tensors = {name: tensor for name, tensor in tensors.items() if not is_of_average(name)}
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
