"""Forward and backward of a batch on a GPU, recorded once for every size of batch and replayed (CUDA graphs).

A batch of 16 features keeps a modern GPU busy for about two milliseconds; launching its several hundred kernels one by
one from Python takes longer. Recorded, they start with one call. Shapes must not change between replays, so a batch is
filled up to a multiple of ``SIZE_STEP`` tokens; its lengths may change, since the kernels read them on the device.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch, fill_up, filled_size
from distiltune.model.encoder import model_device
from distiltune.system.device import Precision
from distiltune.training.backward import total
from distiltune.training.objective import Objective
from distiltune.training.rounded import RoundedWeights

SIZE_STEP = 128
"""Half of this is filler on average, two tokens in a hundred of SQuAD's batches; these come in some twelve sizes."""

WARM_UP_RUNS = 3
"""Before a recording, so that libraries have made their choices and buffers (as PyTorch's notes on CUDA graphs ask)."""


_ALIGNMENT = 256
"""Bytes, as PyTorch's own allocator aligns what it gives: kernels may read 16 at once."""


@dataclass(frozen=True, slots=True)
class StaticBatch:
    """A batch whose tensors stay where they are on the device while their content changes.

    Attributes:
        batch: its tensors are views of ``memory``.
        weight: float32 scalar, likewise.
        memory: ``(n_bytes,)`` uint8, so that one copy brings everything.

    """

    batch: PackedBatch
    weight: Tensor
    memory: Tensor

    def load(self, batch: PackedBatch, weight: float) -> None:
        """Copy another batch of the same shapes in, without waiting for it.

        Raises:
            ValueError: if a shape differs, or one has what the other has not.

        """
        ours, theirs = self.batch.tensors(), batch.tensors()
        if ours.keys() != theirs.keys():
            raise ValueError(f"a batch with {', '.join(theirs)} for a place that has {', '.join(ours)}")
        for name, place in ours.items():
            if place.shape != theirs[name].shape:
                shapes = tuple(theirs[name].shape), tuple(place.shape)
                raise ValueError(f"a batch of shape {shapes[0]} for a place of shape {shapes[1]}")
        # Pinned memory is kept by PyTorch, and used again once the copy out of it is done.
        here = torch.empty(self.memory.shape, dtype=torch.uint8, pin_memory=self.memory.device.type == "cuda")
        for name, place in _views(here, ours).items():
            place.copy_(theirs[name])
        _weight_of(here).fill_(weight)
        self.memory.copy_(here, non_blocking=True)


def make_static(batch: PackedBatch, device: torch.device) -> StaticBatch:
    """A place on the device for batches of this one's shapes, holding it."""
    tensors = batch.tensors()
    n_bytes = _ALIGNMENT + sum(_aligned(each.nbytes) for each in tensors.values())
    memory = torch.zeros(n_bytes, dtype=torch.uint8, device=device)
    static = StaticBatch(batch.with_tensors(_views(memory, tensors)), _weight_of(memory), memory)
    static.load(batch, 0.0)
    return static


def _views(memory: Tensor, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parts of the memory in the types and shapes of these tensors, one after the other behind the weight."""
    views, first = {}, _ALIGNMENT
    for name, tensor in tensors.items():
        views[name] = memory[first : first + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
        first += _aligned(tensor.nbytes)
    return views


def _weight_of(memory: Tensor) -> Tensor:
    return memory[:4].view(torch.float32)[0]


def _aligned(n_bytes: int) -> int:
    return -(-n_bytes // _ALIGNMENT) * _ALIGNMENT


def fill(batch: PackedBatch, max_length: int) -> PackedBatch:
    """The batch with filler up to the next size that is recorded."""
    step = min(SIZE_STEP, max_length)
    return fill_up(batch, filled_size(batch.n_tokens, step), max_length)


Run = Callable[[], Tensor]
"""Does the work on tensors that stay where they are, and returns its result."""


Record = Callable[[Run, torch.device], Run]
"""Records the kernels that a run starts; the result replays them. The work is done a few times on the way."""


class Recorder:
    """Records what is replayed in turns and never at the same time: all of it shares one pool of memory.

    A pool is of one recorder, and not of the device: PyTorch refuses one whose recordings have all gone while a result
    is still held, which may be so of an earlier training in the same process.
    """

    def __init__(self) -> None:
        self._pool: Any = None

    def __call__(self, run: Run, device: torch.device) -> Run:
        """See ``Record``."""
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        side = _side_stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_RUNS):
                run()
        torch.cuda.current_stream(device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the GPU meanwhile, such as NCCL's watchdog: only what this one does is looked at.
        with torch.cuda.graph(graph, pool=self._pool, stream=side, capture_error_mode="thread_local"):
            result = run()

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay


@functools.cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """One stream for all recordings on a device; left alone, PyTorch takes one of whichever device is current first."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class Replayed:
    """Gradients by replay. A size is recorded when it comes the second time; the first time it runs plainly."""

    n_parts = 1

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        precision: Precision,
        max_length: int,
        record: Record | None = None,
    ) -> None:
        self._objective, self._max_length, self._record = objective, max_length, record or Recorder()
        self._device = model_device(model)
        self._weights = RoundedWeights(model, precision)
        self._recordings: dict[tuple[int, int], tuple[StaticBatch, Run]] = {}
        self._seen: set[tuple[int, int]] = set()
        # A run writes gradients at fixed places. The sum of earlier parts of a step is kept beside them.
        self._are_written = False
        self._earlier: list[Tensor] = []

    def add(self, parts: Sequence[PackedBatch], step_weight: float) -> Tensor:
        """See ``Gradients``."""
        return total([self._add(fill(part, self._max_length), 1 / step_weight) for part in parts])

    def finish(self) -> None:
        """See ``Gradients``."""
        if not self._are_written:  # no part of this step was this process's
            torch._foreach_zero_(self._weights.gradients)
        elif self._earlier:
            torch._foreach_add_(self._weights.gradients, self._earlier)

    def clear(self) -> None:
        """See ``Gradients``; what is there is overwritten by the next step."""
        self._are_written = False
        self._earlier.clear()

    def _add(self, batch: PackedBatch, weight: float) -> Tensor:
        self._put_aside()  # first: running, recording and replaying all overwrite gradients
        size = batch.n_tokens, batch.n_features
        if size not in self._seen:
            self._seen.add(size)
            return self._run(batch.to(self._device), weight)
        if size not in self._recordings:
            static = make_static(batch, self._device)
            run = functools.partial(self._run, static.batch, static.weight)
            self._recordings[size] = static, self._record(run, self._device)
        static, replay = self._recordings[size]
        static.load(batch, weight)
        return replay().clone()

    def _put_aside(self) -> None:
        """Add the gradients of the step's last part to those of its earlier ones."""
        if not self._are_written:
            self._are_written = True
        elif self._earlier:
            torch._foreach_add_(self._earlier, self._weights.gradients)
        else:
            self._earlier = [each.clone() for each in self._weights.gradients]

    def _run(self, batch: PackedBatch, weight: float | Tensor) -> Tensor:
        return self._weights.write_gradients(self._objective, batch, weight)
