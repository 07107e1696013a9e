"""Several processes that train one model: `torchrun --nproc-per-node N -m distiltune train ...` (PyTorch's own engine).

The recipe means the same as in one process: a batch of 16 features is dealt to the processes, each weighs a feature by
1/16, and the gradients are summed. All processes therefore hold the same weights and the same random state at every
step; the first one alone writes files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
import torch.distributed as dist
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.errors import TrainingError
from distiltune.training.backward import Gradients

LONGEST_TURN: Final = timedelta(days=7)
"""For tokenising and for running a teacher over all data. In milliseconds it fits into 31 bits, as sockets need."""


_OF_TORCHRUN: Final = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: its number, from 0.
        world_size: how many there are.
        local_rank: its number on this machine.
        local_world_size: how many are on this machine.

    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this is the one that writes files and talks to the user."""
        return self.rank == 0


ALONE: Final = Processes()
"""One process by itself."""


def processes() -> Processes:
    """What `torchrun` says in the environment; one process where it says nothing.

    Raises:
        TrainingError: if it says a part only, or what cannot be: several processes would each write the run.

    """
    said = {name: os.environ[name] for name in _OF_TORCHRUN if name in os.environ}
    if len(said) < len(_OF_TORCHRUN):
        if said.get("WORLD_SIZE", "1") != "1":
            raise _bad_environment(f"has no {', no '.join(name for name in _OF_TORCHRUN if name not in said)}")
        return Processes()
    if not all(value.isascii() and value.isdecimal() for value in said.values()):
        raise _bad_environment("holds what is no number")
    here = Processes(*(int(said[name]) for name in _OF_TORCHRUN))
    if not (here.rank < here.world_size and here.local_rank < here.local_world_size <= here.world_size):
        raise _bad_environment("cannot be")
    return here


def _bad_environment(what: str) -> TrainingError:
    said = ", ".join(f"{name}={os.environ[name]}" for name in _OF_TORCHRUN if name in os.environ)
    return TrainingError(
        f"What the environment says of several processes {what}.",
        where=said,
        fix="start them with torchrun --nproc-per-node N -m distiltune train ...; or unset these",
    )


@contextmanager
def joined(here: Processes, device_type: str) -> Iterator[None]:
    """Within it the processes can exchange tensors: over gloo those on CPUs, over NCCL those on GPUs.

    Raises:
        TrainingError: if another process has ended or cannot be reached, or they are to share an Apple GPU.

    """
    if here.world_size == 1:
        yield
        return
    if device_type == "mps":
        raise TrainingError(
            f"{here.world_size} processes share a training, and Apple's GPU is one for all of them.",
            fix="start one process, or use --device cpu",
        )
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo")
        yield
    except (RuntimeError, ValueError) as error:
        if isinstance(error, torch.OutOfMemoryError) or not _is_connection_error(error):
            raise
        raise TrainingError(
            f"Process {here.rank} of {here.world_size} lost the others: {str(error).splitlines()[0]}",
            fix="the first error above, of another process, is the cause",
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


@contextmanager
def in_turn(here: Processes) -> Iterator[None]:
    """Let the first process on each machine go through the block before the others, which may take it days."""
    if here.world_size == 1:
        yield
        return
    # Of its own, since a collective of the training that takes so long is one that hangs; gloo, since NCCL's watchdog
    # would end it. Where a process dies, the others learn of it at once.
    patient = dist.new_group(backend="gloo", timeout=LONGEST_TURN)
    if here.local_rank > 0:
        dist.barrier(patient)
    yield
    if here.local_rank == 0:
        dist.barrier(patient)


def largest_of_all(here: Processes, number: int) -> int:
    """The largest of the processes' numbers, the same for all of them; all must call it, and wait for each other.

    They agree on the host, also where each has a GPU: asked at every step, none must wait there for its GPU's work.
    """
    if here.world_size == 1:
        return number
    shared = torch.tensor([number])
    dist.all_reduce(shared, op=dist.ReduceOp.MAX)
    return int(shared)


def as_the_first(here: Processes, numbers: Sequence[float]) -> tuple[float, ...]:
    """The first process's numbers, the same for all; all must call it, with as many, and wait for each other."""
    if here.world_size == 1:
        return tuple(numbers)
    shared = torch.tensor(numbers, dtype=torch.float64)
    dist.broadcast(shared, src=0)
    return tuple(shared.tolist())


def check_same(here: Processes, facts: Mapping[str, str]) -> None:
    """Check that all processes have the same facts; all must call it, with as many, and wait for each other.

    Without it, processes that were given other data train on, silently, to weights that are worth nothing.

    Args:
        here: this process.
        facts: what a training goes by, in a few words such as ``the training data`` → what it is, or a hash of that.

    Raises:
        TrainingError: in every process, naming the facts that are not the same.

    """
    if here.world_size == 1:
        return
    digests = b"".join(hashlib.sha256(value.encode()).digest() for value in facts.values())
    mine = torch.frombuffer(bytearray(digests), dtype=torch.uint8).view(len(facts), -1)
    gathered = [torch.empty_like(mine) for _ in range(here.world_size)]
    dist.all_gather(gathered, mine)
    theirs = torch.stack(gathered)
    others = (theirs != theirs[0]).any(dim=2)  # (n_processes, n_facts)
    differing = [
        f"{name} (not as in process 0: {', '.join(map(str, column.nonzero().flatten().tolist()))})"
        for name, column in zip(facts, others.T, strict=True)
        if bool(column.any())
    ]
    if differing:
        raise TrainingError(
            "The processes cannot train one model: they do not have the same\n  " + "\n  ".join(differing),
            where=f"process {here.rank} of {here.world_size}",
            fix="start every process with the same command, and put the same files on every machine",
        )


def _is_connection_error(error: BaseException) -> bool:
    words = ("Connection", "gloo", "NCCL", "Timed out", "process group", "store")
    return isinstance(error, dist.DistBackendError | dist.DistNetworkError) or any(
        word.lower() in str(error).lower() for word in words
    )


class Summed:
    """The gradients of all processes together, from those of this one."""

    def __init__(self, inner: Gradients, model: nn.Module, n_metrics: int) -> None:
        """Take the first process's weights; the seed gives all the same, this makes sure."""
        self._inner = inner
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._no_metrics = torch.zeros(n_metrics, device=self._parameters[0].device)
        with torch.no_grad():
            for parameter in model.parameters():
                dist.broadcast(parameter, src=0)

    @property
    def n_parts(self) -> int:
        """As the process itself cuts its share."""
        return self._inner.n_parts

    def add(self, parts: Sequence[PackedBatch], step_weight: float) -> Tensor:
        """See ``Gradients``; a process may have no part of a small batch. The metrics are of all processes."""
        metrics = self._inner.add(parts, step_weight)  # also without parts: it draws its random numbers
        if not parts:
            metrics = self._no_metrics.clone()
        dist.all_reduce(metrics)
        return metrics

    def finish(self) -> None:
        """See ``Gradients``."""
        self._inner.finish()
        waiting = []
        for parameter in self._parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            waiting.append(dist.all_reduce(parameter.grad, async_op=True))
        for work in waiting:
            work.wait()

    def clear(self) -> None:
        """See ``Gradients``."""
        self._inner.clear()
