"""From batches to gradients: shared out to workers on the CPU, recorded and replayed on a GPU."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.model.dropout import draw_seeds, dropout_seed
from distiltune.model.encoder import model_device
from distiltune.system.device import Precision
from distiltune.system.workers import Workers, plan_workers
from distiltune.training import backward
from distiltune.training.backward import Gradients, total
from distiltune.training.cuda_graphs import Replayed
from distiltune.training.distributed import Summed
from distiltune.training.objective import Objective
from distiltune.training.setup import TrainingSetup


class SharedOut:
    """Each worker takes a part of the batch through a replica of the model that shares its weights.

    The parts' gradients are summed in their order, so that the same seed and the same number of workers give the same
    bits. Gradients of embeddings are kept as the rows touched: of 30,522 word pieces a batch has a few hundred.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        workers: Workers,
        precision: Precision = "float32",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Make the replicas; ``rank`` of ``world_size`` is this process among those that share a batch."""
        self._objective, self._workers, self._precision = objective, workers, precision
        self._rank, self._world_size = rank, world_size
        self._device = model_device(model)
        has_rows = self._device.type == "cpu"
        self._replicas = [_replica(model, has_rows) for _ in range(workers.plan.n_workers)]
        self._parameters = list(model.parameters())
        self._dense = {
            index: torch.zeros_like(self._parameters[index])
            for index in _embedding_indices(model, self._parameters)
            if has_rows and self._parameters[index].requires_grad
        }
        self._rows: dict[int, list[Tensor]] = {index: [] for index in self._dense}

    @property
    def n_parts(self) -> int:
        """One a worker."""
        return len(self._replicas)

    def add(self, parts: Sequence[PackedBatch], step_weight: float) -> Tensor:
        """See ``Gradients``."""
        # Every process draws the seeds of all, so that their random states stay the same.
        seeds = draw_seeds(self.n_parts * self._world_size)[self._rank * self.n_parts :]

        def job(replica: nn.Module, part: PackedBatch, seed: int) -> Tensor:
            with dropout_seed(seed):
                return backward.add_gradients(
                    replica, self._objective, part.to(self._device), 1 / step_weight, self._precision
                )

        jobs = [
            lambda replica=replica, part=part, seed=seed: job(replica, part, seed)
            for replica, part, seed in zip(self._replicas, parts, seeds, strict=False)
        ]
        metrics = self._workers.run(jobs)
        for replica in self._replicas[: len(parts)]:
            self._collect(replica)
        return total(metrics)

    def finish(self) -> None:
        """See ``Gradients``."""

    def clear(self) -> None:
        """See ``Gradients``."""
        for index, dense in self._dense.items():
            if self._world_size > 1:
                dense.zero_()  # the sum over the processes has touched rows of the others
            for rows in self._rows[index]:
                dense.index_fill_(0, rows, 0.0)
            self._rows[index].clear()
        for parameter in self._parameters:
            parameter.grad = None

    def _collect(self, replica: nn.Module) -> None:
        """Move or add a replica's gradients to the model's."""
        sums: list[Tensor] = []
        added: list[Tensor] = []
        for index, (ours, theirs) in enumerate(zip(self._parameters, replica.parameters(), strict=True)):
            grad, theirs.grad = theirs.grad, None
            if grad is None:
                continue
            if grad.is_sparse:
                rows = grad._indices()[0]
                self._rows[index].append(rows)
                ours.grad = self._dense[index].index_add_(0, rows, grad._values())
            elif ours.grad is None:
                ours.grad = grad
            else:
                sums.append(ours.grad)
                added.append(grad)
        if sums:
            torch._foreach_add_(sums, added)


@contextmanager
def gradients_of(setup: TrainingSetup) -> Iterator[Gradients]:
    """The quickest way for a training, whose sums are those of all processes that share it."""
    here = setup.here
    with make_gradients(
        setup.model,
        setup.objective,
        setup.precision,
        max_length=int(setup.features.lengths.max()),
        rank=here.rank,
        world_size=here.world_size,
    ) as gradients:
        yield gradients if here.world_size == 1 else Summed(gradients, setup.model, len(setup.metric_names))


@contextmanager
def make_gradients(
    model: nn.Module,
    objective: Objective,
    precision: Precision = "float32",
    *,
    max_length: int,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[Gradients]:
    """The quickest way for the device that the model is on; on the CPU with as many threads as PyTorch was given.

    Args:
        model: in training, its parameters on one device.
        objective: what its output is worth.
        precision: of the matrix products.
        max_length: the most tokens of any feature.
        rank: number of this process among those that share each batch.
        world_size: how many they are.

    """
    if model_device(model).type == "cuda":
        yield Replayed(model, objective, precision, max_length)
        return
    with Workers(plan_workers(torch.get_num_threads() if model_device(model).type == "cpu" else 1)) as workers:
        yield SharedOut(model, objective, workers, precision, rank, world_size)


def _replica(model: nn.Module, has_rows: bool) -> nn.Module:
    """A copy of the modules whose parameters share the model's memory and have gradients of their own.

    With ``has_rows`` those of embeddings are the rows touched, which a CPU knows how to keep.
    """
    shared = {
        id(parameter): nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad)
        for parameter in model.parameters()
    }
    replica = copy.deepcopy(model, shared).train()
    for module in replica.modules():
        if isinstance(module, nn.Embedding):
            module.sparse = has_rows
    return replica


def _embedding_indices(model: nn.Module, parameters: Sequence[Tensor]) -> list[int]:
    """Where in the parameters the weights of embeddings stand."""
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    return [index for index, parameter in enumerate(parameters) if id(parameter) in embeddings]
