"""Forward and backward of a batch on a GPU, recorded once for every size of batch and replayed (CUDA graphs).

A batch of 16 features keeps a modern GPU busy for about two milliseconds; launching its several hundred kernels one by
one from Python takes longer. Recorded, they start with one call. Shapes must not change between replays, so a batch is
filled up to a multiple of ``SIZE_STEP`` tokens; its lengths may change, since the kernels read them on the device.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch, fill_up, filled_size
from distiltune.model.encoder import model_device
from distiltune.system.device import Precision
from distiltune.training import backward
from distiltune.training.backward import total
from distiltune.training.objective import Objective

SIZE_STEP = 128
"""Half of this is filler on average, two tokens in a hundred of SQuAD's batches; these come in some twelve sizes."""

WARM_UP_RUNS = 3
"""Before a recording, so that libraries have made their choices and buffers (as PyTorch's notes on CUDA graphs ask)."""


@dataclass(frozen=True, slots=True)
class StaticBatch:
    """A batch whose tensors stay where they are on the device while their content changes."""

    batch: PackedBatch
    weight: Tensor

    def load(self, batch: PackedBatch, weight: float) -> None:
        """Copy another batch of the same shapes in, without waiting for it.

        Raises:
            ValueError: if a shape differs, or one has what the other has not.

        """
        ours, theirs = self.batch.tensors(), batch.tensors()
        if ours.keys() != theirs.keys():
            raise ValueError(f"a batch with {', '.join(theirs)} for a place that has {', '.join(ours)}")
        for name, place in ours.items():
            content = theirs[name]
            if place.shape != content.shape:
                raise ValueError(f"a batch of shape {tuple(content.shape)} for a place of shape {tuple(place.shape)}")
            place.copy_(content.pin_memory() if place.device.type == "cuda" else content, non_blocking=True)
        self.weight.fill_(weight)


def make_static(batch: PackedBatch, device: torch.device) -> StaticBatch:
    """A place on the device for batches of this one's shapes, holding it."""
    moved = batch.to(device)
    static = moved.with_tensors({name: tensor.clone() for name, tensor in moved.tensors().items()})
    return StaticBatch(static, torch.zeros((), device=device))


def fill(batch: PackedBatch, max_length: int) -> PackedBatch:
    """The batch with filler up to the next size that is recorded."""
    step = min(SIZE_STEP, max_length)
    return fill_up(batch, filled_size(batch.n_tokens, step), max_length)


Run = Callable[[], Tensor]
"""Does the work on tensors that stay where they are, and returns its result."""


def record(run: Run, device: torch.device) -> Run:
    """Record the kernels that ``run`` starts; the result replays them. The work is done a few times on the way."""
    side = _side_stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(WARM_UP_RUNS):
            run()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=_memory_pool(device), stream=side):
        result = run()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


@functools.cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """One stream for all recordings on a device; left alone, PyTorch takes one of whichever device is current first."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@functools.cache
def _memory_pool(device: torch.device) -> Any:
    """One pool for all recordings on a device: they never run at the same time."""
    return torch.cuda.graph_pool_handle()


class Replayed:
    """Gradients by replay. A size is recorded when it comes the second time; the first time it runs plainly."""

    n_parts = 1

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        precision: Precision,
        max_length: int,
        record: Callable[[Run, torch.device], Run] = record,
    ) -> None:
        self._model, self._objective, self._precision = model, objective, precision
        self._max_length, self._record = max_length, record
        self._device = model_device(model)
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._recordings: dict[tuple[int, int], tuple[StaticBatch, Run]] = {}
        self._seen: set[tuple[int, int]] = set()
        # A recording adds to gradients at fixed places, so they are there from the start and are only zeroed.
        for parameter in self._parameters:
            parameter.grad = torch.zeros_like(parameter)

    def add(self, parts: Sequence[PackedBatch], step_weight: float) -> Tensor:
        """See ``Gradients``."""
        return total([self._add(fill(part, self._max_length), 1 / step_weight) for part in parts])

    def finish(self) -> None:
        """See ``Gradients``."""

    def clear(self) -> None:
        """See ``Gradients``."""
        torch._foreach_zero_([parameter.grad for parameter in self._parameters if parameter.grad is not None])

    def _add(self, batch: PackedBatch, weight: float) -> Tensor:
        size = batch.n_tokens, batch.n_features
        if size not in self._seen:
            self._seen.add(size)
            return self._run(batch.to(self._device), weight)
        if size not in self._recordings:
            static = make_static(batch, self._device)
            # The weight is 0 while recording, so that what the warm-up adds to the gradients is nothing.
            run = functools.partial(self._run, static.batch, static.weight)
            self._recordings[size] = static, self._record(run, self._device)
        static, replay = self._recordings[size]
        static.load(batch, weight)
        return replay().clone()

    def _run(self, batch: PackedBatch, weight: float | Tensor) -> Tensor:
        return backward.add_gradients(self._model, self._objective, batch, weight, self._precision)
